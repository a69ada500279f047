//! What the kernel swallows of a reader that does not read, before the hub's own queue sees a byte.
//!
//! Measured on Linux loopback with `tcp_wmem` up to 4 MiB and `tcp_rmem` of 128 KiB by default
//! (scenario facts, 4.1), by the buffer sizes as asked for:
//!
//! | client SO_RCVBUF | hub SO_SNDBUF | absorbed |
//! | --- | --- | --- |
//! | default | default | 4,229,120 |
//! | 4096 | default | 2,992,128 |
//! | 65536 | default | 4,270,592 |
//! | 4096 | 4096 | 14,336 |
//! | 4096 | 16384 | 32,768 |
//! | 4096 | 65536 | 102,400 |
//! | 16384 | 16384 | 57,344 |
//! | 65536 | 65536 | 265,114 |

use std::ops::RangeInclusive;

/// Absorbed with both buffers at their default.
const DEFAULT_BYTES: u64 = 4_229_120;

/// By the hub's send buffer, at a receive buffer of 4 KiB.
const BY_SEND: [(u64, u64); 3] = [(4_096, 14_336), (16_384, 32_768), (65_536, 102_400)];

/// What a larger receive buffer adds to that.
const ADDED_BY_RECEIVE: [(u64, u64); 3] = [(4_096, 0), (16_384, 24_576), (65_536, 162_714)];

/// By the client's receive buffer, at the default send buffer.
const WITH_DEFAULT_SEND: [(u64, u64); 2] = [(4_096, 2_992_128), (65_536, 4_270_592)];

/// Bytes that a client which does not read lets the hub write before the hub would block, from
/// least to most, by the buffer sizes as asked for (`None` is the system's default): the measured
/// points, linear between them. A send buffer alone was not measured, so that range is wide.
#[must_use]
pub fn absorption(receive: Option<u32>, send: Option<u32>) -> RangeInclusive<u64> {
    let exactly = |bytes: u64| bytes..=bytes;
    match (receive.map(u64::from), send.map(u64::from)) {
        (None, None) => exactly(DEFAULT_BYTES),
        (Some(receive), None) => {
            let (_, most) = WITH_DEFAULT_SEND[1];
            exactly(interpolate(&WITH_DEFAULT_SEND, receive).min(most))
        }
        (None, Some(send)) => pinned(65_536, send)..=DEFAULT_BYTES,
        (Some(receive), Some(send)) => exactly(pinned(receive, send)),
    }
}

/// Both buffers pinned.
fn pinned(receive: u64, send: u64) -> u64 {
    let bytes = interpolate(&BY_SEND, send) + interpolate(&ADDED_BY_RECEIVE, receive);
    bytes.min(DEFAULT_BYTES)
}

/// Linear between the points, flat below the first (the kernel has a least size), on along the last
/// piece above the last.
fn interpolate(points: &[(u64, u64)], at: u64) -> u64 {
    let mut value = points.first().map_or(0, |(_, first)| *first);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if at > x0 {
            value = y0 + (y1 - y0) * (at - x0) / (x1 - x0);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_points_are_met_exactly() {
        for (receive, send, bytes) in [
            (None, None, 4_229_120),
            (Some(4_096), None, 2_992_128),
            (Some(65_536), None, 4_270_592),
            (Some(4_096), Some(4_096), 14_336),
            (Some(4_096), Some(16_384), 32_768),
            (Some(4_096), Some(65_536), 102_400),
            (Some(16_384), Some(16_384), 57_344),
            (Some(65_536), Some(65_536), 265_114),
        ] {
            assert_eq!(absorption(receive, send), bytes..=bytes, "{receive:?} {send:?}");
        }
    }

    #[test]
    fn between_and_beyond_the_points() {
        assert_eq!(absorption(Some(4_096), Some(10_240)), 23_552..=23_552);
        assert_eq!(absorption(Some(1), Some(1)), 14_336..=14_336);
        assert_eq!(absorption(Some(u32::MAX), Some(u32::MAX)), DEFAULT_BYTES..=DEFAULT_BYTES);
        assert_eq!(absorption(None, Some(16_384)), 195_482..=DEFAULT_BYTES);
    }
}
