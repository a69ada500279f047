//! The load of a recorded run, as the text of a workload file: what was seen, and what had to be
//! assumed.

use std::fmt::Write as _;

use super::super::run_file::{
    BusiestStretch, RunFile, TargetPlace, TrafficFacts, TrafficFrom, TrafficTo,
};
use crate::capacity::{Assumption, Basis};

/// Share of the connections that a message must reach on average to count as a broadcast.
const EVERYONE: f64 = 0.95;

/// What a run says of a workload.
#[derive(Clone, Debug)]
pub struct Taken {
    /// A workload file.
    pub text: String,
    /// What its numbers rest on: a run against a real resource was measured, any other modelled.
    pub basis: Basis,
    /// What was taken and what was assumed.
    pub notes: Vec<Assumption>,
}

/// Why a run says nothing of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLoad {
    /// No connection was ever open.
    #[error("nobody was connected in that run")]
    NobodyConnected,
    /// The run is older than its field `traffic`.
    #[error(
        "that run was recorded by a version of Squall that did not tell its traffic apart: run it \
         again"
    )]
    NoTraffic,
}

/// The workload of a run.
///
/// # Errors
///
/// When nobody was ever connected, or the run does not tell its traffic.
pub fn workload_of(run: &RunFile) -> Result<Taken, NoLoad> {
    let connections = run.generator.open_peak;
    if connections == 0 {
        return Err(NoLoad::NobodyConnected);
    }
    let traffic = run.traffic.as_ref().ok_or(NoLoad::NoTraffic)?;
    let basis = match run.run.target.place {
        TargetPlace::Remote => Basis::Measured,
        TargetPlace::Embedded | TargetPlace::Loopback => Basis::Model,
    };
    let mut taken = Taken { text: String::new(), basis, notes: Vec::new() };
    let title = format!("load of the run of {}", run.run.scenario);
    let _ = writeln!(taken.text, "title = {title:?}\nconnections = {connections}");
    taken.note(format!("connections: the peak of the run, {connections}"), basis);
    let unread = unread(run, traffic);
    if unread > 1.0 {
        let more = (unread - 1.0) * 100.0;
        let what = format!("{more:.1} % more was delivered than clients have read: it counts");
        taken.note(what, basis);
    }
    let mut silent = Vec::new();
    for one in traffic {
        match one.busiest.filter(|busiest| busiest.sent > 0) {
            Some(busiest) => taken.traffic(one, busiest, connections, unread),
            None => silent.push(one.name.as_str()),
        }
    }
    if !silent.is_empty() {
        taken.note(format!("nothing was sent as {}", silent.join(", ")), basis);
    }
    Ok(taken)
}

/// What was delivered, as a multiple of what clients have read: more where they did not read all,
/// which only the hub can tell. Events have an answer each, whether it held their data or not.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn unread(run: &RunFile, traffic: &[TrafficFacts]) -> f64 {
    let Some(counters) = &run.hub_counters else { return 1.0 };
    let (mut read, mut answers) = (0_u64, 0_u64);
    for one in traffic {
        match one.to {
            TrafficTo::Event => answers += one.sent.max(one.received),
            TrafficTo::Group
            | TrafficTo::Rooms { .. }
            | TrafficTo::Users
            | TrafficTo::Everybody => read += one.received,
        }
    }
    let delivered = counters.deliveries.saturating_sub(answers);
    if read == 0 { 1.0 } else { (delivered as f64 / read as f64).max(1.0) }
}

impl Taken {
    fn note(&mut self, what: String, basis: Basis) {
        self.notes.push(Assumption { what, source: "run.json", basis });
    }

    /// One traffic of the run as one of the workload. Deliveries decide what breaks and what is
    /// billed: they are kept exactly, where a message has a whole number of receivers the messages
    /// sent are as well.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    fn traffic(&mut self, one: &TrafficFacts, busiest: BusiestStretch, of: u64, unread: f64) {
        let name = &one.name;
        let seconds = busiest.lasting_ns as f64 / 1e9;
        let (sent, connections) = (busiest.sent as f64 / seconds, of as f64);
        let out = busiest.received as f64 / seconds * unread;
        let receivers = out / sent;
        self.note(
            format!(
                "{name}: {sent:.1}/s in, {out:.1}/s out, \
                 its busiest {seconds:.0} s from {:.0} s on",
                busiest.from_ns as f64 / 1e9,
            ),
            self.basis,
        );
        let senders = match one.from {
            TrafficFrom::Clients => one.senders.clamp(1, of),
            TrafficFrom::Rest => 1,
        };
        // A sender that does not get its own messages is a member all the same.
        let own = if one.echoed { 0.0 } else { 1.0 };
        let is_broadcast = receivers >= EVERYONE * (connections - own);
        // Nobody there is nobody to count by.
        let by = |reached: f64| if out > 0.0 { out / reached.max(1.0) } else { sent };
        let (to, messages) = match one.to {
            TrafficTo::Event => {
                let what = format!("{name}: each event has an answer of its own size");
                self.note(what, Basis::Assumption);
                ("\"upstream\"".to_owned(), sent)
            }
            TrafficTo::Users => ("\"rest-to-user\"".to_owned(), sent.max(out)),
            TrafficTo::Everybody => ("\"rest-broadcast\"".to_owned(), by(connections)),
            TrafficTo::Group | TrafficTo::Rooms { .. } if is_broadcast => {
                let what = format!("{name}: a message reached nearly everybody: a broadcast");
                self.note(what, Basis::Assumption);
                let to = match one.from {
                    TrafficFrom::Clients => "\"everyone\"",
                    TrafficFrom::Rest => "\"rest-broadcast\"",
                };
                (to.to_owned(), by(connections - own))
            }
            TrafficTo::Group | TrafficTo::Rooms { .. } => {
                let count = match one.to {
                    TrafficTo::Rooms { count } => count.max(1),
                    _ => 1,
                };
                let reached = receivers.round().max(1.0);
                let members = (reached + own).min(connections);
                let what = format!("{name}: {receivers:.2} receivers, as groups of {members}");
                self.note(what, Basis::Assumption);
                let to = format!("{{ groups = {{ count = {count}, members = {members:.0} }} }}");
                (to, by(reached))
            }
        };
        let echoed = if one.echoed { "" } else { "no_echo = true\n" };
        let _ = write!(
            self.text,
            "\n[traffic.{name:?}]\nto = {to}\nsenders = {senders}\nrate = \"{:.12}/s\"\n\
             size = \"{}B\"\n{echoed}",
            messages / senders as f64,
            one.size_bytes,
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::super::samples;
    use super::*;
    use crate::capacity::{self, Flags, Pattern};
    use crate::protocol::control::Counters;
    use crate::scenario::Source;

    /// A traffic of 20 clients that was busiest in ten seconds of its twenty.
    fn traffic(name: &str, to: TrafficTo, sent: u64, received: u64) -> TrafficFacts {
        TrafficFacts {
            name: name.to_owned(),
            from: TrafficFrom::Clients,
            senders: 20,
            to,
            size_bytes: 512,
            echoed: true,
            sent: 2 * sent,
            received: 2 * received,
            busiest: Some(BusiestStretch {
                from_ns: 5_000_000_000,
                lasting_ns: 10_000_000_000,
                sent,
                received,
            }),
        }
    }

    /// The sample run, of a hundred connections, with such traffic.
    fn run(traffic: Vec<TrafficFacts>, deliveries: u64) -> RunFile {
        RunFile {
            traffic: Some(traffic),
            hub_counters: Some(Counters { deliveries, ..Counters::default() }),
            ..samples::passed()
        }
    }

    fn flows(taken: &Taken) -> Vec<capacity::Flow> {
        let source = Source { name: "run".into(), origin: "run".into(), text: taken.text.clone() };
        let workload = capacity::load(&source, &Flags::default(), &|_| None).unwrap();
        capacity::flows(&workload)
    }

    fn close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= 1e-6 * expected.abs(), "{actual} is not {expected}");
    }

    fn notes(taken: &Taken) -> String {
        taken.notes.iter().map(|note| format!("{}\n", note.what)).collect()
    }

    /// 200 events and their answers in 10 s are 20 a second each way, and no message to any group.
    #[test]
    fn answers_of_events_are_no_messages_to_groups() {
        let talk = traffic("talk", TrafficTo::Rooms { count: 10 }, 100, 1_000);
        let asks = traffic("asks", TrafficTo::Event, 200, 200);
        let taken = workload_of(&run(vec![talk, asks], 2_400)).unwrap();
        let [talk, asks] = &flows(&taken)[..] else { panic!("two of them") };
        assert_eq!((talk.pattern, talk.receivers), (Pattern::SmallGroup, 10));
        close(talk.messages_in, 10.0);
        close(talk.messages_out, 100.0);
        assert_eq!(asks.pattern, Pattern::Echo);
        close(asks.messages_out, 20.0);
        close(asks.upstream_requests, 20.0);
        assert!(!notes(&taken).contains("more was delivered"), "{}", notes(&taken));
    }

    /// Of 400 events in all nobody saw an answer of its own data: they were answered otherwise.
    /// 2,000 deliveries to groups were read, 2,500 made.
    #[test]
    fn what_was_delivered_and_not_read_counts_as_well() {
        let talk = traffic("talk", TrafficTo::Rooms { count: 10 }, 100, 1_000);
        let asks = traffic("asks", TrafficTo::Event, 200, 0);
        let taken = workload_of(&run(vec![talk, asks], 2_900)).unwrap();
        close(flows(&taken)[0].messages_out, 125.0);
        close(flows(&taken)[1].messages_out, 20.0);
        assert!(notes(&taken).contains("25.0 % more was delivered"), "{}", notes(&taken));
    }

    #[test]
    fn a_sender_that_does_not_hear_itself_is_a_member_of_its_group() {
        let quiet = |to, sent, received| TrafficFacts {
            echoed: false,
            ..traffic("talk", to, sent, received)
        };
        let rooms = quiet(TrafficTo::Rooms { count: 10 }, 100, 900);
        let everybody = quiet(TrafficTo::Group, 100, 9_900);
        let taken = workload_of(&run(vec![rooms, everybody], 0)).unwrap();
        // Names of a workload are unique, those of a scenario are as well.
        let text = taken.text.replacen("talk", "rooms", 1);
        let flows = flows(&Taken { text, ..taken.clone() });
        assert!(taken.text.contains("members = 10"), "{}", taken.text);
        assert!(taken.text.contains("\"everyone\""), "{}", taken.text);
        for (flow, receivers, out) in [(&flows[0], 9, 90.0), (&flows[1], 99, 990.0)] {
            assert_eq!(flow.receivers, receivers);
            close(flow.messages_in, 10.0);
            close(flow.messages_out, out);
        }
    }

    #[test]
    fn calls_of_rest_are_what_they_were() {
        let rest = |to, sent, received| TrafficFacts {
            from: TrafficFrom::Rest,
            senders: 1,
            ..traffic("calls", to, sent, received)
        };
        for (to, sent, received, pattern, out) in [
            (TrafficTo::Users, 50, 50, Pattern::RestToUser, 5.0),
            (TrafficTo::Users, 50, 0, Pattern::RestToUser, 5.0),
            (TrafficTo::Everybody, 10, 1_000, Pattern::RestBroadcast, 100.0),
            (TrafficTo::Group, 10, 1_000, Pattern::RestBroadcast, 100.0),
            (TrafficTo::Group, 10, 120, Pattern::SmallGroup, 12.0),
        ] {
            let taken = workload_of(&run(vec![rest(to, sent, received)], 0)).unwrap();
            let flow = &flows(&taken)[0];
            assert_eq!(flow.pattern, pattern);
            close(flow.messages_out, out);
        }
    }

    #[test]
    fn a_run_that_tells_too_little_is_refused_and_a_silent_one_is_not() {
        let old = RunFile { traffic: None, ..samples::passed() };
        assert_eq!(workload_of(&old).unwrap_err(), NoLoad::NoTraffic);
        let mut nobody = run(Vec::new(), 0);
        nobody.generator.open_peak = 0;
        assert_eq!(workload_of(&nobody).unwrap_err(), NoLoad::NobodyConnected);
        let silent = TrafficFacts { busiest: None, ..traffic("talk", TrafficTo::Group, 0, 0) };
        let taken = workload_of(&run(vec![silent], 0)).unwrap();
        assert!(flows(&taken).is_empty());
        assert!(notes(&taken).contains("nothing was sent as talk"));
    }
}
