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
/// fast`. Several runs, which are of one command and so share a world, are taken together; they may
/// have run side by side.
#[must_use]
pub fn of(runs: &[RunFile]) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let name = words::world(first.run.world);
    match first.run.world {
        World::Sockets => format!("world {name}"),
        World::Virtual => {
            let simulated = runs.iter().map(|run| run.elapsed_ns).fold(0, u64::saturating_add);
            let told = sped(simulated, real_span_ns(runs));
            format!("world {name}, simulated time: {told}")
        }
    }
}

/// Real time from the start of the first of the runs to the end of the last.
fn real_span_ns(runs: &[RunFile]) -> u64 {
    let began = runs.iter().map(|run| run.machine.started_unix_ns).min();
    let end =
        |run: &RunFile| run.machine.started_unix_ns.saturating_add(run.machine.real_elapsed_ns);
    let ended = runs.iter().map(end).max();
    began.zip(ended).map_or(0, |(began, ended)| ended.saturating_sub(began))
}

/// `12.0 s of it took 80.0 ms, 150 times as fast`, of nanoseconds. What was slower than real time
/// is told without the ratio.
#[must_use]
pub fn sped(simulated_ns: u64, real_ns: u64) -> String {
    let (simulated, real) = (words::micros(simulated_ns / 1_000), words::micros(real_ns / 1_000));
    let told = format!("{simulated} of it took {real}");
    if simulated_ns < real_ns {
        return told;
    }
    format!("{told}, {} times as fast", ratio(simulated_ns, real_ns.max(1)))
}

/// `7.5`, `150`: how often `part` goes into `whole`, to about two digits.
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
    use crate::report::samples;

    #[test]
    fn worlds_that_ran_side_by_side_took_the_time_of_their_span() {
        let mut runs = [samples::simulated(), samples::simulated(), samples::simulated()];
        runs[1].machine.started_unix_ns += 20_000_000;
        runs[2].machine.started_unix_ns += 70_000_000;
        // 3 x 8.4 s; from 0 to 70 ms + 56 ms.
        let told = "world virtual, simulated time: 25.2 s of it took 126 ms, 200 times as fast";
        assert_eq!(of(&runs), told);
    }

    #[test]
    fn how_fast_a_simulation_went_is_told_to_about_two_digits() {
        let second = 1_000_000_000;
        assert_eq!(sped(12 * second, 80_000_000), "12.0 s of it took 80.0 ms, 150 times as fast");
        for (whole, part, text) in [
            (9_960, 1_000, "10"),
            (9_940, 1_000, "9.9"),
            (86_400 * second, 60 * second, "1,440"),
            (u64::MAX, 1, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(ratio(whole, part), text);
        }
        assert_eq!(sped(7 * second, 14 * second), "7.00 s of it took 14.0 s");
        assert!(sped(5, 0).ends_with(" times as fast"), "nothing is divided by nothing");
    }
}
