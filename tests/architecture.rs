//! Reads the sources and enforces the design: layers point downwards only, what would make a run
//! unrepeatable is not used, files and functions stay small enough to know.
//!
//! Every failure names the file, the line and the remedy.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what it may import of this crate.
const LAYERS: [(&str, &[&str]); 18] = [
    ("secret", &[]),
    ("protocol", &["secret"]),
    ("event", &["secret", "protocol"]),
    ("measure", &["secret", "protocol", "event"]),
    ("scenario", &["secret", "protocol", "event", "measure", "pace"]),
    ("pace", &["secret", "protocol", "event", "measure", "scenario"]),
    ("capacity", &["protocol", "scenario"]),
    ("predict", &["secret", "protocol", "event", "measure", "scenario", "pace"]),
    ("verdict", &["secret", "protocol", "event", "measure", "scenario", "pace", "predict"]),
    ("net", &["secret", "protocol", "event", "measure", "scenario", "pace", "predict"]),
    ("ws", &["secret", "protocol", "event", "measure", "scenario", "pace", "net"]),
    ("hub", &["secret", "protocol", "event", "measure", "scenario", "pace", "net", "ws"]),
    (
        "upstream",
        &["secret", "protocol", "event", "measure", "scenario", "pace", "predict", "net", "ws"],
    ),
    ("handler_check", &["secret", "protocol", "measure", "net"]),
    ("client", &["secret", "protocol", "event", "measure", "scenario", "pace", "net", "ws"]),
    (
        "engine",
        &[
            "secret", "protocol", "event", "measure", "scenario", "pace", "predict", "verdict",
            "net", "ws", "client",
        ],
    ),
    (
        "report",
        &[
            "secret",
            "protocol",
            "event",
            "measure",
            "scenario",
            "pace",
            "capacity",
            "predict",
            "verdict",
            "handler_check",
        ],
    ),
    (
        "cli",
        &[
            "secret",
            "protocol",
            "event",
            "measure",
            "scenario",
            "pace",
            "capacity",
            "predict",
            "verdict",
            "net",
            "ws",
            "hub",
            "upstream",
            "handler_check",
            "client",
            "engine",
            "report",
        ],
    ),
];

/// Layers 0 and 1 know nothing of tokio, sockets or files.
const WITHOUT_IO: [&str; 9] = [
    "secret", "protocol", "event", "measure", "scenario", "pace", "capacity", "predict", "verdict",
];

/// Text that may not stand in the sources, where it may after all (starts of paths below `src/`), and
/// what to use instead.
type Ban = (&'static str, &'static [&'static str], &'static str);

/// Banned everywhere, tests in the sources included.
const BANNED: [Ban; 29] = [
    ("SystemTime", &["net/clock.rs"], "wall time comes from net::Clock"),
    ("std::time::Instant", &[], "use tokio::time::Instant"),
    ("rand::rng(", &[], "randomness comes from pace::stream"),
    ("thread_rng", &[], "randomness comes from pace::stream"),
    ("SysRng", &[], "randomness comes from pace::stream"),
    ("Uuid::new_v4", &[], "ids come from pace::stream"),
    ("HashMap", &[], "use BTreeMap or a sorted Vec: hash order must not reach a result"),
    ("HashSet", &[], "use BTreeSet: hash order must not reach a result"),
    ("futures::select!", &[], "use tokio::select! with biased"),
    ("spawn_blocking", &["cli/", "report/"], "foreign threads wake tasks out of order"),
    ("tokio::fs", &["cli/", "report/"], "foreign threads wake tasks out of order"),
    ("static mut", &[], "worlds share nothing"),
    ("OnceLock", &[], "worlds share nothing; pass it along"),
    ("LazyLock", &[], "worlds share nothing; pass it along"),
    ("thread_local!", &[], "state belongs to the world, not to the thread"),
    ("std::sync::mpsc", &[], "queues between threads are tokio's, bounded"),
    ("unbounded_channel", &[], "every queue is bounded"),
    ("mpsc::unbounded", &[], "every queue is bounded"),
    ("hash_map", &[], "use BTreeMap: hash order must not reach a result"),
    ("hash_set", &[], "use BTreeSet: hash order must not reach a result"),
    ("RandomState", &[], "hash order must not reach a result"),
    ("DefaultHasher", &[], "digests that a result depends on are sha2's"),
    ("rand::random", &[], "randomness comes from pace::stream"),
    ("getrandom", &[], "randomness comes from pace::stream"),
    ("tokio_unstable", &[], "no unstable part of tokio is used"),
    ("thread::sleep", &[], "waits are on tokio's clock and interruptible"),
    ("todo!(", &[], "finish it"),
    ("unimplemented!(", &[], "finish it"),
    ("dbg!(", &[], "remove it"),
];

/// Banned from whatever runs; tests in the sources may use it.
const BANNED_FROM_RUNS: [Ban; 43] = [
    // Time.
    ("time::UNIX_EPOCH", &["report/hlog.rs"], "wall time comes from net::Clock"),
    ("Timestamp::now", &[], "wall time comes from net::Clock"),
    ("Zoned::now", &[], "wall time comes from net::Clock"),
    ("time::pause", &[], "only a world's runtime decides how its clock goes"),
    ("time::resume", &[], "only a world's runtime decides how its clock goes"),
    ("time::advance", &[], "time passes when everybody waits; nobody pushes it"),
    ("start_paused", &["cli/world.rs"], "only the virtual world's clock stands still"),
    ("yield_now", &[], "wait for what you need: polling on a paused clock never ends"),
    ("spin_loop", &[], "wait for what you need: polling on a paused clock never ends"),
    // Randomness.
    ("seed_from_u64", &[], "randomness comes from pace::stream, one stream per purpose"),
    ("from_seed", &["pace/"], "randomness comes from pace::stream, one stream per purpose"),
    ("StdRng", &[], "streams are ChaCha8, the same in every version"),
    ("SmallRng", &[], "streams are ChaCha8, the same in every version"),
    // Threads.
    ("thread::Builder", OWN_THREADS, "a world has one thread; shards have theirs from shard.rs"),
    ("thread::spawn", OWN_THREADS, "a world has one thread; shards have theirs from shard.rs"),
    ("thread::scope", OWN_THREADS, "a world has one thread; shards have theirs from shard.rs"),
    ("thread::current", &[], "nothing depends on the thread it is on"),
    ("ThreadId", &[], "nothing depends on the thread it is on"),
    ("available_parallelism", &["cli/"], "cores are a fact of the machine: cli passes them on"),
    ("new_current_thread", OWN_THREADS, "one runtime per thread, made where the thread is"),
    ("new_multi_thread", &[], "clients and connections stay on their thread"),
    ("Runtime::new", &[], "clients and connections stay on their thread"),
    ("block_on(", OWN_THREADS, "one runtime per thread, entered where the thread is"),
    ("futures::executor", &[], "everything runs in the world's one runtime"),
    ("tokio::spawn", &[], "use spawn_local: clients and connections stay on their thread"),
    ("task::spawn(", &[], "use spawn_local: clients and connections stay on their thread"),
    ("block_in_place", &[], "a blocking call holds up everybody else on the thread"),
    ("Mutex", &[], "threads talk through bounded mailboxes only"),
    ("RwLock", &[], "threads talk through bounded mailboxes only"),
    ("watch::channel", WATCHES, "its receivers are woken in an order drawn anew in every process"),
    (
        "watch::Sender::new",
        WATCHES,
        "it wakes its receivers in an order drawn anew in every process",
    ),
    // The machine and its system.
    ("lookup_host", &["net/connect.rs"], "a foreign thread looks names up: not in a virtual world"),
    ("to_socket_addrs", &[], "it blocks; net::connect looks names up"),
    ("tokio::net", &["net/"], "peers meet over net::Stream, whatever carries it"),
    ("socket2", &["net/"], "peers meet over net::Stream, whatever carries it"),
    ("tokio::signal", &["cli/interrupt.rs"], "wishes to stop come in through engine::Stop"),
    ("std::env", &["cli/"], "the environment is input, which cli reads"),
    ("std::fs", READS_FILES, "files are written by report and read by cli"),
    ("/proc/", READS_LIMITS, "what the machine allows is read in net::budget"),
    ("resident_bytes", MEASURES_MEMORY, "the machine's memory is no fact of a virtual world"),
    ("process::id", &["report/folder.rs"], "a process id differs from run to run"),
    ("is_terminal", &["cli/"], "cli decides how much a terminal is shown"),
    ("WebSocketStream", &[], "ws is our own codec; this is the second opinion of tests"),
];

const OWN_THREADS: &[&str] = &["engine/shard.rs", "cli/"];
const READS_LIMITS: &[&str] = &["net/budget.rs", "net/listen.rs"];
const READS_FILES: &[&str] =
    &["cli/", "report/", "net/budget.rs", "net/listen.rs", "net/connect.rs"];
/// Wishes to stop and the hub's end, which come after what is told; a relay's only receiver.
const WATCHES: &[&str] =
    &["cli/interrupt.rs", "engine/mod.rs", "engine/dispatcher.rs", "hub/state.rs", "net/relay.rs"];
/// The engine asks in the sockets world only.
const MEASURES_MEMORY: &[&str] = &["net/budget.rs", "engine/gather.rs", "cli/session.rs"];

/// Text by which the address of something could reach a result: allocation differs from run to run.
const ADDRESSES: [&str; 7] =
    ["as_ptr(", "ptr::from_ref", "addr_of", ":p}", "*const ", "*mut ", "ptr::addr"];

/// Features of tokio that may be used: none that starts threads of its own.
const TOKIO_FEATURES: [&str; 8] =
    ["rt", "macros", "net", "time", "sync", "signal", "io-util", "test-util"];

/// Longest source file, in lines.
const FILE_LINES_MAX: usize = 700;

struct SourceFile {
    /// Path below `src/`, with forward slashes.
    path: String,
    text: String,
}

impl SourceFile {
    /// Top-level module the file belongs to.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// Modules between the crate's root and the file's own contents: 1 for `hub/mod.rs`.
    fn depth(&self) -> usize {
        self.path.matches('/').count() + usize::from(!self.path.ends_with("mod.rs"))
    }

    /// The lines without comments and without what is compiled for tests only, with their numbers
    /// from 1. A test module with a body is the last thing of a file.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        let mut lines = (1..).zip(self.text.lines());
        while let Some((number, line)) = lines.next() {
            if line.starts_with("#[cfg(test)]") {
                let tested = lines.find(|(_, line)| !line.starts_with("#["));
                if tested.is_some_and(|(_, line)| line.ends_with(';')) {
                    continue;
                }
                break;
            }
            let line = line.split("//").next().unwrap_or_default();
            if !line.trim().is_empty() {
                code.push((number, line));
            }
        }
        code
    }
}

fn sources() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push(SourceFile { path: below, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 30, "the sources were not found");
    files
}

/// Modules of this crate that a line of code names: after `crate::`, or after as many `super::` as
/// lead from `depth` to the crate's root. (Lists behind them are refused elsewhere.)
fn imports(line: &str, depth: usize) -> Vec<&str> {
    let root = "super::".repeat(depth);
    let mut found = Vec::new();
    for marker in ["crate::", root.as_str()] {
        for (at, _) in line.match_indices(marker) {
            let name = line[at + marker.len()..].split(|c: char| !c.is_alphanumeric() && c != '_');
            let word = name.into_iter().next();
            found.extend(word.filter(|word| LAYERS.iter().any(|(module, _)| module == word)));
        }
    }
    found
}

/// Whether a line lists several modules of the crate at once, or names an [`std::time::Instant`] in
/// a list: what the checks by name would not see.
fn hides_names(line: &str) -> bool {
    line.contains("crate::{")
        || line.contains("super::{self, super")
        || (line.contains("std::time::{") && line.contains("Instant"))
}

#[test]
fn layers_point_downwards_only() {
    let mut broken = Vec::new();
    for file in sources() {
        let module = file.module();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let allowed = LAYERS.iter().find(|(name, _)| *name == module).map(|(_, allowed)| allowed);
        let Some(allowed) = allowed else {
            broken.push(format!("src/{}: module {module} has no layer; add it here", file.path));
            continue;
        };
        for (number, line) in file.code() {
            if hides_names(line) {
                broken.push(format!("src/{}:{number}: import one name a line", file.path));
            }
            for import in imports(line, file.depth()) {
                if import != module && !allowed.contains(&import) {
                    broken.push(format!(
                        "src/{}:{number}: {module} imports {import}; it may import {allowed:?}",
                        file.path
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn words_and_meaning_do_no_io() {
    let mut broken = Vec::new();
    for file in sources().iter().filter(|file| WITHOUT_IO.contains(&file.module())) {
        for (number, line) in file.code() {
            for word in ["tokio::", "std::fs", "std::net::Tcp", "hyper::", "std::env", "socket2"] {
                if line.contains(word) {
                    broken
                        .push(format!("src/{}:{number}: {word} in a layer without I/O", file.path));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Where a file says what a ban forbids.
fn offences(file: &SourceFile, bans: &[Ban]) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, line) in file.code() {
        for (word, but, remedy) in bans {
            let excused = but.iter().any(|place| file.path.starts_with(place));
            if line.contains(word) && !excused {
                broken.push(format!("src/{}:{number}: {word}: {remedy}", file.path));
            }
        }
    }
    broken
}

/// Where a file keeps something that all worlds of a process would share.
fn shared(file: &SourceFile) -> Vec<String> {
    let is_static = |line: &str| {
        let item = line.trim_start();
        let item = item.strip_prefix("pub").unwrap_or(item).trim_start();
        let item =
            if item.starts_with('(') { item.split_once(") ").map_or("", |of| of.1) } else { item };
        item.starts_with("static ")
    };
    let code = file.code().into_iter().filter(|(_, line)| is_static(line));
    code.map(|(number, _)| format!("src/{}:{number}: a static: worlds share nothing", file.path))
        .collect()
}

/// Where a file could let an address decide.
fn addresses(file: &SourceFile) -> Vec<String> {
    let tells = |line: &str| ADDRESSES.iter().any(|word| line.contains(word));
    let code = file.code().into_iter().filter(|(_, line)| tells(line));
    code.map(|(number, _)| {
        format!("src/{}:{number}: an address differs from run to run", file.path)
    })
    .collect()
}

/// Files and folders of files that are compiled for tests only: the paths that
/// `#[cfg(test)] mod name;` leads to, without their ends.
fn for_tests_only(files: &[SourceFile]) -> Vec<String> {
    let mut paths = Vec::new();
    for file in files {
        let folder = match file.path.rsplit_once('/') {
            Some((folder, "mod.rs")) => format!("{folder}/"),
            Some(_) => format!("{}/", file.path.trim_end_matches(".rs")),
            None => String::new(),
        };
        let mut lines = file.text.lines();
        while let Some(line) = lines.next() {
            if line == "#[cfg(test)]"
                && let Some(name) = lines.next().and_then(|line| line.strip_suffix(';'))
                && let Some((_, name)) = name.rsplit_once("mod ")
            {
                paths.push(format!("{folder}{name}"));
            }
        }
    }
    paths
}

/// The sources without what is compiled for tests only.
fn sources_of_runs() -> Vec<SourceFile> {
    let mut files = sources();
    let tests = for_tests_only(&files);
    let is_test = |path: &str| {
        let below = |test: &String| path.strip_prefix(test.as_str());
        tests.iter().filter_map(below).any(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    files.retain(|file| !is_test(&file.path));
    files
}

#[test]
fn what_makes_a_run_unrepeatable_is_not_used() {
    let mut broken: Vec<_> = sources().iter().flat_map(|file| offences(file, &BANNED)).collect();
    for file in sources_of_runs() {
        broken.extend(offences(&file, &BANNED_FROM_RUNS));
        broken.extend(shared(&file));
        broken.extend(addresses(&file));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Where a file selects without `biased;`: what wins would be drawn by the thread's own generator.
fn unbiased(file: &SourceFile) -> Vec<String> {
    let mut broken = Vec::new();
    let lines = file.code();
    for (index, (number, line)) in lines.iter().enumerate() {
        let biased = lines.get(index + 1).is_some_and(|(_, next)| next.trim() == "biased;");
        if line.contains("select!") && !(biased && line.ends_with("select! {")) {
            broken.push(format!("src/{}:{number}: select! without biased;", file.path));
        }
    }
    broken
}

#[test]
fn every_select_is_biased() {
    let broken: Vec<_> = sources().iter().flat_map(unbiased).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_server_of_hyper_leaves_the_date_out() {
    for file in sources_of_runs() {
        let serves = file.text.contains("server::conn::http1");
        assert!(
            !serves || file.text.contains(".auto_date_header(false)"),
            "src/{}: hyper's Date header reads the system's clock; turn it off",
            file.path
        );
    }
}

#[test]
fn tokio_starts_no_threads_and_has_nothing_unstable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table =
        fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let tokio = &manifest["dependencies"]["tokio"];
    assert_eq!(tokio["default-features"].as_bool(), Some(false));
    for feature in tokio["features"].as_array().unwrap() {
        let name = feature.as_str().unwrap();
        assert!(TOKIO_FEATURES.contains(&name), "tokio's {name}: add it here, with why it is safe");
    }
    for name in [".cargo/config.toml", ".cargo/config", "Cargo.toml", ".ci/run"] {
        let text = fs::read_to_string(root.join(name)).unwrap_or_default();
        assert!(!text.contains("tokio_unstable"), "{name}: no unstable part of tokio is used");
    }
}

#[test]
fn files_stay_small_and_lines_short() {
    let mut broken = Vec::new();
    for file in sources() {
        let count = file.text.lines().count();
        if count > FILE_LINES_MAX {
            broken.push(format!("src/{}: {count} lines; split it by subject", file.path));
        }
        for (index, line) in file.text.lines().enumerate() {
            if line.chars().count() > 100 {
                broken.push(format!("src/{}:{}: over 100 columns", file.path, index + 1));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(imports("use crate::hub::Hub;", 1), ["hub"]);
    assert_eq!(imports("let x = crate::net::Clock::fixed(0);", 2), ["net"]);
    assert_eq!(imports("use super::super::hub::Hub;", 2), ["hub"]);
    assert_eq!(imports("use super::client::State;", 1), ["client"]);
    assert!(imports("use super::client::State;", 2).is_empty());
    assert!(imports("use std::net::IpAddr;", 1).is_empty());
    for line in
        ["use crate::{hub, client::X};", "use crate::{", "use std::time::{Duration, Instant};"]
    {
        assert!(hides_names(line), "{line}");
    }
    let file = SourceFile {
        path: "hub/state.rs".into(),
        text: "use crate::client; // why\n// crate::engine\n#[cfg(test)]\nmod kit;\nlet x = 1;\n\
               #[cfg(test)]\n#[allow(x)]\nmod tests {\nuse crate::cli;\n}"
            .into(),
    };
    assert_eq!((file.module(), file.depth()), ("hub", 2));
    assert_eq!(file.code(), [(1, "use crate::client; "), (5, "let x = 1;")]);
}

#[test]
fn every_ban_catches_what_it_bans_and_spares_where_it_may_stand() {
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
    for bans in [&BANNED[..], &BANNED_FROM_RUNS] {
        for (word, but, remedy) in bans {
            let line = format!("    let it = {word};");
            assert_eq!(
                offences(&file("hub/x.rs", &line), &[(*word, *but, *remedy)]),
                [format!("src/hub/x.rs:1: {word}: {remedy}")]
            );
            let commented = format!("    // {word}");
            assert!(offences(&file("hub/x.rs", &commented), &[(*word, *but, *remedy)]).is_empty());
            for place in *but {
                let excused = file(&format!("{place}x.rs"), &line);
                assert!(offences(&excused, &[(*word, *but, *remedy)]).is_empty(), "{word} {place}");
            }
        }
    }
    for kept in
        ["static COUNT: AtomicU64 = x;", "pub static X: u8 = 1;", "pub(super) static X: u8 = 1;"]
    {
        assert_eq!(shared(&file("hub/x.rs", kept)).len(), 1, "{kept}");
    }
    assert!(shared(&file("hub/x.rs", "const X: &'static str = \"a static word\";")).is_empty());
    for line in ["let order = Rc::as_ptr(&x);", "format!(\"{x:p}\")", "let p = x as *const u8;"] {
        assert_eq!(addresses(&file("hub/x.rs", line)).len(), 1, "{line}");
    }
    for line in
        ["tokio::select! {\n    a = b => {}", "tokio::select!{ biased;", "select! { biased; }"]
    {
        assert_eq!(unbiased(&file("hub/x.rs", line)).len(), 1, "{line}");
    }
    assert!(
        unbiased(&file("hub/x.rs", "tokio::select! {\n    biased;\n    a = b => {}")).is_empty()
    );
}

#[test]
fn what_is_compiled_for_tests_only_is_known() {
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.into() };
    let files = [
        file("client/mod.rs", "mod open;\n#[cfg(test)]\nmod tests;"),
        file("net/link.rs", "#[cfg(test)]\npub(crate) mod testing;\nmod wire;"),
        file("lib.rs", "#[cfg(test)]\nmod kit;"),
        file("pace/mod.rs", "#[cfg(test)]\nmod tests {\n}"),
    ];
    assert_eq!(for_tests_only(&files), ["client/tests", "net/link/testing", "kit"]);
    let paths: Vec<_> = sources_of_runs().into_iter().map(|file| file.path).collect();
    assert!(paths.iter().any(|path| path == "hub/pump.rs"));
    assert!(!paths.iter().any(|path| path.contains("tests")), "{paths:?}");
}
