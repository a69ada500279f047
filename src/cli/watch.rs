//! Whose story is told: `--trace-connection`.

use std::str::FromStr;

use super::CliError;
use crate::engine::WatchedClient;
use crate::predict::words::count;
use crate::scenario::Plan;
use crate::scenario::plan::{Population, PopulationIndex};

/// One virtual client, as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientArgument {
    /// `muted[3]`.
    Of {
        /// Name of its population.
        population: String,
        /// Which client of the population, from 0.
        index: u32,
    },
    /// A number over all populations in file order, from 0.
    Number(u64),
}

impl FromStr for ClientArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        let named = text.strip_suffix(']').and_then(|text| text.split_once('['));
        let named = named.and_then(|(name, index)| Some((name.trim(), index.trim().parse().ok()?)));
        match named {
            Some((population, index)) if !population.is_empty() => {
                Ok(Self::Of { population: population.to_owned(), index })
            }
            _ => Err("expected one client: NAME[INDEX], for example muted[3], or its number over \
                      all populations; both count from 0"
                .to_owned()),
        }
    }
}

impl ClientArgument {
    /// The client in a plan.
    pub fn find(&self, plan: &Plan) -> Result<WatchedClient, CliError> {
        self.in_plan(plan).ok_or_else(|| CliError::Usage(self.unknown(plan)))
    }

    fn in_plan(&self, plan: &Plan) -> Option<WatchedClient> {
        let mut populations = (0..).zip(&plan.populations);
        match self {
            Self::Of { population: name, index } => {
                let known = |(_, population): &(PopulationIndex, &Population)| {
                    population.name == *name && *index < population.count
                };
                let (population, _) = populations.find(known)?;
                Some(WatchedClient { population, index: *index })
            }
            Self::Number(number) => {
                let mut left = *number;
                for (population, settings) in populations {
                    match u32::try_from(left) {
                        Ok(index) if index < settings.count => {
                            return Some(WatchedClient { population, index });
                        }
                        _ => left -= u64::from(settings.count),
                    }
                }
                None
            }
        }
    }

    /// What is wrong, and who there is.
    fn unknown(&self, plan: &Plan) -> String {
        let asked = match self {
            Self::Of { population, index } => format!("{population}[{index}]"),
            Self::Number(number) => format!("number {number}"),
        };
        let mut told = format!("--trace-connection: {} has no client {asked}; it has", plan.name);
        for population in &plan.populations {
            let last = population.count.saturating_sub(1);
            let clients = count(u64::from(population.count));
            let noun = if population.count == 1 { "client" } else { "clients" };
            told.push_str(&match last {
                0 => format!("\n  {}[0]: 1 client", population.name),
                _ => format!("\n  {0}[0] to {0}[{last}]: {clients} {noun}", population.name),
            });
        }
        told
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::scenario::{self, Overrides, Source};

    fn plan() -> Plan {
        let text = "title = \"t\"\nduration = \"5s\"\n[hub]\nprofile = \"ci\"\n\
                    [populations.a]\ncount = 3\narrival = { burst = {} }\n\
                    [populations.b]\ncount = 2\narrival = { burst = {} }\n\
                    [expect.a]\ncloses = { Normal = \"all\" }\n";
        let source = Source { name: "t".into(), origin: "t".into(), text: text.into() };
        scenario::load(&source, &Overrides::default(), &|_| None).unwrap()
    }

    fn found(text: &str) -> Result<(u16, u32), String> {
        let argument: ClientArgument = text.parse().unwrap();
        let found = argument.find(&plan());
        found.map(|who| (who.population, who.index)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_client_is_named_by_population_and_index_or_counted_over_all() {
        assert_eq!(found("a[0]"), Ok((0, 0)));
        assert_eq!(found(" b[1] "), Ok((1, 1)));
        assert_eq!(found("2"), Ok((0, 2)));
        assert_eq!(found("3"), Ok((1, 0)));
        assert_eq!(found("4"), Ok((1, 1)));
    }

    #[test]
    fn who_is_not_there_gets_a_list_of_who_is() {
        for text in ["a[3]", "c[0]", "5", "18446744073709551615"] {
            let told = found(text).unwrap_err();
            assert!(told.contains("t has no client"), "{told}");
            assert!(told.contains("a[0] to a[2]: 3 clients"), "{told}");
            assert!(told.contains("b[0] to b[1]: 2 clients"), "{told}");
        }
    }

    #[test]
    fn what_names_no_client_is_refused() {
        for text in ["", "a", "a[]", "a[x]", "[1]", "-1", "a[1", "a[1]x"] {
            assert!(text.parse::<ClientArgument>().is_err(), "{text}");
        }
    }
}
