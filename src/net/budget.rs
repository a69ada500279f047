//! What this process may open: descriptors and ports.

/// Limits of this process and machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Soft limit of open files.
    pub descriptors_max: u64,
    /// Open files now (`/proc/self/fd`); `None` where that cannot be told.
    pub descriptors_open: Option<u64>,
    /// Ports the system hands out for outgoing connections to one address and port; `None` where
    /// that cannot be told.
    pub ports: Option<u64>,
}

impl Budget {
    /// Reads the limits, after raising the soft limit of open files to the hard one.
    #[must_use]
    pub fn read() -> Self {
        unimplemented!()
    }
}

/// Open files of this process now; `None` where that cannot be told.
#[must_use]
pub fn descriptors_open() -> Option<u64> {
    unimplemented!()
}

/// Resident memory of this process in bytes; `None` where that cannot be told.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    unimplemented!()
}
