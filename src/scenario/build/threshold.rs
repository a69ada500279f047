//! `[thresholds]`: k6's grammar, parsed.

use super::super::file::ScenarioFile;
use super::super::plan::{Condition, Metric, Operator, Statistic, Threshold};
use super::super::problem::{Place, Problem, one_of, suggestion};
use super::super::units::Lasting;
use super::{At, Context};
use crate::measure::{LatencyKind, Stage};
use crate::protocol::CloseCategory;

/// Latencies by their names.
const LATENCIES: [(&str, LatencyKind); 8] = [
    ("connect", LatencyKind::Connect),
    ("message", LatencyKind::Message),
    ("acknowledgement", LatencyKind::Acknowledgement),
    ("echo", LatencyKind::Echo),
    ("rest", LatencyKind::Rest),
    ("rest_close", LatencyKind::RestClose),
    ("recovery", LatencyKind::Recovery),
    ("send_lag", LatencyKind::SendLag),
];

/// Other metrics by their names; `closes` needs its category.
const OTHERS: [&str; 10] = [
    "closes",
    "opens",
    "attempts",
    "delivered",
    "lost",
    "duplicated",
    "out_of_order",
    "acks_failed",
    "peak_connections",
    "peak_attempts",
];

/// Longest operators first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// Every threshold, in file order.
pub(super) fn all(context: &Context<'_>, file: &ScenarioFile) -> Vec<Threshold> {
    let mut all = Vec::new();
    for (name, at) in file.thresholds.iter().filter_map(At::get).flat_map(|named| &named.0) {
        let Some(text) = name.get() else { continue };
        let Some(selected) = selected(context, text, name.place) else { continue };
        for condition in at.get().into_iter().flatten() {
            let Some(written) = condition.get() else { continue };
            if let Some(parsed) = self::condition(context, selected.metric, condition, written) {
                all.push(Threshold {
                    metric: selected.metric,
                    population: selected.population,
                    stage: selected.stage,
                    condition: parsed,
                    text: written.trim().to_owned(),
                });
            }
        }
    }
    all
}

/// A metric with its selectors.
struct Selected {
    metric: Metric,
    population: Option<u16>,
    stage: Option<Stage>,
}

/// `message`, `message.service`, `message{population:healthy,stage:after}`.
fn selected(context: &Context<'_>, text: &str, place: Place) -> Option<Selected> {
    let (name, selectors) = match text.split_once('{') {
        None => (text.trim(), ""),
        Some((name, rest)) => {
            let Some(inside) = rest.trim_end().strip_suffix('}') else {
                context.push(
                    Problem::new(place, "the selector is not closed")
                        .label("expected `metric{population:NAME}`"),
                );
                return None;
            };
            (name.trim(), inside)
        }
    };
    let mut population = None;
    let mut stage = None;
    let mut category = None;
    for selector in selectors.split(',').filter(|selector| !selector.trim().is_empty()) {
        let Some((key, value)) = selector.split_once(':') else {
            context.push(
                Problem::new(place, format!("`{}` is not a selector", selector.trim()))
                    .label("expected `key:value`, such as `population:healthy`"),
            );
            return None;
        };
        match (key.trim(), value.trim()) {
            ("population", value) => population = Some(self::population(context, value, place)?),
            ("stage", value) => stage = Some(self::stage(context, value, place)?),
            ("category", value) => category = Some(self::category(context, value, place)?),
            (other, _) => {
                let keys = ["population", "stage", "category"];
                context.push(
                    Problem::new(place, format!("there is no selector `{other}`"))
                        .label(format!("expected {}", one_of(keys)))
                        .maybe_help(suggestion(other, keys)),
                );
                return None;
            }
        }
    }
    let metric = metric(context, name, category, place)?;
    let selected = Selected { metric, population, stage };
    check_selectors(context, &selected, name, category, place).then_some(selected)
}

fn population(context: &Context<'_>, name: &str, place: Place) -> Option<u16> {
    let found = context.roster.0.iter().position(|member| member.name == name);
    if found.is_none() {
        context.push(context.roster.unknown(name, place));
    }
    found.and_then(|index| u16::try_from(index).ok())
}

fn stage(context: &Context<'_>, name: &str, place: Place) -> Option<Stage> {
    match name {
        "before" => Some(Stage::Before),
        "after" => Some(Stage::After),
        other => {
            context.push(
                Problem::new(place, format!("there is no stage `{other}`"))
                    .label("expected `before` or `after` (the first trouble)"),
            );
            None
        }
    }
}

fn category(context: &Context<'_>, name: &str, place: Place) -> Option<CloseCategory> {
    let found = CloseCategory::ALL.into_iter().find(|category| category.name() == name);
    if found.is_none() {
        let names = CloseCategory::ALL.map(CloseCategory::name);
        context.push(
            Problem::new(place, format!("there is no close category `{name}`"))
                .label("expected the service's own word")
                .maybe_help(suggestion(name, names)),
        );
    }
    found
}

fn metric(
    context: &Context<'_>,
    name: &str,
    category: Option<CloseCategory>,
    place: Place,
) -> Option<Metric> {
    let (base, view) = name.split_once('.').map_or((name, None), |(base, view)| (base, Some(view)));
    if let Some((_, kind)) = LATENCIES.iter().find(|(known, _)| *known == base) {
        return match view {
            None => Some(Metric::Response(*kind)),
            Some("service") if *kind != LatencyKind::SendLag => Some(Metric::Service(*kind)),
            Some(other) => {
                let expected = if *kind == LatencyKind::SendLag {
                    "`send_lag` has one view only".to_owned()
                } else {
                    format!("expected `{base}` (from the planned instant) or `{base}.service`")
                };
                context.push(
                    Problem::new(place, format!("`{base}` has no view `{other}`")).label(expected),
                );
                None
            }
        };
    }
    match (base, view) {
        ("closes", None) => {
            if category.is_none() {
                context.push(
                    Problem::new(place, "`closes` needs a category")
                        .label("expected `closes{category:PingTimeout}`, in quotes"),
                );
            }
            category.map(Metric::Closes)
        }
        ("opens", None) => Some(Metric::Opens),
        ("attempts", None) => Some(Metric::Attempts),
        ("delivered", None) => Some(Metric::Delivered),
        ("lost", None) => Some(Metric::Lost),
        ("duplicated", None) => Some(Metric::Duplicated),
        ("out_of_order", None) => Some(Metric::OutOfOrder),
        ("acks_failed", None) => Some(Metric::AcksFailed),
        ("peak_connections", None) => Some(Metric::PeakConnections),
        ("peak_attempts", None) => Some(Metric::PeakAttempts),
        _ => {
            let names = LATENCIES.iter().map(|(name, _)| *name).chain(OTHERS);
            context.push(
                Problem::new(place, format!("there is no metric `{name}`"))
                    .label("expected a metric")
                    .maybe_help(suggestion(base, names)),
            );
            None
        }
    }
}

const fn is_latency(metric: Metric) -> bool {
    matches!(metric, Metric::Response(_) | Metric::Service(_))
}

/// Checks that the selectors mean something for the metric.
fn check_selectors(
    context: &Context<'_>,
    selected: &Selected,
    name: &str,
    category: Option<CloseCategory>,
    place: Place,
) -> bool {
    let of_nobody = matches!(
        selected.metric,
        Metric::PeakConnections
            | Metric::Response(LatencyKind::Rest)
            | Metric::Service(LatencyKind::Rest)
    );
    let meaningless = [
        (
            category.is_some() && !matches!(selected.metric, Metric::Closes(_)),
            "category",
            "only `closes` has categories",
        ),
        (
            selected.stage.is_some() && !is_latency(selected.metric),
            "stage",
            "only latencies are kept before and after the first trouble",
        ),
        (selected.population.is_some() && of_nobody, "population", "it is not kept by population"),
    ];
    for (wrong, selector, why) in meaningless {
        if wrong {
            context.push(
                Problem::new(place, format!("`{name}` cannot be selected by {selector}"))
                    .label(why),
            );
            return false;
        }
    }
    true
}

/// `p(99)<200ms`, `rate<0.01`, `count==0`.
fn condition(
    context: &Context<'_>,
    metric: Metric,
    at: &At<String>,
    text: &str,
) -> Option<Condition> {
    let found = OPERATORS
        .iter()
        .filter_map(|(sign, operator)| Some((text.find(sign)?, *sign, *operator)))
        .min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())));
    let Some((split, sign, operator)) = found else {
        let help = text
            .contains('=')
            .then(|| format!("equality is `==`: \"{}\"", text.replacen('=', "==", 1)));
        context.push(
            Problem::new(at.place, format!("{} compares nothing", at.place.show(text)))
                .label("expected a condition such as `p(99)<200ms` or `count==0`")
                .maybe_help(help.filter(|_| !at.place.hidden)),
        );
        return None;
    };
    let (left, right) = (text[..split].trim(), text[split + sign.len()..].trim());
    let statistic = statistic(context, metric, left, at.place)?;
    let value = value(context, metric, statistic, right, at.place)?;
    Some(Condition { statistic, operator, value })
}

fn statistic(context: &Context<'_>, metric: Metric, text: &str, place: Place) -> Option<Statistic> {
    let parsed = match text {
        "avg" => Some(Statistic::Average),
        "med" => Some(Statistic::Median),
        "min" => Some(Statistic::Minimum),
        "max" => Some(Statistic::Maximum),
        "count" => Some(Statistic::Count),
        "rate" => Some(Statistic::Rate),
        "value" => Some(Statistic::Value),
        other => other
            .strip_prefix("p(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|number| number.trim().parse::<f64>().ok())
            .filter(|percentile| (0.0..=100.0).contains(percentile))
            .map(Statistic::Percentile),
    };
    let (fits, known): (bool, &[&str]) = match metric {
        Metric::Response(_) | Metric::Service(_) => (
            !matches!(parsed, Some(Statistic::Rate | Statistic::Value)),
            &["p(99)", "avg", "med", "min", "max", "count"],
        ),
        Metric::PeakConnections | Metric::PeakAttempts => {
            (matches!(parsed, Some(Statistic::Value | Statistic::Maximum)), &["value", "max"])
        }
        Metric::Attempts | Metric::AcksFailed => {
            (matches!(parsed, Some(Statistic::Count)), &["count"])
        }
        Metric::Delivered
        | Metric::Opens
        | Metric::Closes(_)
        | Metric::Lost
        | Metric::Duplicated
        | Metric::OutOfOrder => {
            (matches!(parsed, Some(Statistic::Count | Statistic::Rate)), &["count", "rate"])
        }
    };
    if parsed.is_none() || !fits {
        context.push(
            Problem::new(place, format!("{} is not a number of this metric", place.show(text)))
                .label(format!("expected {}", one_of(known.iter().copied()))),
        );
        return None;
    }
    parsed
}

fn value(
    context: &Context<'_>,
    metric: Metric,
    statistic: Statistic,
    text: &str,
    place: Place,
) -> Option<f64> {
    let wrong = |expected: &str| {
        context.push(
            Problem::new(place, format!("{} is no value of this metric", place.show(text)))
                .label(format!("expected {expected}")),
        );
        None
    };
    if is_latency(metric) && statistic != Statistic::Count {
        return match text.parse::<Lasting>() {
            #[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 ns")]
            Ok(Lasting(duration)) => Some(duration.as_nanos() as f64),
            Err(expected) => wrong(&expected),
        };
    }
    let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
    if statistic == Statistic::Rate {
        let share = percent.map(|percent| percent / 100.0).or_else(|| text.parse().ok());
        return match share.filter(|share| (0.0..=1.0).contains(share)) {
            Some(share) => Some(share),
            None => wrong("a share from 0 to 1, such as 0.01 or 1%"),
        };
    }
    match text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0) {
        Some(number) => Some(number),
        None => wrong("a number from 0, without a unit"),
    }
}
