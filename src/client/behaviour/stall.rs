//! Does not read at all, and so answers nothing: a blocked event loop, a suspended device whose
//! kernel still acknowledges. It watches for hang-up only, which is seen without reading.

use super::ReadAllowance;

/// What may be read while stalled.
#[must_use]
pub const fn may_read() -> ReadAllowance {
    ReadAllowance::NOTHING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read() {
        assert!(may_read().is_nothing());
    }
}
