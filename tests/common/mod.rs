//! Starts the shipped binary as a user would and reads what it leaves behind.
#![allow(dead_code, reason = "every test binary uses its own share of these")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A command of the binary under test, in a folder of its own, without the caller's settings.
pub fn squall(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.current_dir(folder).env("NO_COLOR", "1").stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SQUALL_")) {
        command.env_remove(name);
    }
    command
}

/// The `.toml` files of a folder below `tests/golden`, sorted.
pub fn golden_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|kind| kind == "toml")).collect();
    files.sort();
    files
}

/// Holds what is said of each file against the text recorded beside it, `NAME.txt`; with
/// `UPDATE_GOLDEN=1` the texts are recorded instead.
pub fn assert_told_as_recorded(files: &[PathBuf], told_of: impl Fn(&Path) -> String) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut different = Vec::new();
    for path in files {
        let told = told_of(path);
        let golden = path.with_extension("txt");
        if update {
            fs::write(&golden, &told).unwrap();
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(told.as_str()) {
            different.push(format!("{}:\n{told}", golden.display()));
        }
    }
    assert!(
        different.is_empty(),
        "{}\nUPDATE_GOLDEN=1 rewrites the texts; read them then",
        different.join("\n\n")
    );
}

/// A `squall hub` process on a port of its own; it is ended when this is dropped.
pub struct Hub {
    process: Child,
    connection_string: String,
    _folder: tempfile::TempDir,
}

impl Hub {
    /// Starts it and waits for its first line.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = squall(folder.path())
            .args(["hub", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut connection_string = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut connection_string).unwrap();
        let connection_string = connection_string.trim_end().to_owned();
        Self { process, connection_string, _folder: folder }
    }

    /// Its first line.
    pub fn connection_string(&self) -> &str {
        &self.connection_string
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let from = self.connection_string.find("http://").unwrap() + "http://".len();
        self.connection_string[from..].split([';', '/']).next().unwrap().parse().unwrap()
    }

    /// The same key at another address.
    pub fn connection_string_at(&self, address: SocketAddr) -> String {
        self.connection_string.replace(&self.address().to_string(), &address.to_string())
    }

    /// Asks it to end, and waits until it has.
    #[cfg(unix)]
    pub fn interrupt(mut self) {
        let id = i32::try_from(self.process.id()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        assert!(self.process.wait().unwrap().success());
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A finished `squall run` of one scenario.
pub struct Run {
    /// What it printed and its exit code.
    pub output: Output,
    /// Its run folder.
    pub folder: PathBuf,
    _root: tempfile::TempDir,
}

impl Run {
    /// Its exit code.
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    /// `run.json`.
    pub fn json(&self) -> Value {
        let path = self.folder.join("run.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}\n{}", path.display(), self.text());
        });
        serde_json::from_str(&text).unwrap()
    }

    /// Everything it printed.
    pub fn text(&self) -> String {
        format!(
            "{}{}",
            String::from_utf8_lossy(&self.output.stdout),
            String::from_utf8_lossy(&self.output.stderr)
        )
    }

    /// Paths of the checks that failed, in the order of the run file.
    pub fn failed_checks(&self) -> Vec<String> {
        self.json()["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["outcome"] == "fail")
            .map(|check| check["path"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Runs a scenario given as text.
pub fn run_scenario(name: &str, text: &str, arguments: &[&str]) -> Run {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join(format!("{name}.toml"));
    fs::write(&file, text).unwrap();
    run(root, file.to_str().unwrap(), arguments)
}

/// Runs a built-in scenario.
pub fn run_builtin(name: &str, arguments: &[&str]) -> Run {
    run(tempfile::tempdir().unwrap(), name, arguments)
}

fn run(root: tempfile::TempDir, scenario: &str, arguments: &[&str]) -> Run {
    let folder = root.path().join("out");
    let output = squall(root.path())
        .args(["run", scenario, "--out"])
        .arg(&folder)
        .args(arguments)
        .output()
        .unwrap();
    Run { output, folder, _root: root }
}
