//! `squall new`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, Exit, print};
use crate::report::FileError;
use crate::scenario;

/// Arguments of `squall new`.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// Name of the scenario; the file is NAME.toml
    #[arg(value_name = "NAME")]
    name: String,
}

/// Writes NAME.toml from the template; a file that exists is left alone.
pub fn main(arguments: &NewArguments) -> Result<Exit, CliError> {
    let path = path_of(&arguments.name)?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(scenario::template().as_bytes()));
    match written {
        Ok(()) => {
            let path = path.display();
            print(&format!("{path} written; squall check {path}, then squall run {path}\n"));
            Ok(Exit::AsExpected)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(CliError::Usage(format!(
            "{} exists already and is left as it is: choose another name",
            path.display()
        ))),
        Err(source) => Err(FileError::Io { path, source }.into()),
    }
}

/// The file of a name: `.toml` is added where it is missing.
fn path_of(name: &str) -> Result<PathBuf, CliError> {
    let path = Path::new(name.strip_suffix(".toml").unwrap_or(name));
    let stem = path.file_name().map(|stem| stem.to_string_lossy().into_owned());
    let is_name =
        |stem: &String| stem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match stem.filter(is_name) {
        Some(stem) if !stem.is_empty() => Ok(path.with_file_name(format!("{stem}.toml"))),
        _ => Err(CliError::Usage(
            "a scenario's name is made of letters, digits, `-` and `_`".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_name_becomes_a_file_name_once() {
        assert_eq!(path_of("mine").unwrap(), Path::new("mine.toml"));
        assert_eq!(path_of("a/mine.toml").unwrap(), Path::new("a/mine.toml"));
        for bad in ["", "..", "a b", "x;y"] {
            assert!(path_of(bad).is_err(), "{bad}");
        }
    }
}
