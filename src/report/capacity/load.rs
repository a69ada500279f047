//! The load of a recorded run, as the text of a workload file: what was seen, and what had to be
//! assumed.

use std::fmt::Write as _;

use super::super::run_file::{RunFile, TargetPlace};
use crate::capacity::{Assumption, Basis};

/// Size of a message where a run does not tell it: the benchmark's.
const SIZE_ASSUMED: f64 = 2_048.0;

/// Share of the connections that a message must reach on average to count as a broadcast.
const EVERYONE: f64 = 0.95;

/// System events, which no client sends.
const SYSTEM_EVENTS: [&str; 4] = ["connect", "connected", "disconnected", "validate"];

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

/// The workload of a run; `None` when nobody was ever connected, or for no time.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn workload_of(run: &RunFile) -> Option<Taken> {
    let connections = run.generator.open_peak;
    let seconds = run.elapsed_ns as f64 / 1e9;
    if connections == 0 || seconds <= 0.0 {
        return None;
    }
    let basis = match run.run.target.place {
        TargetPlace::Remote => Basis::Measured,
        TargetPlace::Embedded | TargetPlace::Loopback => Basis::Model,
    };
    let mut taken = Taken { text: String::new(), basis, notes: Vec::new() };
    taken.note(&format!("connections: the peak of the run, {connections}"), basis);
    taken.note(
        &format!("rates: averages over the whole run of {seconds:.1} s; peaks were higher"),
        Basis::Assumption,
    );
    let title = format!("load of the run of {}", run.run.scenario);
    let _ = writeln!(taken.text, "title = {title:?}\nconnections = {connections}");
    taken.messages(run, connections as f64, seconds);
    taken.events(run, seconds);
    Some(taken)
}

impl Taken {
    fn note(&mut self, what: &str, basis: Basis) {
        self.notes.push(Assumption { what: what.to_owned(), source: "run.json", basis });
    }

    fn traffic(&mut self, name: &str, to: &str, senders: u64, rate: f64, size: f64) {
        let _ = writeln!(
            self.text,
            "\n[traffic.{name}]\nto = {to}\nsenders = {senders}\nrate = \"{rate:.12}/s\"\n\
             size = \"{:.0}B\"",
            size.max(1.0)
        );
    }

    /// What clients published, or what came without that.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "counts are far below 2^53"
    )]
    fn messages(&mut self, run: &RunFile, connections: f64, seconds: f64) {
        let published = run.populations.iter().map(|one| one.published).sum::<u64>() as f64;
        let counters = run.hub_counters.as_ref().filter(|counters| counters.deliveries > 0);
        let delivered = counters.map_or(run.delivery().received, |counters| counters.deliveries);
        let delivered = delivered as f64;
        if delivered <= 0.0 {
            self.note("no message was delivered", self.basis);
            return;
        }
        let size = match counters {
            Some(counters) => {
                let size = counters.outbound_traffic as f64 / delivered;
                self.note(&format!("size: outbound bytes / deliveries, {size:.0}"), self.basis);
                size
            }
            None => {
                self.note("size: not known of this target, 2,048 bytes", Basis::Assumption);
                SIZE_ASSUMED
            }
        };
        if published <= 0.0 {
            self.note("messages that no client published: as REST to user", Basis::Assumption);
            self.traffic("messages", "\"rest-to-user\"", 1, delivered / seconds, size);
            return;
        }
        let receivers = (delivered / published).max(1.0);
        // Deliveries decide what breaks and what is billed: they are kept exactly.
        if receivers >= EVERYONE * connections {
            self.note("a message reached nearly everybody: a broadcast", Basis::Assumption);
            let rate = delivered / connections / seconds;
            self.traffic("messages", "\"everyone\"", 1, rate, size);
            return;
        }
        let members = receivers.round().min(connections);
        self.note(
            &format!("receivers: deliveries / published, {receivers:.2}, as groups of {members}"),
            Basis::Assumption,
        );
        let groups = (connections / members).ceil() as u64;
        let to = format!("{{ groups = {{ count = {groups}, members = {members:.0} }} }}");
        let rate = delivered / members / connections / seconds;
        self.traffic("messages", &to, connections as u64, rate, size);
    }

    /// User events that went to event handlers.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    fn events(&mut self, run: &RunFile, seconds: f64) {
        let Some(counters) = &run.hub_counters else { return };
        let user = counters.webhooks.events.iter();
        let user = user.filter(|(name, _)| !SYSTEM_EVENTS.contains(&name.as_str()));
        let begun: u64 = user.map(|(_, events)| events.begun).sum();
        if begun > 0 {
            self.note("user events: with the benchmark's size, each answered", Basis::Assumption);
            self.traffic("events", "\"upstream\"", 1, begun as f64 / seconds, SIZE_ASSUMED);
        }
    }
}
