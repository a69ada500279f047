//! The stamp at the head of every load message: who sent it, which one it is, when it was planned
//! and when it was really sent.
//!
//! Layout (ASCII, fixed width, lower-case hexadecimal): `sq` `stream:8` `sequence:8` `planned:16`
//! `sent:16`, 50 bytes; the rest of the message is padding. Times are nanoseconds since the run's
//! epoch. ASCII, so that the same stamp travels as `text` and inside JSON without escaping.

/// Bytes of a stamp; the smallest message that can carry one.
pub const STAMP_BYTES: usize = 50;

/// What a load message says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Which (sender, group) pair, numbered through the plan.
    pub stream: u32,
    /// Which message of the stream, from 1.
    pub sequence: u32,
    /// When the schedule wanted it sent, in nanoseconds since the run's epoch.
    pub planned_ns: u64,
    /// When it was handed to the socket, in nanoseconds since the run's epoch.
    pub sent_ns: u64,
}

impl Stamp {
    /// Appends the stamp and padding up to `size` bytes in all (never fewer than [`STAMP_BYTES`]).
    pub fn write(&self, size: usize, out: &mut Vec<u8>) {
        let end = out.len() + size.max(STAMP_BYTES);
        out.extend_from_slice(b"sq");
        push_hex(u64::from(self.stream), 8, out);
        push_hex(u64::from(self.sequence), 8, out);
        push_hex(self.planned_ns, 16, out);
        push_hex(self.sent_ns, 16, out);
        out.resize(end, b'.');
    }

    /// Reads the stamp at the start of a message; `None` when there is none.
    #[must_use]
    pub fn read(message: &[u8]) -> Option<Self> {
        let fields = message.get(..STAMP_BYTES)?.strip_prefix(b"sq")?;
        Some(Self {
            stream: u32::try_from(read_hex(&fields[..8])?).ok()?,
            sequence: u32::try_from(read_hex(&fields[8..16])?).ok()?,
            planned_ns: read_hex(&fields[16..32])?,
            sent_ns: read_hex(&fields[32..48])?,
        })
    }
}

fn push_hex(value: u64, digits: usize, out: &mut Vec<u8>) {
    for position in (0..digits).rev() {
        let nibble = (value >> (4 * position)) & 0xf;
        out.push(b"0123456789abcdef"[nibble as usize]);
    }
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, &digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(stream: u32, sequence: u32, planned_ns: u64, sent_ns: u64,
                                   size in 0_usize..4096) {
            let stamp = Stamp { stream, sequence, planned_ns, sent_ns };
            let mut out = b"before".to_vec();
            stamp.write(size, &mut out);
            prop_assert_eq!(out.len() - 6, size.max(STAMP_BYTES));
            prop_assert_eq!(Stamp::read(&out[6..]), Some(stamp));
        }

        #[test]
        fn anything_else_is_not_a_stamp(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assume!(!bytes.starts_with(b"sq"));
            prop_assert_eq!(Stamp::read(&bytes), None);
        }
    }
}
