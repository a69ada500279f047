//! The run folder, and files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Event stream.
pub const EVENTS: &str = "events.ndjson";
/// Resource-log records of the hub.
pub const TRACE: &str = "trace.ndjson";
/// Deliveries to event listeners of the embedded hub.
pub const DELIVERIES: &str = "deliveries.ndjson";
/// HDR interval log.
pub const LATENCY: &str = "latency.hlog";
/// Report for browsers.
pub const HTML: &str = "report.html";
/// The run as data; marks the folder whole.
pub const RUN: &str = "run.json";
/// A search as data, in the folder above those of its steps.
pub const SEARCH: &str = "search.json";
/// Name of the link beside the run folders.
pub const LATEST: &str = "latest";

/// A file or folder that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds something already.
    #[error("{} is not empty", path.display())]
    Taken {
        /// Which.
        path: PathBuf,
    },
}

impl FileError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder and those above it. One that holds anything is refused: results are neither
    /// written over nor mixed in with somebody's files.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        Self::is_free(path)?;
        fs::create_dir_all(path).map_err(FileError::io(path))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Refuses a folder that holds anything; makes none.
    pub fn is_free(path: &Path) -> Result<(), FileError> {
        if fs::read_dir(path).is_ok_and(|mut held| held.next().is_some()) {
            return Err(FileError::Taken { path: path.to_owned() });
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes a file appear whole.
    pub fn publish(&self, name: &str, content: &[u8]) -> Result<(), FileError> {
        PendingFile::create(&self.file(name))?.publish(content)
    }

    /// Points `latest` beside the folder at it. Where links are not to be had, nothing happens: it
    /// is a convenience.
    pub fn link_latest(&self) {
        #[cfg(unix)]
        if let (Some(parent), Some(name)) = (self.path.parent(), self.path.file_name()) {
            let link = parent.join(LATEST);
            let is_ours = fs::symlink_metadata(&link).map_or(true, |found| found.is_symlink());
            let fresh = self.fresh_link(parent, name);
            if is_ours && std::os::unix::fs::symlink(name, &fresh).is_ok() {
                let _ = fs::rename(&fresh, &link).or_else(|_| fs::remove_file(&fresh));
            }
        }
    }

    /// The name under which the link is made before it takes the place of the old one. Runs go on
    /// side by side in one process and in several, and folders beside each other differ in name.
    #[cfg(unix)]
    fn fresh_link(&self, parent: &Path, name: &std::ffi::OsStr) -> PathBuf {
        parent.join(format!(".{LATEST}.{}.{}", std::process::id(), name.to_string_lossy()))
    }

    /// Takes the folder away again when nothing happened in it: only empty files are removed, and
    /// the folder only when it is empty then.
    pub fn discard_if_empty(&self) {
        for name in [EVENTS, TRACE, DELIVERIES] {
            let path = self.file(name);
            if fs::metadata(&path).is_ok_and(|found| found.len() == 0) {
                let _ = fs::remove_file(path);
            }
        }
        let _ = fs::remove_dir(&self.path);
    }
}

/// A file under way to its name: written beside it, then renamed. Created early, so that a place
/// that cannot be written to is known before any load; removed when it is dropped unpublished.
#[derive(Debug)]
pub struct PendingFile {
    file: Option<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl PendingFile {
    /// Opens the temporary file. A `path` that is not a plain file (a pipe, a terminal) is written
    /// to directly, later.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let special = fs::metadata(path).is_ok_and(|found| !found.is_file());
        if special {
            let file = OpenOptions::new().write(true).open(path).map_err(FileError::io(path))?;
            let path = path.to_owned();
            return Ok(Self { file: Some(file), temporary: path.clone(), path });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = File::create(&temporary).map_err(FileError::io(path))?;
        Ok(Self { file: Some(file), temporary, path: path.to_owned() })
    }

    /// Writes the content, waits until the disk has it, and gives it its name.
    pub fn publish(mut self, content: &[u8]) -> Result<(), FileError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let result = file.write_all(content).and_then(|()| {
            if self.is_special() {
                return Ok(());
            }
            file.sync_all()?;
            fs::rename(&self.temporary, &self.path)
        });
        if result.is_err() {
            self.remove();
        }
        result.map_err(FileError::io(&self.path))
    }

    fn is_special(&self) -> bool {
        self.temporary == self.path
    }

    fn remove(&self) {
        if !self.is_special() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            self.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_and_leaves_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&root.path().join("a/b")).unwrap();
        let pending = PendingFile::create(&folder.file("x.xml")).unwrap();
        assert!(!folder.file("x.xml").exists(), "not before it is published");
        pending.publish(b"<x/>").unwrap();
        folder.publish("x.xml", b"<y/>").unwrap();
        assert_eq!(fs::read(folder.file("x.xml")).unwrap(), b"<y/>");
        drop(PendingFile::create(&folder.file("dropped")).unwrap());
        assert_eq!(names(folder.path()), ["x.xml"]);
    }

    #[test]
    fn a_folder_that_holds_anything_is_refused_and_an_empty_run_is_taken_away() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let folder = RunFolder::create(&path).unwrap();
        fs::write(folder.file(EVENTS), b"").unwrap();
        assert!(matches!(RunFolder::create(&path), Err(FileError::Taken { .. })));
        folder.discard_if_empty();
        assert!(!path.exists());
        let folder = RunFolder::create(&path).unwrap();
        fs::write(folder.file(EVENTS), b"{}\n").unwrap();
        folder.discard_if_empty();
        assert_eq!(names(&path), [EVENTS]);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("no/such/folder/junit.xml");
        let error = PendingFile::create(&path).unwrap_err().to_string();
        assert!(error.contains("no/such/folder/junit.xml"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn runs_side_by_side_make_their_link_under_names_of_their_own() {
        let fresh = |name: &str| {
            let folder = RunFolder { path: Path::new("runs").join(name) };
            folder.fresh_link(Path::new("runs"), std::ffi::OsStr::new(name))
        };
        assert_ne!(fresh("one"), fresh("two"));
    }

    #[cfg(unix)]
    #[test]
    fn latest_points_at_the_newest_folder_and_spares_what_is_not_a_link() {
        let root = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            RunFolder::create(&root.path().join(name)).unwrap().link_latest();
        }
        assert_eq!(fs::read_link(root.path().join(LATEST)).unwrap(), Path::new("two"));
        fs::remove_file(root.path().join(LATEST)).unwrap();
        fs::create_dir(root.path().join(LATEST)).unwrap();
        RunFolder::create(&root.path().join("three")).unwrap().link_latest();
        assert_eq!(names(root.path()), ["latest", "one", "three", "two"]);
    }
}
