//! Where the results of two runs differ, the machine and real time apart.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde_json::Value;

use super::folder::{EVENTS, LATENCY, TRACE};
use super::run_file::RunFile;

/// Field of `run.json` that is not compared: what stands there differs between any two runs.
const NOT_COMPARED: &str = "machine";

/// Path of the first field in which two runs differ, as in `populations[1].opens`; `None` where
/// they are equal in everything but [`RunFile::machine`].
#[must_use]
pub fn first(one: &RunFile, other: &RunFile) -> Option<String> {
    let [mut one, mut other] =
        [one, other].map(|run| serde_json::to_value(run).unwrap_or_default());
    for value in [&mut one, &mut other] {
        if let Value::Object(fields) = value {
            fields.remove(NOT_COMPARED);
        }
    }
    within(&one, &other, String::new())
}

/// Name of the first file in which two run folders differ, of those that hold nothing of the
/// machine in the virtual world; one that cannot be read is different.
#[must_use]
pub fn first_file(one: &Path, other: &Path) -> Option<&'static str> {
    let is_same = |name: &str| is_same_file(&one.join(name), &other.join(name)).unwrap_or(false);
    [EVENTS, TRACE, LATENCY].into_iter().find(|name| !is_same(name))
}

fn is_same_file(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let mut other = BufReader::new(other).bytes();
    for byte in BufReader::new(one).bytes() {
        if Some(byte?) != other.next().transpose()? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn within(one: &Value, other: &Value, path: String) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let missing = other.keys().find(|&key| !one.contains_key(key));
            let joint = if path.is_empty() { "" } else { "." };
            one.iter()
                .find_map(|(key, value)| {
                    let path = format!("{path}{joint}{key}");
                    match other.get(key) {
                        Some(other) => within(value, other, path),
                        None => Some(path),
                    }
                })
                .or_else(|| missing.map(|key| format!("{path}{joint}{key}")))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(index, (one, other))| within(one, other, format!("{path}[{index}]"))),
        (one, other) => (one != other).then_some(path),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::report::samples;

    #[test]
    fn runs_differ_wherever_a_field_does_except_in_the_machine() {
        type Change = fn(&mut RunFile);
        let changes: [(Change, Option<&str>); 6] = [
            (|_| {}, None),
            (|run| run.machine.real_elapsed_ns += 1, None),
            (|run| run.machine.descriptors_before = None, None),
            (|run| run.populations[1].opens += 1, Some("populations[1].opens")),
            (|run| run.run.started_unix_ns += 1, Some("run.started_unix_ns")),
            (|run| run.warnings = samples::failed().warnings, Some("warnings")),
        ];
        for (change, path) in changes {
            let mut other = samples::simulated();
            change(&mut other);
            assert_eq!(first(&samples::simulated(), &other).as_deref(), path);
        }
    }

    #[test]
    fn folders_differ_at_the_first_file_with_another_byte() {
        let root = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| root.path().join(name));
        for folder in [&one, &other] {
            std::fs::create_dir(folder).unwrap();
            for name in [EVENTS, TRACE, LATENCY] {
                std::fs::write(folder.join(name), vec![b'x'; 100_000]).unwrap();
            }
        }
        assert_eq!(first_file(&one, &other), None);
        let mut changed = vec![b'x'; 100_000];
        changed[99_999] = b'y';
        std::fs::write(other.join(TRACE), changed).unwrap();
        assert_eq!(first_file(&one, &other), Some(TRACE));
        std::fs::remove_file(one.join(EVENTS)).unwrap();
        assert_eq!(first_file(&one, &other), Some(EVENTS));
    }

    #[test]
    fn a_field_that_only_one_of_them_has_is_a_difference() {
        let (one, other) = (serde_json::json!({"a": {}}), serde_json::json!({"a": {"b": 1}}));
        assert_eq!(within(&one, &other, String::new()).as_deref(), Some("a.b"));
        assert_eq!(within(&other, &one, String::new()).as_deref(), Some("a.b"));
    }
}
