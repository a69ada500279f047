//! `[profiles.NAME]`: what differs in a file when a profile is in force.
//!
//! It holds what `--set` would: keys lead to a value, headers and dotted keys alike, and the value
//! takes the place of the file's own. An inline table is a value, and replaces the whole table.

use super::document::{Entry, Node, Value, descend_to, put_at};
use super::problem::{Place, Problem, Problems, Texts};

/// The section's name.
const SECTION: &str = "profiles";

/// The steps to a value.
type Steps = Vec<(String, Place)>;

/// The profile that a tree names by itself; the default one where it names none.
pub(super) fn named(root: &Node) -> Option<String> {
    match root.get("hub").and_then(|hub| hub.get("profile")).map(|profile| &profile.value) {
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => None,
        None => Some(super::file::Profile::default().name().to_owned()),
    }
}

/// Profiles for which a tree has something of its own.
pub(super) fn differing(root: &Node) -> Vec<String> {
    match root.get(SECTION).map(|section| &section.value) {
        Some(Value::Table(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

/// Applies what differs under the profile in force, and empties the tables of all profiles: what
/// is left in the section is only looked at for its names.
pub(super) fn apply(
    root: &mut Node,
    in_force: Option<&str>,
    texts: &Texts<'_>,
    problems: &Problems,
) {
    let Value::Table(sections) = &mut root.value else { return };
    let section = sections.iter_mut().find(|entry| entry.key == SECTION);
    let Some(Value::Table(profiles)) = section.map(|entry| &mut entry.node.value) else { return };
    let mut changes = Vec::new();
    for profile in profiles {
        let Value::Table(entries) = &mut profile.node.value else { continue };
        let entries = std::mem::take(entries);
        if Some(profile.key.as_str()) == in_force {
            collect(entries, &Vec::new(), texts, &mut changes);
        }
    }
    for (steps, value) in changes {
        if let Some(problem) = misplaced(&steps) {
            problems.push(problem);
        } else if let Some(value) = value {
            put_at(root, &steps, value, problems);
        } else {
            let _ = descend_to(root, &steps, problems);
        }
    }
}

/// Every value of a table with the steps to it; `None` for a table that is empty.
fn collect(
    entries: Vec<Entry>,
    steps: &Steps,
    texts: &Texts<'_>,
    changes: &mut Vec<(Steps, Option<Node>)>,
) {
    for Entry { key, key_place, node } in entries {
        let mut steps = steps.clone();
        steps.push((key, key_place));
        match node.value {
            Value::Table(entries) if !texts.is_inline_table(node.place) => {
                if entries.is_empty() {
                    changes.push((steps, None));
                } else {
                    collect(entries, &steps, texts, changes);
                }
            }
            _ => changes.push((steps, Some(node))),
        }
    }
}

/// What no profile can change.
fn misplaced(steps: &Steps) -> Option<Problem> {
    let keys: Vec<&str> = steps.iter().map(|(key, _)| key.as_str()).collect();
    let place = |index: usize| steps.get(index).map(|(_, place)| *place);
    match keys.as_slice() {
        [SECTION, ..] => Some(
            Problem::new(place(0)?, "a profile cannot hold profiles")
                .label("expected what differs under this profile"),
        ),
        ["hub", "profile"] => Some(
            Problem::new(place(1)?, "a profile cannot choose another one")
                .label("expected what differs under this profile")
                .help("the file's own profile stands in `[hub]`; --profile comes first"),
        ),
        _ => None,
    }
}
