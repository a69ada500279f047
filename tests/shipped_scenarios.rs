//! The files under `scenarios/`: all of them are in the binary, load, say whose problem they are, and
//! fit the JSON Schema of the format, which is as checked in.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use squall::scenario;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Folder, name and text of every scenario file.
fn shipped() -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for folder in fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()) {
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            assert_eq!(file.extension().unwrap(), "toml", "{}", file.display());
            let part = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
            all.push((part(&folder), part(&file), fs::read_to_string(&file).unwrap()));
        }
    }
    all.sort();
    all
}

fn as_json(text: &str) -> Value {
    let table: toml::Table = toml::from_str(text).unwrap();
    serde_json::to_value(table).unwrap()
}

#[test]
fn every_file_is_in_the_binary_and_loads() {
    let mut built_in: Vec<_> = scenario::builtins()
        .iter()
        .map(|builtin| {
            builtin.plan().unwrap_or_else(|errors| panic!("{errors}"));
            (builtin.folder.to_owned(), builtin.name.to_owned(), builtin.text.to_owned())
        })
        .collect();
    built_in.sort();
    assert!(!built_in.is_empty());
    assert_eq!(built_in, shipped());
}

#[test]
fn the_quickest_comes_first_in_each_folder() {
    let plans: Vec<_> = scenario::builtins()
        .iter()
        .map(|builtin| (builtin.folder, builtin.plan().unwrap()))
        .collect();
    for pair in plans.windows(2) {
        let [(folder, first), (next_folder, second)] = pair else { unreachable!() };
        assert!(
            folder != next_folder || first.duration <= second.duration,
            "{} before {}",
            first.name,
            second.name
        );
    }
}

#[test]
fn every_file_opens_with_a_comment_that_says_whose_problem_it_is() {
    for (folder, name, text) in shipped() {
        let comment: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        let comment = comment.join("\n");
        for part in ["# Whose problem: ", "# What to change: ", "#:schema ../scenario.schema.json"]
        {
            assert!(comment.contains(part), "{folder}/{name} lacks {part:?}");
        }
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= 120, "{folder}/{name} has a line of {longest} columns");
    }
}

/// What stands before the arguments of a variant in an opening comment, and before what does not fit
/// into their line.
const VARIANT: &str = "#   --";
const CONTINUED: &str = "#     ";

/// Arguments of the variants that an opening comment documents, as a shell takes them: a variant is
/// lines without prose between.
fn variants(text: &str) -> Vec<String> {
    let mut variants: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        let is_continued = is_open && line.starts_with(CONTINUED);
        if !line.starts_with(VARIANT) && !is_continued {
            assert!(!line.contains("--set"), "not on a line of its own: {line}");
            is_open = false;
            continue;
        }
        let arguments = line.trim_start_matches('#').trim();
        match variants.last_mut().filter(|_| is_open) {
            Some(variant) => *variant = format!("{variant} {arguments}"),
            None => variants.push(arguments.to_owned()),
        }
        is_open = true;
    }
    variants
}

#[test]
fn every_log_line_that_an_upstream_scenario_expects_is_told_byte_for_byte() {
    let mut count = 0;
    for (_, name, text) in shipped().into_iter().filter(|(folder, ..)| folder == "upstream") {
        let scenario = as_json(&text);
        for line in scenario["expect_log"].as_array().into_iter().flatten() {
            assert!(line["message"].is_string(), "{name}: {line}");
            count += 1;
        }
        for variant in variants(&text) {
            let is_new = variant.contains("expect_log=") || variant.contains(".event=");
            assert!(!is_new || variant.contains("message"), "{name} {variant}");
        }
    }
    assert!(count > 0);
}

/// Scenarios that reproduce a row of the performance guide.
#[cfg(unix)]
const BENCHMARKS: [&str; 4] = ["fan-out", "small-groups", "rest-to-user", "rest-broadcast"];

/// Runs `squall run` with these arguments, and more, in the virtual world.
#[cfg(unix)]
fn run_virtually(folder: &Path, name: &str, arguments: &str) -> Output {
    let squall = common::squall(folder);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("\"$SQUALL\" run {name} --world virtual --quiet {arguments}")]);
    shell.env("SQUALL", squall.get_program()).current_dir(folder);
    for (name, value) in squall.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().unwrap()
}

#[cfg(unix)]
#[test]
fn every_documented_variant_passes() {
    let work = tempfile::tempdir().unwrap();
    let mut count = 0;
    let passes = |folder: &str, name: &str| match folder {
        // Their comments speak of what fails by design, or takes minutes, too.
        "drops" | "generator" => false,
        "capacity" => BENCHMARKS.contains(&name),
        _ => true,
    };
    for (_, name, text) in shipped().into_iter().filter(|(folder, name, _)| passes(folder, name)) {
        for variant in variants(&text) {
            let done = run_virtually(work.path(), &name, &variant);
            let told = String::from_utf8_lossy(&done.stdout).into_owned();
            let error = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success(), "{name} {variant}\n{told}{error}");
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn the_checked_in_schema_is_that_of_the_format() {
    let path = root().join("scenario.schema.json");
    let current = format!("{:#}\n", scenario::schema());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &current).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == current,
        "{} is old; UPDATE_GOLDEN=1 rewrites it",
        path.display()
    );
}

#[test]
fn the_schema_has_no_null_as_toml_has_none() {
    assert!(!scenario::schema().to_string().contains("\"null\""));
}

#[test]
fn every_file_and_the_template_fit_the_schema() {
    let validator = jsonschema::validator_for(&scenario::schema()).unwrap();
    let template = ("".to_owned(), "template".to_owned(), scenario::template().to_owned());
    for (folder, name, text) in shipped().into_iter().chain([template]) {
        let errors: Vec<_> = validator
            .iter_errors(&as_json(&text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{folder}/{name}:\n{}", errors.join("\n"));
    }
}

#[test]
fn the_schema_refuses_what_the_loader_refuses() {
    let validator = jsonschema::validator_for(&scenario::schema()).unwrap();
    let good = scenario::template();
    assert!(validator.is_valid(&as_json(good)));
    for (what, broken) in [
        ("a duration without its unit", good.replace("\"15s\"", "15")),
        ("a unit of another kind", good.replace("\"15s\"", "\"15KiB\"")),
        ("an unknown key", good.replace("count = 18", "cuont = 18")),
        ("an unknown word", good.replace("profile = \"ci\"", "profile = \"strict\"")),
        (
            "two forms of arrival",
            good.replacen("rate = \"50/s\"", "rate = \"50/s\", burst = {}", 1),
        ),
        ("no form of arrival", good.replacen("rate = \"50/s\"", "start = \"1s\"", 1)),
        ("a quantity that is none", good.replace("\"all\" }", "\"most\" }")),
    ] {
        assert_ne!(broken, good, "{what}");
        assert!(!validator.is_valid(&as_json(&broken)), "the schema takes {what}");
    }
}
