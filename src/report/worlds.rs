//! How a report tells in which world a run took place, and what its time was.

use super::run_file::RunFile;
use super::words;
use crate::event::World;

/// What holds bytes that one end has written and the other has not read.
#[must_use]
pub const fn carriers(world: World) -> &'static str {
    match world {
        World::Sockets => "the kernels",
        World::Virtual => "the links",
    }
}

/// `world sockets`, or `world virtual, simulated time: 12.0 s of it took 80.0 ms, 150 times as
/// fast`. Several runs, which are of one command and so share a world, are taken together.
#[must_use]
pub fn of(runs: &[RunFile]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let name = words::world(first.run.world);
    match first.run.world {
        World::Sockets => format!("world {name}"),
        World::Virtual => {
            let sum = |of: fn(&RunFile) -> u64| runs.iter().map(of).fold(0, u64::saturating_add);
            let told = sped(sum(|run| run.elapsed_ns), sum(|run| run.machine.real_elapsed_ns));
            format!("world {name}, simulated time: {told}")
        }
    }
}

/// `12.0 s of it took 80.0 ms, 150 times as fast`, of nanoseconds.
#[must_use]
pub fn sped(simulated_ns: u64, real_ns: u64) -> String {
    let (simulated, real) = (words::micros(simulated_ns / 1_000), words::micros(real_ns / 1_000));
    format!("{simulated} of it took {real}, {} times as fast", ratio(simulated_ns, real_ns.max(1)))
}

/// `0.4`, `7.5`, `150`: how often `part` goes into `whole`, to about two digits.
fn ratio(whole: u64, part: u64) -> String {
    // 128 bits, so that no count overflows.
    let tenths = (u128::from(whole) * 20 + u128::from(part)) / (2 * u128::from(part));
    if tenths < 100 {
        return format!("{}.{}", tenths / 10, tenths % 10);
    }
    words::number(u64::try_from((tenths + 5) / 10).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_fast_a_simulation_went_is_told_to_about_two_digits() {
        let second = 1_000_000_000;
        assert_eq!(sped(12 * second, 80_000_000), "12.0 s of it took 80.0 ms, 150 times as fast");
        for (whole, part, text) in [
            (9_960, 1_000, "10"),
            (9_940, 1_000, "9.9"),
            (400, 1_000, "0.4"),
            (86_400 * second, 60 * second, "1,440"),
            (u64::MAX, 1, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(ratio(whole, part), text);
        }
        assert!(sped(5, 0).ends_with(" times as fast"), "nothing is divided by nothing");
    }
}
