//! User events at a rate, from an open loop: an event is due at its instant, whether those before
//! it were answered or not, and its time counts from there.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep_until};

use super::ask::Asker;
use super::client::Client;
use super::events::{Entry, Shown, payload};
use super::finding::{CheckName, Finding, Guide, LatencyFigures, Outcome};
use super::{Checker, Told, shown_time};
use crate::measure::Timings;
use crate::measure::latency::{HIGHEST_US, microseconds};
use crate::net::http::{HttpAnswer, HttpError};
use crate::protocol::webhook::{Event, SystemEvent};

/// Clients that send, at least and at most; events of one client come one after the other.
const CLIENTS_MIN: u64 = 4;
/// See [`CLIENTS_MIN`].
pub const CLIENTS_MAX: u64 = 64;
/// Number of the first of them.
const FIRST: u64 = 1_000;
/// Events between two words about them.
const TOLD_EVERY: u64 = 100;

/// Events at a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Events per second, above 0.
    pub rate: f64,
    /// For so long.
    pub lasting: Duration,
    /// The 99th percentile above which it fails.
    pub p99_max: Option<Duration>,
}

impl Load {
    /// Events planned; at least one.
    #[must_use]
    pub fn planned(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is capped")]
        let count = (self.rate * self.lasting.as_secs_f64()).ceil() as u64;
        count.max(1)
    }

    /// Clients that send.
    #[must_use]
    pub fn clients(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is capped")]
        let per_second = self.rate.ceil() as u64;
        per_second.clamp(CLIENTS_MIN, CLIENTS_MAX).min(self.planned())
    }

    fn due(&self, index: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        Duration::from_secs_f64(index as f64 / self.rate)
    }
}

/// An event that was answered, or not.
struct Flown<'a> {
    client: Client<'a>,
    outcome: Result<HttpAnswer, HttpError>,
    took: Duration,
}

impl<'a, T: FnMut(Told<'_>)> Checker<'a, T> {
    pub(super) async fn load(&mut self, shown: Shown) {
        let check = CheckName::Latency;
        if !shown.text {
            self.skipped(check, "no user event is taken");
            return;
        }
        let load = self.options.load;
        (self.tell)(Told::Load { done: 0, planned: load.planned() });
        let mut clients = VecDeque::new();
        for number in FIRST..FIRST + load.clients() {
            clients.push_back(self.enter(number, shown).await);
        }
        let (figures, clients) = self.send_all(clients).await;
        if self.options.system_events.contains(&SystemEvent::Disconnected) {
            for mut client in clients {
                // How these are answered has checks of its own.
                let _ = self.asker.call(&client.disconnected()).await;
            }
        }
        let finding = judge(&figures, load.p99_max);
        self.found(Finding { latency: Some(figures), ..finding });
    }

    /// A client that the handler has heard of.
    async fn enter(&self, number: u64, shown: Shown) -> Client<'a> {
        let mut client = self.client(number);
        if shown.entry == Entry::Granted {
            let question = client.connect();
            if let Ok(answer) = self.asker.call(&question).await {
                client.keep_all(&question.url, &answer.headers);
            }
        }
        if self.options.system_events.contains(&SystemEvent::Connected) {
            let _ = self.asker.call(&client.connected()).await;
        }
        client
    }

    /// Sends every event at its instant, or as soon as a client is free.
    async fn send_all(
        &mut self,
        mut free: VecDeque<Client<'a>>,
    ) -> (LatencyFigures, VecDeque<Client<'a>>) {
        let Self { options, asker, tell, .. } = self;
        let event = Event::User(options.event.clone());
        let load = options.load;
        let planned = load.planned();
        let began = Instant::now();
        let until = began + load.lasting + options.timeout;
        let mut figures = LatencyFigures { planned, ..LatencyFigures::default() };
        let mut times = Timings::up_to(HIGHEST_US);
        let mut under_way = FuturesUnordered::new();
        let (mut sent, mut done) = (0, 0);
        loop {
            let due = began + load.due(sent);
            let is_next = sent < planned && !free.is_empty() && due < until;
            let flown: Flown<'a> = tokio::select! {
                biased;
                Some(flown) = under_way.next() => flown,
                () = sleep_until(due), if is_next => {
                    if Instant::now() >= until {
                        break;
                    }
                    if let Some(client) = free.pop_front() {
                        under_way.push(send(asker, client, event.clone(), due));
                        sent += 1;
                    }
                    continue;
                }
                else => break,
            };
            if free.is_empty() && sent < planned && began + load.due(sent) < Instant::now() {
                figures.delayed += 1;
            }
            free.push_back(flown.client);
            match flown.outcome {
                Ok(answer) => {
                    *figures.statuses.entry(answer.status.as_u16()).or_default() += 1;
                    times.record(microseconds(flown.took));
                }
                Err(_) => figures.unanswered += 1,
            }
            done += 1;
            if done % TOLD_EVERY == 0 {
                tell(Told::Load { done, planned });
            }
        }
        figures.unsent = planned - sent;
        figures.p50_us = times.value_at_quantile(0.5);
        figures.p99_us = times.value_at_quantile(0.99);
        figures.max_us = times.max();
        (figures, free)
    }
}

async fn send<'a>(
    asker: &Asker<'a>,
    mut client: Client<'a>,
    event: Event,
    due: Instant,
) -> Flown<'a> {
    let question = client.user(event, payload(CheckName::Text));
    let outcome = asker.call(&question).await;
    if let Ok(answer) = &outcome {
        client.keep_all(&question.url, &answer.headers);
    }
    Flown { client, outcome, took: due.elapsed() }
}

fn judge(figures: &LatencyFigures, p99_max: Option<Duration>) -> Finding {
    let check = CheckName::Latency;
    let good: u64 = figures.statuses.range(200..300).map(|(_, count)| count).sum();
    let [p50, p99, max] = [figures.p50_us, figures.p99_us, figures.max_us]
        .map(|us| shown_time(Duration::from_micros(us)));
    let times = format!("p50 {p50}, p99 {p99}, max {max}");
    if good < figures.planned {
        let mut words: Vec<_> =
            figures.statuses.iter().map(|(status, count)| format!("{status} × {count}")).collect();
        for (count, what) in [(figures.unanswered, "no answer"), (figures.unsent, "not sent")] {
            if count > 0 {
                words.push(format!("{what} × {count}"));
            }
        }
        let what = format!("of {} events: {}; {times}", figures.planned, words.join(", "));
        let is_server = figures.statuses.range(500..).next().is_some();
        let guide = if is_server { Guide::ServerError } else { Guide::Debugging };
        return Finding::new(check, Outcome::Fail, what).guided(guide).changed(
            "one event after the other is taken, many at once are not: look for a limit of \
             requests, of connections to a database or of the plan, and for what cannot run twice \
             at a time",
        );
    }
    match p99_max {
        Some(most) if Duration::from_micros(figures.p99_us) > most => {
            let most = shown_time(most);
            Finding::new(check, Outcome::Fail, format!("{times}: p99 is over {most}"))
                .guided(Guide::CloudEvents)
                .changed(
                    "answer sooner, and do slow work after the answer: a client's next event waits \
                     for it",
                )
        }
        _ => {
            let what = format!("{} events, all taken; {times}", figures.planned);
            Finding::new(check, Outcome::Pass, what)
        }
    }
}
