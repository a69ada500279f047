//! The scenarios that ship with the binary, and the names they can be called by.

use super::plan::Claim;
use super::problem::{closest, either, list};
use super::{Overrides, Plan, ScenarioErrors, Source, load};
use crate::protocol::CloseCategory;

/// A scenario embedded in the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Folder under `scenarios/`, `drops`.
    pub folder: &'static str,
    /// File stem.
    pub name: &'static str,
    /// Text.
    pub text: &'static str,
}

impl Builtin {
    /// The text with its name and where it lies in the repository.
    #[must_use]
    pub fn source(&self) -> Source {
        Source {
            name: self.name.to_owned(),
            origin: format!("scenarios/{}/{}.toml", self.folder, self.name),
            text: self.text.to_owned(),
        }
    }

    /// The plan without overrides; built-in scenarios need nothing of the environment.
    pub fn plan(&self) -> Result<Plan, ScenarioErrors> {
        load(&self.source(), &Overrides::default(), &|_| None)
    }

    /// What has to come for the scenario to pass, in the service's words: categories of ends, and
    /// names of events in the log of the event handlers.
    #[must_use]
    pub fn shows(&self) -> Vec<&'static str> {
        let Ok(plan) = self.plan() else { return Vec::new() };
        let demanded = |category: &CloseCategory| self.demands(&plan, *category);
        let mut shown: Vec<_> =
            CloseCategory::ALL.into_iter().filter(demanded).map(CloseCategory::name).collect();
        for logged in plan.server_side.log.iter().filter(|logged| logged.count.at_least > 0) {
            if !shown.contains(&logged.event.name()) {
                shown.push(logged.event.name());
            }
        }
        shown
    }

    /// Whether a connection has to end with this category for the scenario to pass. Leaving in
    /// order happens everywhere, so `Normal` is demanded only where nothing else is. Only one
    /// folder is about a category: that of drops about all that no other one is about.
    fn demands(&self, plan: &Plan, category: CloseCategory) -> bool {
        let about_it = match category {
            CloseCategory::SendEventFailed | CloseCategory::EventHandlerNotFound => "upstream",
            CloseCategory::Throttled | CloseCategory::Unauthorized => "reconnect",
            CloseCategory::BadRequest => "limits",
            _ => "drops",
        };
        if self.folder != about_it {
            return false;
        }
        let mut demanded =
            plan.expectations.iter().filter_map(|expectation| match &expectation.claim {
                Claim::Closes(closes) => Some(closes),
                _ => None,
            });
        let demands = |closes: &Vec<(CloseCategory, super::plan::Quantity)>, wanted| {
            closes.iter().any(|(listed, quantity)| *listed == wanted && quantity.at_least > 0)
        };
        if category == CloseCategory::Normal {
            return demanded.all(|closes| closes.iter().all(|(listed, _)| !listed.is_drop()));
        }
        demanded.any(|closes| demands(closes, category))
    }
}

macro_rules! builtin {
    ($folder:literal, $name:literal) => {
        Builtin {
            folder: $folder,
            name: $name,
            text: include_str!(concat!("../../scenarios/", $folder, "/", $name, ".toml")),
        }
    };
}

/// Every built-in scenario, quickest first within its folder.
#[must_use]
pub fn builtins() -> &'static [Builtin] {
    const ALL: [Builtin; 40] = [
        builtin!("drops", "closed-by-app-server"),
        builtin!("drops", "ping-timeout"),
        builtin!("drops", "slow-client"),
        builtin!("drops", "service-reload"),
        builtin!("drops", "normal-baseline"),
        builtin!("drops", "connection-count-limit"),
        builtin!("reconnect", "flash-crowd"),
        builtin!("reconnect", "token-expiry"),
        builtin!("reconnect", "slow-client-flapping"),
        builtin!("reconnect", "reconnect-storm"),
        builtin!("reconnect", "reconnect-storm-jitter"),
        builtin!("reconnect", "graceful-drain"),
        builtin!("reconnect", "reconnect-policies"),
        builtin!("fleets", "noisy-neighbour-group"),
        builtin!("fleets", "ungraceful-exit"),
        builtin!("fleets", "half-open-tcp"),
        builtin!("fleets", "idle-proxy-timeout"),
        builtin!("fleets", "mixed-fleet"),
        builtin!("limits", "oversize-frame"),
        builtin!("limits", "zombie-quota-lockout"),
        builtin!("upstream", "abuse-protection-missing-origin"),
        builtin!("upstream", "abuse-protection-401"),
        builtin!("upstream", "event-handler-not-found"),
        builtin!("upstream", "upstream-cold-start"),
        builtin!("upstream", "echo-upstream"),
        builtin!("upstream", "upstream-404"),
        builtin!("upstream", "upstream-500"),
        builtin!("upstream", "upstream-target-invalid"),
        builtin!("upstream", "dead-upstream-storm"),
        builtin!("upstream", "abuse-protection-dns-failure"),
        builtin!("generator", "honest-latency"),
        builtin!("generator", "hold-5000"),
        builtin!("capacity", "tier-sizing"),
        builtin!("capacity", "breakpoint"),
        builtin!("capacity", "fan-out"),
        builtin!("capacity", "small-groups"),
        builtin!("capacity", "rest-to-user"),
        builtin!("capacity", "rest-broadcast"),
        builtin!("capacity", "safe-rate"),
        builtin!("capacity", "soak"),
    ];
    &ALL
}

/// A name that no built-in scenario goes by.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no built-in scenario, folder, close category or error is called `{name}`{hint}")]
pub struct NoSuchScenario {
    /// What was asked for.
    pub name: String,
    /// `; did you mean …?`, or what there is.
    hint: String,
}

/// The built-in scenarios that a name stands for: its own name (`ping-timeout`, or
/// `drops/ping-timeout`), its folder (`drops`), or a close category or the name of an error in the
/// log in any case (`PingTimeout`, `HttpHandlerUnexpectedResponse`: those that demand it). Never
/// empty.
pub fn resolve(name: &str) -> Result<Vec<&'static Builtin>, NoSuchScenario> {
    let pick = |is: &dyn Fn(&Builtin) -> bool| {
        builtins().iter().filter(|builtin| is(builtin)).collect::<Vec<_>>()
    };
    let category = name.parse::<CloseCategory>().ok();
    let found = [
        pick(&|builtin| {
            builtin.name == name || name == format!("{}/{}", builtin.folder, builtin.name)
        }),
        pick(&|builtin| builtin.folder == name),
        pick(&|builtin| builtin.shows().iter().any(|shown| shown.eq_ignore_ascii_case(name))),
    ];
    if let Some(found) = found.into_iter().find(|found| !found.is_empty()) {
        return Ok(found);
    }
    let mut names: Vec<&str> = builtins().iter().map(|builtin| builtin.name).collect();
    let mut folders: Vec<&str> = builtins().iter().map(|builtin| builtin.folder).collect();
    folders.dedup();
    names.extend(folders);
    let categories = CloseCategory::ALL.map(CloseCategory::name);
    // `404` is said of the whole of a name, and of no letter more or less.
    let part = |known: &&str| known.split('-').any(|part| part == name);
    let of_parts: Vec<&str> = names.iter().copied().filter(part).collect();
    let shown = builtins().iter().flat_map(Builtin::shows);
    let known = names.iter().copied().chain(categories).chain(shown);
    let hint = match (category, closest(name, known)) {
        (Some(category), _) => format!(
            ": no built-in scenario shows {category} yet; there are {}",
            list(names.iter().copied())
        ),
        _ if !of_parts.is_empty() => format!("; did you mean {}?", either(of_parts)),
        (None, Some(close)) => format!("; did you mean `{close}`?"),
        (None, None) => format!("; there are {}", list(names.iter().copied())),
    };
    Err(NoSuchScenario { name: name.to_owned(), hint })
}

/// What `squall new` writes: a scenario that loads as it stands, with comments on what to change.
#[must_use]
pub fn template() -> &'static str {
    include_str!("template.toml")
}
