//! `squall doctor`: what this machine can carry.

use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::{CliError, Exit, print, run};
use crate::measure::Timings;
use crate::net::budget::processor;
use crate::predict::{Bound, HubPlace, Limits, clients_max};
use crate::report::table::{self, Column};
use crate::report::words;
use crate::verdict::SEND_LAG_P99_MAX;

/// Arguments of `squall doctor`.
#[derive(Debug, Args)]
pub struct DoctorArguments {}

/// Timers that are tried, and how long each waits.
const TIMERS: u32 = 100;
const TIMER: Duration = Duration::from_millis(5);

/// Prints limits, and the largest population that each place of the hub allows.
pub fn main(_arguments: &DoctorArguments) -> Result<Exit, CliError> {
    let limits = run::limits();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let late = timers_late()?;
    print(&answer(&limits));
    print("\n  The largest plain population (no relays, no traffic)\n");
    print(&places(&limits));
    print("\n  This machine\n");
    print(&machine(&limits, cores, &late));
    print(&advice(&limits, cores, &late));
    Ok(Exit::AsExpected)
}

/// How late timers of an idle runtime are.
fn timers_late() -> Result<Timings, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| CliError::Internal(format!("no runtime: {error}")))?;
    Ok(runtime.block_on(async {
        let mut late = Timings::growing();
        for _ in 0..TIMERS {
            let due = Instant::now() + TIMER;
            tokio::time::sleep_until(due).await;
            let micros = Instant::now().saturating_duration_since(due).as_micros();
            late.record(u64::try_from(micros).unwrap_or(u64::MAX));
        }
        late
    }))
}

const PLACES: [(HubPlace, &str); 3] = [
    (HubPlace::Embedded, "embedded hub, over sockets"),
    (HubPlace::Elsewhere, "squall hub, or a resource of yours"),
    (HubPlace::InMemory, "--world virtual"),
];

fn clients(hub: HubPlace, limits: &Limits) -> String {
    clients_max(hub, limits).map_or_else(|| "any".to_owned(), |(most, _)| words::number(most))
}

fn answer(limits: &Limits) -> String {
    format!(
        "This machine carries {} clients with the embedded hub, {} against a target elsewhere\n",
        clients(HubPlace::Embedded, limits),
        clients(HubPlace::Elsewhere, limits)
    )
}

fn places(limits: &Limits) -> String {
    let columns = [Column::Names("where"), Column::Figures("clients"), Column::Words("bounded by")];
    let row = |(hub, name): (HubPlace, &str)| {
        let bound = clients_max(hub, limits).map_or("nothing known", |(_, bound)| match bound {
            Bound::Descriptors => "open files",
            Bound::Ports => "ports",
            Bound::Memory => "memory",
        });
        vec![name.to_owned(), clients(hub, limits), bound.to_owned()]
    };
    table::render(&columns, PLACES.map(row).to_vec())
}

fn machine(limits: &Limits, cores: usize, late: &Timings) -> String {
    let told = |value: Option<String>| value.unwrap_or_else(|| "not known".to_owned());
    let columns = [Column::Names("what"), Column::Figures("has"), Column::Words("means")];
    let threads = words::counted(run::threads_for(cores) as u64, "generator thread");
    let files = match limits.descriptors_max {
        u64::MAX => "no limit".to_owned(),
        most => words::number(most),
    };
    let rows = [
        ("processor", told(processor()), String::new()),
        ("cores", words::number(cores as u64), format!("{threads} unless --threads says more")),
        ("open files", files, "one a client; two with the embedded hub".to_owned()),
        ("ports", told(limits.ports.map(words::number)), "one a client, towards one target".into()),
        (
            "memory to spare",
            told(limits.memory.map(words::bytes)),
            "16 KiB a client in the virtual world".to_owned(),
        ),
        (
            "timers late, p99",
            words::micros(late.value_at_quantile(0.99)),
            format!("a run whose sends are {} late is invalid", words::duration(SEND_LAG_P99_MAX)),
        ),
    ];
    let rows = rows.map(|(what, has, means)| vec![what.to_owned(), has, means]);
    table::render(&columns, rows.to_vec())
}

/// What to do where something is small.
fn advice(limits: &Limits, cores: usize, late: &Timings) -> String {
    let mut lines = Vec::new();
    if let Some((_, Bound::Descriptors)) = clients_max(HubPlace::Elsewhere, limits) {
        lines.push("more open files: `ulimit -Hn`, or LimitNOFILE= of the service".to_owned());
    }
    if let Some((_, Bound::Ports)) = clients_max(HubPlace::Elsewhere, limits) {
        lines.push("more ports: sysctl net.ipv4.ip_local_port_range=\"1024 65535\"".to_owned());
    }
    if cores == 1 {
        lines.push("one core: hub and clients take it from each other; count, time nothing".into());
    }
    let p99 = Duration::from_micros(late.value_at_quantile(0.99));
    if p99 > SEND_LAG_P99_MAX {
        lines.push("the machine is busy: timed runs will be invalid; use --world virtual".into());
    }
    if lines.is_empty() {
        return String::new();
    }
    lines.iter().fold("\n".to_owned(), |told, line| told + "  hint  " + line + "\n")
}
