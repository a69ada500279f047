//! Reads the sources and enforces the design: layers point downwards only, what would make a run
//! unrepeatable is not used, files and functions stay small enough to know.
//!
//! Every failure names the file, the line and the remedy.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what it may import of this crate.
const LAYERS: [(&str, &[&str]); 15] = [
    ("secret", &[]),
    ("protocol", &["secret"]),
    ("event", &["secret", "protocol"]),
    ("measure", &["secret", "protocol", "event"]),
    ("scenario", &["secret", "protocol", "event", "measure", "pace"]),
    ("pace", &["secret", "protocol", "event", "measure", "scenario"]),
    ("predict", &["secret", "protocol", "event", "measure", "scenario", "pace"]),
    ("verdict", &["secret", "protocol", "event", "measure", "scenario", "pace", "predict"]),
    ("net", &["secret", "protocol", "event", "measure", "scenario", "pace", "predict"]),
    ("ws", &["secret", "protocol", "event", "measure", "scenario", "pace", "net"]),
    ("hub", &["secret", "protocol", "event", "measure", "scenario", "pace", "net", "ws"]),
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
        &["secret", "protocol", "event", "measure", "scenario", "pace", "predict", "verdict"],
    ),
    (
        "cli",
        &[
            "secret", "protocol", "event", "measure", "scenario", "pace", "predict", "verdict",
            "net", "ws", "hub", "client", "engine", "report",
        ],
    ),
];

/// Layers 0 and 1 know nothing of tokio, sockets or files.
const WITHOUT_IO: [&str; 8] =
    ["secret", "protocol", "event", "measure", "scenario", "pace", "predict", "verdict"];

/// Text that may not stand in the sources, where it may after all, and what to use instead.
const BANNED: [(&str, &[&str], &str); 21] = [
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
    ("thread::sleep", &[], "waits are on tokio's clock and interruptible"),
    ("todo!(", &[], "finish it"),
    ("unimplemented!(", &[], "finish it"),
    ("dbg!(", &[], "remove it"),
];

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

#[test]
fn what_makes_a_run_unrepeatable_is_not_used() {
    let mut broken = Vec::new();
    for file in sources() {
        for (number, line) in file.code() {
            for (word, but, remedy) in BANNED {
                let excused = but.iter().any(|place| file.path.starts_with(place));
                if line.contains(word) && !excused {
                    broken.push(format!("src/{}:{number}: {word}: {remedy}", file.path));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_select_is_biased() {
    let mut broken = Vec::new();
    for file in sources() {
        let lines = file.code();
        for (index, (number, line)) in lines.iter().enumerate() {
            let biased = lines.get(index + 1).is_some_and(|(_, next)| next.trim() == "biased;");
            if line.contains("select! {") && !biased {
                broken.push(format!("src/{}:{number}: select! without biased;", file.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
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
