//! What holds of any load.

use proptest::prelude::*;

use super::*;

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![
        (1_u64..2_000, 1_u64..300).prop_map(|(count, members)| Target::Groups { count, members }),
        Just(Target::Everyone),
        Just(Target::Upstream),
        Just(Target::RestToUser),
        Just(Target::RestBroadcast),
    ]
}

fn traffics() -> impl Strategy<Value = Traffic> {
    (targets(), 1_u64..500, 0.01_f64..3.0, 1_u64..20_000)
        .prop_map(|(target, senders, rate, size)| traffic(target, senders, rate, size))
}

fn workloads() -> impl Strategy<Value = Workload> {
    let revision = prop_oneof![Just(Revision::Newest), Just(Revision::Older)];
    let list = prop_oneof![Just(UnitList::Newest), Just(UnitList::Older)];
    let inbound = prop_oneof![Just(Inbound::Conditions), Just(Inbound::Limits)];
    let settings = (revision, list, inbound, 0.0_f64..24.0);
    (20_u64..200_000, prop::collection::vec(traffics(), 0..4), settings).prop_map(
        |(connections, traffic, (revision, unit_list, inbound, hours))| Workload {
            traffic,
            revision,
            unit_list,
            inbound,
            profile: Profile::hours(hours),
            ..Workload::idle("any", connections)
        },
    )
}

/// Units of the answer; a load that nothing holds needs more than anything.
fn needed(load: &Workload) -> u32 {
    match size(load).fitting() {
        Some(Rung { tier: Tier::Free, .. }) => 0,
        Some(rung) => rung.units,
        None => u32::MAX,
    }
}

proptest! {
    #[test]
    fn more_load_never_needs_fewer_units(load in workloads(), factor in 1.0_f64..4.0) {
        let units = needed(&load);
        prop_assert!(needed(&load.with_users(factor)) >= units);
        prop_assert!(needed(&load.with_rates(factor)) >= units);
        prop_assert!(needed(&load.with_sizes(factor)) >= units);
        let mut more = load.clone();
        more.traffic.push(traffic(Target::RestToUser, 1, factor, 100));
        prop_assert!(needed(&more) >= units);
    }

    #[test]
    fn the_first_that_fits_is_the_first(load in workloads()) {
        let sizing = size(&load);
        let fits: Vec<_> = sizing.ladder.iter().map(Rung::fits).collect();
        prop_assert_eq!(sizing.chosen, fits.iter().position(|fits| *fits));
        if sizing.chosen.is_none() {
            prop_assert_eq!(sizing.ladder.last().unwrap().units, 1_000);
        }
    }

    #[test]
    fn utilisation_scales_with_the_load(load in workloads(), factor in 1.0_f64..4.0) {
        let (one, more) = (rung(&load, Tier::Premium, 50), {
            rung(&load.with_rates(factor), Tier::Premium, 50)
        });
        prop_assert_eq!(one.utilisation.len(), more.utilisation.len());
        for (one, more) in one.utilisation.iter().zip(&more.utilisation) {
            let grows = if one.dimension == Dimension::Connections { 1.0 } else { factor };
            prop_assert!(close(more.share(), one.share() * grows), "{:?} {:?}", one, more);
        }
    }

    #[test]
    fn more_units_never_carry_less(
        load in workloads(),
        list in prop_oneof![Just(UnitList::Newest), Just(UnitList::Older)],
    ) {
        let steps = unit_steps(Tier::Premium, list);
        for pair in steps.windows(2) {
            let carried = |units| capacities(Tier::Premium, units, load.revision, load.inbound);
            for (fewer, more) in carried(pair[0]).iter().zip(&carried(pair[1])) {
                prop_assert_eq!(fewer.dimension, more.dimension);
                prop_assert!(fewer.amount <= more.amount, "{:?} {:?}", fewer, more);
            }
        }
    }

    /// At the multiple told, the dimension is exactly full, and none that is told later is.
    #[test]
    fn the_break_order_tells_what_is_full_at_each_multiple(load in workloads()) {
        let rung = rung(&load, Tier::Premium, 100);
        let order = rung.break_order();
        for two in order.windows(2) {
            prop_assert!(two[0].break_multiple() <= two[1].break_multiple());
        }
        let touched = rung.utilisation.iter().filter(|one| one.demand > 0.0).count();
        prop_assert_eq!(order.len(), touched);
        for (index, one) in order.iter().enumerate() {
            let multiple = one.break_multiple();
            prop_assert!(close(one.demand * multiple, one.capacity));
            for later in &order[index..] {
                prop_assert!(later.demand * multiple <= later.capacity * (1.0 + 1e-9));
            }
        }
    }

    #[test]
    fn what_is_billed_is_rounded_up_at_most_once_a_message(load in workloads()) {
        let Range { least, most } = billed_per_day(&load);
        prop_assert!(least <= most * (1.0 + 1e-9));
        let billed: f64 = flows(&load).iter().map(Flow::billed_out).sum();
        let seconds = load.profile.full_hours() * 3_600.0;
        prop_assert!(most <= least + billed * seconds + 1e-6);
    }

    #[test]
    fn messages_are_told_to_break_before_bytes_up_to_the_size_they_were_measured_with(
        load in workloads(),
    ) {
        let mut load = load;
        for traffic in &mut load.traffic {
            traffic.size = traffic.size.min(2_048);
        }
        let first = rung(&load, Tier::Premium, 1_000).breaks_first().unwrap().dimension;
        prop_assert!(!matches!(first, Dimension::Traffic(_, _, Measure::Bytes)), "{}", first);
    }
}
