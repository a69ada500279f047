//! `latency.hlog`: an HDR interval log (V2, deflated), readable by HdrHistogram tools. One interval
//! per series, over the whole run, in microseconds; its tag is `kind.view.population.stage`, and of
//! calls of event handlers `upstream.view.event`.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::words;
use crate::measure::{Distribution, LatencyKey, LatencySet};
use crate::scenario::Plan;

const COMMENT: &str = "[Squall latencies in microseconds; tag: kind.view.population.stage, and of \
                       event handlers upstream.view.event]";

/// The log of a set of latencies, and of how long events took for their handlers, by name. Fails
/// only on a defect of the serializer.
pub fn render(
    plan: &Plan,
    set: &LatencySet,
    upstream: &BTreeMap<String, Distribution>,
    started_unix_ns: u64,
    elapsed: Duration,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(COMMENT)
        .with_start_time(std::time::UNIX_EPOCH + Duration::from_nanos(started_unix_ns))
        .begin_log_with(&mut out, &mut serializer)
        .map_err(|error| error.to_string())?;
    let mut write = |histogram: &Histogram<u64>, tag: &str| {
        if histogram.is_empty() {
            return Ok(());
        }
        log.write_histogram(histogram, Duration::ZERO, elapsed, Tag::new(tag))
            .map_err(|error| error.to_string())
    };
    for (key, distribution) in set.iter() {
        write(distribution.response.histogram(), &tag(plan, key, "response"))?;
        write(distribution.service.histogram(), &tag(plan, key, "service"))?;
    }
    // Names of events hold neither a comma nor white space.
    for (event, distribution) in upstream {
        write(distribution.response.histogram(), &format!("upstream.response.{event}"))?;
        write(distribution.service.histogram(), &format!("upstream.service.{event}"))?;
    }
    Ok(out)
}

/// `message.response.healthy.after`; `all` where a series belongs to no population. Tags hold no
/// comma and no white space; population names hold neither.
fn tag(plan: &Plan, key: &LatencyKey, view: &str) -> String {
    let kind = match serde_json::to_value(key.kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    };
    let population = key
        .population
        .and_then(|index| plan.populations.get(usize::from(index)))
        .map_or("all", |population| population.name.as_str());
    format!("{kind}.{view}.{population}.{}", words::stage(key.stage))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::measure::{LatencyKind, Stage};
    use crate::report::samples;

    #[test]
    fn the_log_reads_back_exactly_with_a_tag_per_series() {
        let plan = samples::plan();
        let mut set = LatencySet::default();
        let key =
            |population, stage| LatencyKey { kind: LatencyKind::RestClose, population, stage };
        for micros in [1, 999, 70_015] {
            let took = Duration::from_micros(micros);
            set.record(key(Some(1), Stage::After), took * 2, took);
            set.record(key(None, Stage::Before), took, took);
        }
        let mut connect = Distribution::new();
        [1, 999, 70_015].into_iter().for_each(|us| connect.response.record(us));
        let upstream = BTreeMap::from([("connect".to_owned(), connect)]);
        let started = 1_500_000_000_000_000_000;
        let log = render(&plan, &set, &upstream, started, Duration::from_secs(8)).unwrap();
        assert!(String::from_utf8(log.clone()).unwrap().contains("#[StartTime: 1500000000.000"));
        let mut tags = Vec::new();
        for entry in IntervalLogIterator::new(&log) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(interval.encoded_histogram())
                .unwrap();
            let read: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            assert_eq!((read.len(), interval.duration()), (3, Duration::from_secs(8)));
            tags.push(interval.tag().unwrap().as_str().to_owned());
        }
        tags.sort();
        assert_eq!(
            tags,
            [
                "rest-close.response.all.before",
                "rest-close.response.muted.after",
                "rest-close.service.all.before",
                "rest-close.service.muted.after",
                "upstream.response.connect",
            ]
        );
    }
}
