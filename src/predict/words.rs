//! How predictions and checks word numbers: counts, times, quantities.

use crate::event::World;
use crate::protocol::CloseCategory;
use crate::scenario::plan::Quantity;

/// A count with its thousands apart: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time given in nanoseconds, to about three digits: `850 µs`, `4.25 s`.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = match ns.abs() {
        size if size < 999_500.0 => (ns / 1e3, "µs"),
        size if size < 999_500_000.0 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// What is said of a time that is shorter than a tick of the virtual world's clock.
pub(crate) const BELOW_TICK: &str = "< 1 ms";

/// A measured time given in nanoseconds. The virtual world's clock moves by whole milliseconds, so
/// that less than one is no figure there.
pub(crate) fn time_in(world: World, ns: f64) -> String {
    match world {
        World::Virtual if ns.abs() < 1e6 => BELOW_TICK.to_owned(),
        World::Virtual | World::Sockets => time(ns),
    }
}

/// `1 cell`, `2 cells`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A bare number, to about three digits after the point: `0.997`.
pub(crate) fn digits(value: f64) -> String {
    let text = match value.abs() {
        size if size < 10.0 => format!("{value:.3}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// What is demanded of a number, or foretold: `= 10`, `8 to 12`, `at least 8`, `at most 5`.
pub(crate) fn quantity(quantity: Quantity) -> String {
    let Quantity { at_least, at_most } = quantity;
    if at_least == at_most {
        format!("= {}", count(at_least))
    } else if (at_least, at_most) == (0, u64::MAX) {
        "in any number".to_owned()
    } else if at_most == u64::MAX {
        format!("at least {}", count(at_least))
    } else if at_least == 0 {
        format!("at most {}", count(at_most))
    } else {
        format!("{} to {}", count(at_least), count(at_most))
    }
}

/// Counts per category: `PingTimeout 9, Normal 1`; `nothing` when there are none.
pub(crate) fn categories(counts: impl IntoIterator<Item = (CloseCategory, u64)>) -> String {
    let parts: Vec<String> =
        counts.into_iter().map(|(category, rows)| format!("{category} {}", count(rows))).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        for (ns, text) in [
            (0.0, "0 µs"),
            (850e3, "850 µs"),
            (1.5e6, "1.5 ms"),
            (231e6, "231 ms"),
            (999.9e6, "1 s"),
            (4.25e9, "4.25 s"),
            (-2.5e9, "-2.5 s"),
            (86.4e9, "86.4 s"),
        ] {
            assert_eq!(time(ns), text);
        }
        assert_eq!(digits(0.9971), "0.997");
        assert_eq!(digits(200.0), "200");
    }

    #[test]
    fn less_than_a_tick_of_the_virtual_clock_is_no_figure() {
        for (ns, over_sockets, virtually) in
            [(0.0, "0 µs", "< 1 ms"), (1e3, "1 µs", "< 1 ms"), (1e6, "1 ms", "1 ms")]
        {
            assert_eq!(time_in(World::Sockets, ns), over_sockets);
            assert_eq!(time_in(World::Virtual, ns), virtually);
        }
    }

    #[test]
    fn quantities_read_well() {
        assert_eq!(quantity(Quantity::exactly(10)), "= 10");
        assert_eq!(quantity(Quantity { at_least: 8, at_most: 12 }), "8 to 12");
        assert_eq!(quantity(Quantity { at_least: 8, at_most: u64::MAX }), "at least 8");
        assert_eq!(quantity(Quantity { at_least: 0, at_most: 5 }), "at most 5");
        assert_eq!(quantity(Quantity { at_least: 0, at_most: u64::MAX }), "in any number");
    }
}
