//! Mistakes that people make in scenario files, each with the whole text of its error.
//!
//! `tests/golden/broken/NAME.toml` is the mistake, `NAME.txt` what is said about it. A first line
//! `#! --set path=value` (or `-n`, `--sweep`, `--profile`) is the command line that goes with it.
//! `UPDATE_GOLDEN=1 cargo test --test broken_scenarios` rewrites the texts; read them then.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{assert_told_as_recorded, golden_files};
use squall::scenario::{self, Overrides, Source};

/// The environment of these files; no error may show a value of it.
const SECRETS: [(&str, &str); 2] =
    [("SQUALL_GOLDEN_SECRET", "hunter2-never-shown"), ("SQUALL_GOLDEN_PIN", "482913")];

fn environment(name: &str) -> Option<String> {
    let found = SECRETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| (*value).to_owned())
}

fn files() -> Vec<PathBuf> {
    golden_files("broken")
}

/// The command line in a file's first line.
fn overrides(text: &str) -> Overrides {
    let mut overrides = Overrides::default();
    let arguments = text.lines().next().and_then(|line| line.strip_prefix("#! "));
    let Some(arguments) = arguments else { return overrides };
    let mut words = arguments.split("  ");
    while let Some(flag) = words.next() {
        let value = words.next().expect("two spaces between a flag, its value and the next flag");
        let pair = value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        match (flag, pair) {
            ("--set", Some(pair)) => overrides.sets.push(pair),
            ("--sweep", Some(pair)) => overrides.sweeps.push(pair),
            ("-n", Some((name, count))) => overrides.counts.push((name, count.parse().unwrap())),
            ("-n", None) => overrides.total = Some(value.parse().unwrap()),
            ("--profile", None) => overrides.profile = Some(value.to_owned()),
            other => panic!("{other:?} is not known here"),
        }
    }
    overrides
}

fn broken(path: &Path) -> (String, usize) {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(path).unwrap();
    let source = Source { origin: format!("{name}.toml"), name, text };
    match scenario::load(&source, &overrides(&source.text), &environment) {
        Ok(_) => panic!("{} loads, but should not", path.display()),
        Err(errors) => (errors.rendered, errors.count),
    }
}

#[test]
fn every_mistake_is_told_as_recorded() {
    assert_told_as_recorded(&files(), |path| broken(path).0);
}

#[test]
fn the_mistakes_are_many_and_each_has_its_text() {
    let files = files();
    assert!(files.len() >= 40, "{} broken files", files.len());
    let folder = files[0].parent().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("toml").is_file(), "{} has no mistake", path.display());
    }
}

#[test]
fn every_error_has_a_place_and_says_what_was_expected() {
    for path in files() {
        let (told, count) = broken(&path);
        let lines: Vec<&str> = told.lines().collect();
        let titles = lines.iter().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(titles, count, "{}", path.display());
        let places = lines.iter().filter(|line| line.trim_start().starts_with("--> ")).count();
        assert!(places >= count, "{}", path.display());
        let carets = lines.iter().filter(|line| line.contains('^')).count();
        assert!(carets >= count, "{}: {told}", path.display());
        for line in &lines {
            assert!(!line.ends_with('^'), "{}: nothing beside the caret\n{told}", path.display());
            assert!(!line.contains("invalid value"), "{}: {line}", path.display());
            assert!(!line.contains('\u{1b}'), "{}: colour", path.display());
            assert!(line.chars().count() <= 100, "{}: {line}", path.display());
        }
    }
}

#[test]
fn no_error_shows_what_came_from_the_environment() {
    for path in files() {
        let (told, _) = broken(&path);
        for (_, secret) in SECRETS {
            assert!(!told.contains(secret), "{}: {told}", path.display());
        }
    }
}
