//! Observations as mergeable numbers: HDR histograms, counters, close tallies, delivery.
//!
//! Everything here adds exactly: merging the measures of several threads gives what one thread
//! would have measured.

pub mod delivery;
pub mod latency;
mod peak;
mod recovery;
pub mod storm;
mod stream_book;
pub mod summary;
mod timings;
pub mod traffic;
pub mod wire;

pub use delivery::DeliveryTracker;
pub use latency::{Distribution, LatencyKey, LatencyKind, LatencySet, Stage};
pub use peak::BusiestSecond;
pub use storm::Storm;
pub use stream_book::StreamBook;
pub use summary::{
    CloseKey, CloseTally, EndKind, GeneratorHealth, LiveCounts, Memory, OpenEnds,
    PopulationSummary, Summary,
};
pub use timings::Timings;
pub use traffic::TrafficCounts;
