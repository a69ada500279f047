//! Append-only files of whole lines. Whatever happens (a full disk, `kill -9`), what is in them is
//! readable line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes gathered before a write.
const BUFFER_BYTES: usize = 64 * 1024;

/// A file that grows by whole lines. After the first error it stays as it is: what was written
/// whole remains, the half line is cut off, and later lines are dropped.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Bytes of whole lines in the file.
    whole_bytes: u64,
    error: Option<io::Error>,
}

impl LineFile {
    /// Creates the file; one that exists is an error.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Self::over(file, path))
    }

    fn over(file: File, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            whole_bytes: 0,
            error: None,
        }
    }

    /// Adds a line; `line` holds no line end.
    pub fn push(&mut self, line: &[u8]) {
        if self.error.is_some() {
            return;
        }
        self.buffer.extend_from_slice(line);
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) {
        let mut written = 0;
        while written < self.buffer.len() && self.error.is_none() {
            match self.file.write(&self.buffer[written..]) {
                Ok(0) => self.error = Some(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.error = Some(error),
            }
        }
        let whole = whole_lines(&self.buffer[..written]);
        self.whole_bytes += whole as u64;
        if whole < written {
            // Best effort: on a full disk cutting off still works; where it does not, a reader
            // meets one broken last line.
            let _ = self.file.set_len(self.whole_bytes);
        }
        self.buffer.clear();
    }

    /// Flushes, asks the system to keep it, and tells what went wrong, if anything.
    pub fn finish(mut self) -> Result<(), (PathBuf, io::Error)> {
        self.flush();
        match self.error {
            Some(error) => Err((self.path, error)),
            // Some file systems cannot sync; the bytes are with the system all the same.
            None => {
                let _ = self.file.sync_data();
                Ok(())
            }
        }
    }
}

/// Length of the whole lines at the start of `bytes`.
fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        let mut file = LineFile::create(&path).unwrap();
        file.push(b"one");
        file.push(b"two");
        assert_eq!(std::fs::read(&path).unwrap(), b"", "not before a flush");
        file.flush();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        file.push(&[b'x'; BUFFER_BYTES]);
        assert!(
            std::fs::metadata(&path).unwrap().len() > BUFFER_BYTES as u64,
            "a full buffer goes"
        );
        file.finish().unwrap();
        LineFile::create(&path).expect_err("a file that exists is never written over");
    }

    #[test]
    fn a_half_line_is_cut_off() {
        assert_eq!(whole_lines(b"one\ntwo\nthr"), 8);
        assert_eq!(whole_lines(b"one"), 0);
        assert_eq!(whole_lines(b""), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_at_the_end_and_stops_the_writing() {
        let path = Path::new("/dev/full");
        let full = OpenOptions::new().append(true).open(path).unwrap();
        let mut file = LineFile::over(full, path);
        file.push(b"one");
        file.flush();
        file.push(b"two");
        assert!(file.buffer.is_empty(), "nothing gathers behind an error");
        let (told, error) = file.finish().unwrap_err();
        assert_eq!(told, path);
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
