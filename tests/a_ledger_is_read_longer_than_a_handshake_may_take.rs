//! The time limit of a handshake once cut the ledger stream, too: every run longer than the limit was invalid.

mod common;

use common::run_scenario;

#[test]
fn a_run_may_be_longer_than_a_handshake() {
    let scenario = r#"
title = "longer than a handshake"
duration = "5s"

[hub]
profile = "ci"
limits = { handshake = "500ms" }

[populations.members]
count = 5
arrival = { burst = {} }
groups = ["room"]

[traffic.chatter]
from = "members[0]"
to = { group = "room" }
rate = "10/s"
size = "64B"
start = "500ms"
until = "2s"

[expect.members]
closes = { Normal = "all" }
delivery = "complete"
"#;
    let run = run_scenario("longer", scenario, &[]);
    assert_eq!(run.code(), 0, "{}", run.text());
}
