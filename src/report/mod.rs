//! Telling: sinks over events, and reports of a finished run.
//!
//! | file | what |
//! | --- | --- |
//! | [`recorder`] | takes the events of a run as they come: event stream, trace, live view |
//! | [`live`] | the progress line on a terminal, plain lines elsewhere |
//! | [`stream`] | append-only files of whole lines: `events.ndjson`, `trace.ndjson` |
//! | [`folder`] | the run folder; files that appear whole or not at all |
//! | [`run_file`] | `run.json`, the data every report is made of |
//! | [`text`], [`html`], [`markdown`], [`junit`] | reports, pure functions of [`RunFile`]s |
//! | `storm` | how dropped clients came back: words, table cells, curves |
//! | [`story`] | what one watched client went through, from both sides |
//! | [`capacity`] | what a capacity plan comes to, as text and as a page |
//! | [`comparison`], [`baseline`] | a run against a base, as text; a base that was accepted |
//! | [`hlog`] | `latency.hlog`, readable by HdrHistogram tools |
//! | [`search`] | what a search or a sweep came to: `search.json`, and as text |
//! | [`seeds`] | what many seeds came to, and in how far they differ |
//! | [`spread`] | how much the numbers of repeated runs differ |
//! | [`difference`] | where two runs differ, the machine and real time apart |
//! | [`upstream`] | what a scripted application server saw |
//! | [`words`], [`worlds`] | how things are worded |

pub mod baseline;
pub mod capacity;
mod chart;
pub mod comparison;
pub mod difference;
pub mod folder;
mod gather;
pub mod handler_check;
pub mod hints;
pub mod hlog;
pub mod html;
pub mod junit;
pub mod live;
pub mod markdown;
mod page;
pub mod recorder;
pub mod run_file;
pub mod search;
pub mod seeds;
pub mod spread;
mod storm;
pub mod story;
pub mod stream;
pub mod table;
pub mod text;
pub mod upstream;
mod webhooks;
pub mod words;
pub mod worlds;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod samples;

pub use folder::{FileError, RunFolder};
pub use recorder::{Recorded, Recorder};
pub use run_file::{RunFacts, RunFile};
pub use story::Story;

use crate::secret::Redactor;

/// Masks secrets in every string of a JSON value, keys included in none.
pub(crate) fn mask(redactor: &Redactor, value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => {
            let clean = redactor.redact(text);
            if clean != *text {
                *text = clean;
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| mask(redactor, item)),
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(|field| mask(redactor, field));
        }
        _ => {}
    }
}
