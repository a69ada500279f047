//! When clients arrive.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::scenario::plan::{ArrivalSchedule, RampStage};

/// Planned instants of `count` arrivals, ascending, counted from the schedule's start.
///
/// Arrival `i` (from 0) comes when the schedule's rate, summed over time, has reached `i`: so the
/// first of a constant rate comes at once, and the first `k` are the same whatever the count. A
/// ramp that ends at a rate of zero yields only those that it reaches.
pub fn arrivals(
    schedule: &ArrivalSchedule,
    count: u32,
    mut rng: ChaCha8Rng,
) -> impl Iterator<Item = Duration> {
    let schedule = schedule.clone();
    let mut elapsed = 0.0;
    let mut stages = Position::default();
    let seconds = move |index: u32| -> Option<f64> {
        let index = f64::from(index);
        match &schedule {
            ArrivalSchedule::Burst => Some(0.0),
            ArrivalSchedule::Constant { rate } => Some(index / rate),
            ArrivalSchedule::Poisson { rate } => {
                // In (0, 1], so that the logarithm is finite.
                let uniform = 1.0 - rng.random::<f64>();
                elapsed -= uniform.ln() / rate;
                Some(elapsed)
            }
            ArrivalSchedule::Stages(all) => stages.instant_of(all, index),
        }
    };
    let mut latest = Duration::ZERO;
    (0..count).map(seconds).map_while(|seconds| Duration::try_from_secs_f64(seconds?).ok()).map(
        move |instant| {
            // Rounding at the seam of two stages may step back by a nanosecond.
            latest = latest.max(instant);
            latest
        },
    )
}

/// How far a walk through the stages of a ramp has come. It only goes forward.
#[derive(Debug, Default)]
struct Position {
    /// Stages that are over.
    stage: usize,
    /// Their time, in seconds.
    seconds: f64,
    /// Their arrivals.
    arrivals: f64,
}

impl Position {
    /// The instant at which the summed rate reaches `arrivals`; `None` when it never does.
    fn instant_of(&mut self, stages: &[RampStage], arrivals: f64) -> Option<f64> {
        while let Some(stage) = stages.get(self.stage) {
            let lasting = stage.lasting.as_secs_f64();
            let inside = (stage.from + stage.to) / 2.0 * lasting;
            let wanted = arrivals - self.arrivals;
            if wanted < inside {
                return Some(self.seconds + time_within(stage, wanted));
            }
            self.stage += 1;
            self.seconds += lasting;
            self.arrivals += inside;
        }
        let rate = stages.last()?.to;
        let wanted = arrivals - self.arrivals;
        (rate > 0.0).then(|| self.seconds + wanted / rate)
    }
}

/// Seconds into a stage after which `wanted` have arrived: the root of
/// `from·t + (to − from)/(2·lasting)·t² = wanted`, in the form that neither cancels nor divides by
/// a slope of zero.
fn time_within(stage: &RampStage, wanted: f64) -> f64 {
    if wanted <= 0.0 {
        return 0.0;
    }
    let slope = (stage.to - stage.from) / stage.lasting.as_secs_f64();
    let discriminant = (stage.from * stage.from + 2.0 * slope * wanted).max(0.0);
    2.0 * wanted / (stage.from + discriminant.sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pace::{Purpose, stream};

    fn planned(schedule: &ArrivalSchedule, count: u32) -> Vec<Duration> {
        arrivals(schedule, count, stream(1, "crowd", 0, Purpose::Arrival)).collect()
    }

    fn ramp(from: f64, to: f64, seconds: u64) -> RampStage {
        RampStage { from, to, lasting: Duration::from_secs(seconds) }
    }

    fn millis(planned: &[Duration]) -> Vec<u128> {
        planned.iter().map(Duration::as_millis).collect()
    }

    #[test]
    fn table() {
        let cases: [(&str, ArrivalSchedule, u32, &[u128]); 7] = [
            ("burst", ArrivalSchedule::Burst, 3, &[0, 0, 0]),
            ("constant", ArrivalSchedule::Constant { rate: 4.0 }, 4, &[0, 250, 500, 750]),
            ("flat stage", ArrivalSchedule::Stages(vec![ramp(4.0, 4.0, 9)]), 3, &[0, 250, 500]),
            // 2 t² / (2 · 1) = i, so t = √i.
            (
                "from zero",
                ArrivalSchedule::Stages(vec![ramp(0.0, 20.0, 10)]),
                5,
                &[0, 1000, 1414, 1732, 2000],
            ),
            // 2 t − t² / 4 = i over four seconds, then nothing.
            ("to zero", ArrivalSchedule::Stages(vec![ramp(2.0, 0.0, 4)]), 9, &[0, 535, 1171, 2000]),
            (
                "end rate goes on",
                ArrivalSchedule::Stages(vec![ramp(0.0, 2.0, 2)]),
                5,
                &[0, 1414, 2000, 2500, 3000],
            ),
            (
                "two stages",
                ArrivalSchedule::Stages(vec![ramp(1.0, 1.0, 2), ramp(4.0, 4.0, 1)]),
                5,
                &[0, 1000, 2000, 2250, 2500],
            ),
        ];
        for (what, schedule, count, expected) in cases {
            assert_eq!(millis(&planned(&schedule, count)), expected, "{what}");
        }
    }

    #[test]
    fn poisson_gaps_have_the_mean_of_the_rate_and_depend_on_the_seed() {
        let schedule = ArrivalSchedule::Poisson { rate: 50.0 };
        let all = planned(&schedule, 20_000);
        let mean = all[19_999].as_secs_f64() / 20_000.0;
        assert!((0.0194..0.0206).contains(&mean), "mean gap {mean}");
        let other: Vec<_> =
            arrivals(&schedule, 20_000, stream(2, "crowd", 0, Purpose::Arrival)).collect();
        assert_ne!(all, other);
    }

    fn schedules() -> impl Strategy<Value = ArrivalSchedule> {
        let rate = || 0.5_f64..2_000.0;
        let stage =
            (0.0_f64..500.0, 0.5_f64..500.0, 1_u64..20_000).prop_map(|(from, to, millis)| {
                RampStage { from, to, lasting: Duration::from_millis(millis) }
            });
        prop_oneof![
            Just(ArrivalSchedule::Burst),
            rate().prop_map(|rate| ArrivalSchedule::Constant { rate }),
            rate().prop_map(|rate| ArrivalSchedule::Poisson { rate }),
            proptest::collection::vec(stage, 1..5).prop_map(ArrivalSchedule::Stages),
        ]
    }

    /// Arrivals that the rate, summed up to `at`, asks for.
    fn integral(stages: &[RampStage], at: f64) -> f64 {
        let mut left = at;
        let mut sum = 0.0;
        for stage in stages {
            let lasting = stage.lasting.as_secs_f64();
            let inside = left.min(lasting);
            let rate_then = stage.from + (stage.to - stage.from) * inside / lasting;
            sum += (stage.from + rate_then) / 2.0 * inside;
            left -= inside;
        }
        sum + left * stages.last().map_or(0.0, |stage| stage.to)
    }

    proptest! {
        #[test]
        fn all_arrive_in_order(schedule in schedules(), count in 0_u32..400) {
            let all = planned(&schedule, count);
            prop_assert_eq!(all.len(), count as usize);
            prop_assert!(all.is_sorted());
        }

        #[test]
        fn the_first_are_the_same_whatever_the_count(
            schedule in schedules(), count in 1_u32..300, more in 0_u32..300,
        ) {
            let few = planned(&schedule, count);
            prop_assert_eq!(&planned(&schedule, count + more)[..count as usize], few.as_slice());
        }

        #[test]
        fn the_rate_summed_up_to_an_arrival_is_its_number(
            schedule in schedules(), count in 1_u32..300,
        ) {
            if let ArrivalSchedule::Stages(stages) = &schedule {
                for (index, at) in planned(&schedule, count).iter().enumerate() {
                    let reached = integral(stages, at.as_secs_f64());
                    prop_assert!((reached - index as f64).abs() < 1e-3, "{index}: {reached}");
                }
            }
        }
    }
}
