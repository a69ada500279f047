//! What the roles of a token permit (client-protocols facts, 2.3).

/// What a role string grants: an action on any group, on one group by name, or on groups that match
/// a wildcard pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupAction {
    /// Join and leave.
    JoinLeave,
    /// Publish.
    Send,
}

/// Unescaped `*` in one pattern, those of `**` included (azure-docs
/// `articles/azure-web-pubsub/concept-wildcard-group-roles.md`).
const STARS_MAX: usize = 5;
/// Characters of a pattern (Microsoft's emulator).
const PATTERN_CHARS_MAX: usize = 1_024;

/// Whether one of `roles` permits `action` on `group`.
///
/// A pattern past its limits, or with a `\` before anything but `\`, `*` and `?`, grants nothing.
#[must_use]
pub fn permits(roles: &[String], action: GroupAction, group: &str) -> bool {
    let any_group = match action {
        GroupAction::JoinLeave => "webpubsub.joinLeaveGroup",
        GroupAction::Send => "webpubsub.sendToGroup",
    };
    roles.iter().filter_map(|role| role.strip_prefix(any_group)).any(|rest| {
        if let Some(pattern) = rest.strip_prefix("s.") {
            return matches(pattern, group);
        }
        rest.is_empty() || rest.strip_prefix('.') == Some(group)
    })
}

#[derive(Clone, Copy)]
enum Piece {
    Literal(char),
    /// `?`: one character but `.`.
    One,
    /// `*`: any run without `.`.
    Run,
    /// `**`: any run.
    AnyRun,
}

fn matches(pattern: &str, text: &str) -> bool {
    parse(pattern).is_some_and(|pieces| matches_pieces(&pieces, text))
}

fn parse(pattern: &str) -> Option<Vec<Piece>> {
    if pattern.chars().count() > PATTERN_CHARS_MAX {
        return None;
    }
    let mut pieces = Vec::new();
    let mut stars = 0;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '\\' => Piece::Literal(chars.next().filter(|next| matches!(next, '\\' | '*' | '?'))?),
            '?' => Piece::One,
            '*' if chars.next_if_eq(&'*').is_some() => {
                stars += 2;
                Piece::AnyRun
            }
            '*' => {
                stars += 1;
                Piece::Run
            }
            other => Piece::Literal(other),
        });
    }
    (stars <= STARS_MAX).then_some(pieces)
}

/// Keeps the set of pieces that may come next, so that the work is at most pieces times characters,
/// whatever the pattern: no backtracking.
fn matches_pieces(pieces: &[Piece], text: &str) -> bool {
    let mut here = vec![false; pieces.len() + 1];
    here[0] = true;
    pass_empty_runs(pieces, &mut here);
    for c in text.chars() {
        let mut next = vec![false; pieces.len() + 1];
        for (at, piece) in pieces.iter().enumerate().filter(|(at, _)| here[*at]) {
            match piece {
                Piece::Literal(literal) if *literal == c => next[at + 1] = true,
                Piece::One if c != '.' => next[at + 1] = true,
                Piece::Run if c != '.' => next[at] = true,
                Piece::AnyRun => next[at] = true,
                _ => {}
            }
        }
        pass_empty_runs(pieces, &mut next);
        here = next;
    }
    here[pieces.len()]
}

/// A run may be empty, so what follows one may come wherever the run may.
fn pass_empty_runs(pieces: &[Piece], set: &mut [bool]) {
    for (at, piece) in pieces.iter().enumerate() {
        if set[at] && matches!(piece, Piece::Run | Piece::AnyRun) {
            set[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn roles_grant_what_they_name() {
        use GroupAction::{JoinLeave, Send};
        for (role, action, group, granted) in [
            ("webpubsub.joinLeaveGroup", JoinLeave, "any", true),
            ("webpubsub.joinLeaveGroup", Send, "any", false),
            ("webpubsub.sendToGroup", Send, "any", true),
            ("webpubsub.sendToGroup.g1", Send, "g1", true),
            ("webpubsub.sendToGroup.g1", Send, "g12", false),
            ("webpubsub.sendToGroup.g*", Send, "g1", false),
            ("webpubsub.sendToGroup.g*", Send, "g*", true),
            ("webpubsub.sendToGroup.g1", Send, "G1", false),
            ("webpubsub.sendToGroups.g*", Send, "g1", true),
            ("webpubsub.joinLeaveGroups.g*", Send, "g1", false),
            ("webpubsub.sendToGroups", Send, "g1", false),
            ("webpubsub.sendToGroupX", Send, "X", false),
            ("webpubsub.sendToGroup.", Send, "g1", false),
            ("sendToGroup", Send, "g1", false),
        ] {
            assert_eq!(permits(&[role.to_owned()], action, group), granted, "{role} on {group}");
        }
        assert!(!permits(&[], Send, "g"));
        assert!(permits(&["x".into(), "webpubsub.sendToGroup.g".into()], Send, "g"));
    }

    /// The documentation's own examples first.
    #[test]
    fn patterns_match_as_documented() {
        for (pattern, yes, no) in [
            (
                "chat-*",
                &["chat-1", "chat-room", "chat-"][..],
                &["chat.1", "xchat-1", "chat-a.b"][..],
            ),
            (
                "clientA.*",
                &["clientA.alpha", "clientA.1"],
                &["clientA.alpha.room1", "clientB.alpha", "clientA"],
            ),
            (
                "clientA.**",
                &["clientA.alpha", "clientA.alpha.room1", "clientA."],
                &["clientB.anything"],
            ),
            (
                "clientA.rooms.?1",
                &["clientA.rooms.a1", "clientA.rooms.11"],
                &["clientA.rooms.1", "clientA.rooms.a.1", "clientA.rooms..1"],
            ),
            (r"literal\*star", &["literal*star"], &["literalXstar", r"literal\*star"]),
            (r"a\?b\\c", &[r"a?b\c"], &[r"axb\c"]),
            ("**", &["a", ".", "a.b", "é.ü"], &[]),
            ("*", &["a", "é"], &[".", "a.b"]),
            ("?", &["é"], &["", "ab", "."]),
            ("**.log", &["a.log", "a.b.log", ".log"], &["log", "a.log.b"]),
            ("*.*.b", &["a.a.b", "..b"], &["a.b", "a.a.a.b"]),
            ("a*b**c*", &["abc", "axbx.y.cz"], &["a.bc", "abc.d"]),
            ("", &[""], &["a"]),
        ] {
            for text in yes {
                assert!(matches(pattern, text), "{pattern} must match {text}");
            }
            for text in no {
                assert!(!matches(pattern, text), "{pattern} must not match {text}");
            }
        }
    }

    #[test]
    fn a_pattern_past_its_limits_grants_nothing() {
        assert!(matches("*a*a*a*a*", "aaaa"));
        assert!(!matches("*a*a*a*a*a*", "aaaaa"));
        assert!(matches(r"**.**.*", "a.b.c"));
        assert!(!matches(r"**.**.**", "a.b.c"));
        assert!(matches(r"*****\*\*", "a**"));
        assert!(!matches(r"a\b", r"a\b"));
        assert!(!matches(r"a\", r"a\"));
        let long = "é".repeat(1_024);
        assert!(matches(&long, &long));
        assert!(!matches(&format!("{long}*"), &long));
    }

    /// The rules again, in their plainest form.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', '*', rest @ ..] => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            ['*', rest @ ..] => (0..=text.len())
                .take_while(|&skip| !text[..skip].contains(&'.'))
                .any(|skip| naive(rest, &text[skip..])),
            ['?', rest @ ..] => text.first().is_some_and(|&c| c != '.') && naive(rest, &text[1..]),
            [c, rest @ ..] => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_plain_rules(
            pattern in "[ab.?]{0,3}\\*{0,2}[ab.?]{0,3}\\*?[ab.?]{0,3}\\*{0,2}[ab.?]{0,2}",
            text in "[ab.]{0,9}",
        ) {
            let plain: Vec<char> = pattern.chars().collect();
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(matches(&pattern, &text), naive(&plain, &chars));
        }
    }
}
