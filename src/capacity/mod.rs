//! Tier arithmetic: a [`Workload`] in; units, headroom, what breaks first, messages and money out.
//! Pure functions of their arguments: no I/O, no clock, no randomness.
//!
//! | file | what |
//! | --- | --- |
//! | `workload` | what a plan is made for |
//! | `dimension` | what can run out: the closed set |
//! | `table` | what units of a tier carry, as the performance guide states it |
//! | `demand` | what a workload asks of each dimension |
//! | `bill` | messages as billed |
//! | `model` | what a hub is told that is to carry as much |
//! | `storm` | how clients come back when all are dropped |
//! | `estimate` | everything a plan says, as data |
//! | `file`, `prices` | files of workloads and of prices |
//! | `scenario` | a workload as a scenario file |
//! | `consistency` | loads to run against that hub, and whether they break as foretold |
//! | `sizing` | the ladder of unit counts, the first that fits, and what breaks first |
//!
//! # What adds up
//!
//! The guide measured one pattern at a time. A workload of several patterns shares the same units,
//! so the fractions of its patterns are added ([`Dimension::Together`]): an assumption on the safe
//! side, and no figure of Microsoft's.
//!
//! # What the shares of a second do not tell
//!
//! A message of 64 KiB to a thousand clients once a minute is a small share of what a unit carries
//! in a minute, and eleven seconds of what it carries in one. The units are not chosen by that: the
//! guide's figures are no statement about single messages, and tenfold units for one message a
//! minute would be a large bill on their strength. But its criterion, 99 % of messages within a
//! second, cannot hold then, so the plan says it among what to keep in mind, with the units that
//! would be done within a second ([`at_once`]), and `--consistency` measures against that time
//! instead of a second.
//!
//! # Where the sources contradict each other
//!
//! * **Small groups.** Two revisions of the performance guide differ by a factor of two
//!   ([`Revision`]). The newest, which is stricter, is the default.
//! * **Older small groups between 20 and 50 units.** "400 a unit" and the older table (8,000 at 20
//!   units, 15,000 at 50) cannot both hold: between its columns the table is interpolated, which is
//!   stricter.
//! * **Inbound of big groups and of REST broadcasts** is 30 and 3 messages a second at every unit
//!   count, exactly what the outbound figures need. Read as a limit, no tier would carry a hundred
//!   rooms of fifty members. [`Inbound`] says how it is read; by default it is a condition of the
//!   benchmark, and a workload beyond it is told so.
//! * **Where small groups end.** Below 20 members in the newest text, below 100 in the older one
//!   ([`Revision::small_group_below`]).
//! * **Steps of units.** Older pages sell 1, 2, 5, 10, 20, 50 and 100, newer ones more
//!   ([`UnitList`]).
//! * **Rounding of billed messages.** By total bytes in the billing page, by message in texts about
//!   the sister service: both are told.

mod bill;
mod consistency;
mod demand;
mod dimension;
mod estimate;
mod file;
mod model;
mod prices;
mod scenario;
mod sizing;
mod storm;
mod table;
#[cfg(test)]
mod tests;
mod workload;

pub use bill::{
    BILLED_BYTES, DAYS_A_MONTH, Range, billed_per_day, billed_per_second, included_per_day,
    unit_days,
};
pub use consistency::{
    Consistency, ConsistencyRun, Course, Observed, Stand, Trial, WITHIN, course,
};
pub use demand::{Flow, THROUGHPUT_BYTES_MIN, demand, flow, flows};
pub use dimension::{Dimension, Direction, Measure, Pattern};
pub use estimate::{
    Assumption, BETWEEN_MINUTES, Between, Break, Cost, ESTIMATE_VERSION, Estimate, Figure, Flash,
    FlowRow, Held, KERNEL_BYTES, LEAD_MINUTES, Load, Loss, Messages, Quota, Reload, Resource,
    Revisions, SCALE_OUT_PERCENT, Scaling, Sensitivity, SizeEffect, SlowCohort, Step, StormRow,
    Then, UpstreamSize, Use, Varied, estimate, estimate_schema, units_by_hour,
};
pub use file::{Flags, MESSAGE_BYTES_MAX, load, not_run, workload_schema};
pub use model::{at_once, throughput};
pub use prices::{AGE_DAYS_MAX, Prices, load_prices, prices_schema};
pub use scenario::{CLIENT_MESSAGE_BYTES_MAX, CONNECTIONS_MAX, NotRun, scenario};
pub use sizing::{Rung, Sizing, Utilisation, rung, size, utilisation};
pub use storm::{Second, Storm, least_seconds, play, recommended, window};
pub use table::{
    Capacity, FREE_PER_DAY, INCLUDED_PER_UNIT_DAY, capacities, connect_rate, sku, unit_steps,
};
pub use workload::{
    Asked, Basis, Growth, Inbound, Jitter, LiveTrace, Need, OwnMessages, Profile, Reconnect, Retry,
    Revision, Slack, Target, Traffic, UnitList, Upstream, Workload,
};

pub use crate::protocol::settings::Tier;
