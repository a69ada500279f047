//! What the virtual world costs: the drop scenarios in real time, a soak's deliveries a second on
//! one core, and the memory of a client with its link and the hub's side of it.
//!
//! ```sh
//! cargo bench --bench virtual_world                  # drops, soak of one virtual hour, 100,000 clients
//! cargo bench --bench virtual_world -- soak 24h      # a part alone; the whole day
//! cargo bench --bench virtual_world -- clients 700000
//! ```
//!
//! Every figure is taken from a run of the binary as a user would start it, with every check,
//! histogram and file that such a run has. A world lives on one thread. A figure past its limit
//! ends the benchmark with an error; the limits are wide enough for a busy machine.

//!
//! What a profile of the soak shows (`perf record squall run soak --profile real --set duration=20m
//! --world virtual`, share of CPU samples by function): checking every delivery for loss and order
//! 27 % (three hundred streams a member, so mostly cache misses), tokio's tasks 14 %, the hub 12 %,
//! websocket and JSON frames 11 %, the clients 9 %, the links 8 %, the simulated clock 5 %, copying
//! bytes 4 %, memory 2 %, histograms under 2 %, the kernel 1 %.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Turns of the drop scenarios, of which the median counts.
const TURNS: usize = 5;
/// Longest that the drop scenarios may take together, in seconds of real time.
const DROPS_SECONDS_MAX: f64 = 2.0;
/// Least deliveries of the soak per second of CPU: a core's worth, whatever else the machine does.
const DELIVERIES_MIN: f64 = 400_000.0;
/// Most resident memory of a client with its link and the hub's side of it, in bytes: 100,000 within
/// 2 GiB, and 700,000 within 16 GiB.
const PAIR_BYTES_MAX: f64 = (2_u64 << 30) as f64 / 100_000.0;
/// Clock ticks a second in `/proc/self/stat` (USER_HZ, the same on every Linux).
const TICKS: u64 = 100;

/// One run of the binary, and what it took.
struct Run {
    folder: tempfile::TempDir,
    /// Real time of the whole process, in seconds.
    real: f64,
    /// CPU time of the whole process, in seconds.
    cpu: f64,
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            drops();
            soak("1h");
            clients("100000");
        }
        ["drops"] => drops(),
        ["soak", length] => soak(length),
        ["clients", count] => clients(count),
        _ => panic!("expected nothing, `drops`, `soak 24h` or `clients 100000`"),
    }
}

/// All drop scenarios, side by side on the cores, files and reports included.
fn drops() {
    let mut took: Vec<f64> = (0..TURNS).map(|_| run(&["drops"]).real).collect();
    took.sort_by(f64::total_cmp);
    let median = took[TURNS / 2];
    let simulated: f64 = {
        let run = run(&["drops"]);
        let runs = fs::read_dir(run.folder.path().join("out")).unwrap();
        runs.map(|entry| seconds(&read(&entry.unwrap().path()), "/elapsed_ns")).sum()
    };
    println!("drops    {median:.2} s real for {simulated:.1} s simulated (median of {TURNS})");
    assert!(median < DROPS_SECONDS_MAX, "the limit is {DROPS_SECONDS_MAX} s");
}

/// Three hundred clients in one group, ten messages a second, 1 % churn a minute.
fn soak(length: &str) {
    let duration = format!("duration={length}");
    let run = run(&["soak", "--profile", "real", "--set", &duration]);
    let result = read(&run.folder.path().join("out"));
    let deliveries = received(&result);
    let simulated = seconds(&result, "/elapsed_ns");
    println!(
        "soak     {length}: {deliveries:.0} deliveries in {:.1} s real ({:.1} s of CPU): {:.0} a \
         second, {:.0} per CPU second; {:.0} times as fast as real time",
        run.real,
        run.cpu,
        deliveries / run.real,
        deliveries / run.cpu,
        simulated / run.real,
    );
    assert!(deliveries / run.cpu >= DELIVERIES_MIN, "the limit is {DELIVERIES_MIN} a CPU second");
}

/// Clients that are connected and answer a ping every twenty seconds.
fn clients(count: &str) {
    let scenario = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    fs::write(scenario.path(), hold(count)).unwrap();
    let run = run(&[scenario.path().to_str().unwrap()]);
    let result = read(&run.folder.path().join("out"));
    let open = number(&result, "/generator/open_peak");
    let peak = number(&result, "/machine/resident_peak_bytes");
    println!(
        "clients  {open:.0} open at once: {:.2} GiB resident at most, {:.1} KiB a connection pair; \
         {:.0} s real for {:.0} s simulated",
        peak / f64::from(1 << 30),
        peak / 1024.0 / open,
        run.real,
        seconds(&result, "/elapsed_ns"),
    );
    assert!(peak / open <= PAIR_BYTES_MAX, "the limit is {PAIR_BYTES_MAX:.0} bytes a pair");
}

/// Everybody arrives within ten seconds and stays for three pings.
fn hold(count: &str) -> String {
    let rate = count.parse::<u64>().unwrap().div_ceil(10);
    format!(
        "title = \"clients that hold their connection\"\n\
         duration = \"75s\"\n\
         [hub]\n\
         profile = \"real\"\n\
         tier = \"premium\"\n\
         units = \"auto\"\n\
         [populations.members]\n\
         count = {count}\n\
         arrival = {{ rate = \"{rate}/s\" }}\n\
         lifetime = \"65s\"\n\
         [expect.members]\n\
         closes = {{ Normal = \"all\" }}\n"
    )
}

/// Runs the binary in a virtual world; one that does not pass ends the benchmark.
fn run(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let clock = tokio::time::Instant::now();
    let cpu = child_ticks();
    let status = Command::new(env!("CARGO_BIN_EXE_squall"))
        .arg("run")
        .args(arguments)
        .args(["--world", "virtual", "--quiet", "--out", "out"])
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    let real = clock.elapsed().as_secs_f64();
    assert!(status.success(), "{arguments:?}: {status}");
    #[expect(clippy::cast_precision_loss, reason = "ticks of minutes")]
    let cpu = (child_ticks() - cpu) as f64 / TICKS as f64;
    Run { folder, real, cpu }
}

/// CPU time of all children so far (fields 16 and 17 of `/proc/self/stat`), in ticks.
fn child_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let behind_name = stat.rsplit(") ").next().unwrap();
    let mut fields = behind_name.split(' ').skip(13).map(|field| field.parse::<u64>().unwrap());
    fields.next().unwrap() + fields.next().unwrap()
}

fn read(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap()
}

fn number(run: &Value, pointer: &str) -> f64 {
    run.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer}"))
}

fn seconds(run: &Value, pointer: &str) -> f64 {
    number(run, pointer) / 1e9
}

fn received(run: &Value) -> f64 {
    let populations = run["populations"].as_array().unwrap();
    populations.iter().map(|population| number(population, "/delivery/received")).sum()
}
