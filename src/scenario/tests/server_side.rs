//! `[[expect_log]]`, `[expect_upstream]` and refusals.

use super::super::plan::{Claim, Quantity};
use super::*;
use crate::protocol::webhook::WebhookFailure;

const MORE: &str = r#"
[upstream]
[expect.muted]
refused = { 500 = "all", 429 = "<=1" }
[expect_upstream]
Chat = "none"
connect = ">=all"
validate = "<=50%"
"user:connect" = 0
[[expect_log]]
event = "HttpHandlerUnexpectedResponse"
message = "operation hub:{hub},event:connect got {x}."
count = "10%"
[[expect_log]]
event = "EventHandlerNotFound"
count = "none"
"#;

#[test]
fn shares_are_of_all_clients_and_the_hubs_name_is_filled_in() {
    let plan = plan(&format!("hub_name = \"chat\"\n{}", small(MORE)));
    let range = |at_least, at_most| Quantity { at_least, at_most };
    let Claim::Refused(refused) = &plan.expectations[0].claim else { panic!("refused") };
    assert_eq!(refused, &[(500, Quantity::exactly(10)), (429, range(0, 1))]);
    let requests: Vec<_> = plan
        .server_side
        .requests
        .iter()
        .map(|wanted| (wanted.kind.to_string(), wanted.count, wanted.path.clone()))
        .collect();
    let path = |name: &str| format!("expect_upstream.{name}");
    assert_eq!(
        requests,
        [
            ("chat".to_owned(), range(0, 0), path("Chat")),
            ("connect".to_owned(), range(100, u64::MAX), path("connect")),
            ("validate".to_owned(), range(0, 50), path("validate")),
            ("user:connect".to_owned(), range(0, 0), path("user:connect")),
        ]
    );
    let [first, second] = plan.server_side.log.as_slice() else { panic!("two lines") };
    assert_eq!(first.event, WebhookFailure::HttpHandlerUnexpectedResponse);
    let message = "operation hub:chat,event:connect got {x}.";
    assert_eq!(first.message.as_deref(), Some(message), "only the hub's name is filled in");
    assert_eq!((first.count, first.path.as_str()), (Quantity::exactly(10), "expect_log[0]"));
    assert_eq!((&second.message, second.count), (&None, Quantity::exactly(0)));
}

#[test]
fn shares_scale_with_the_clients_and_counts_do_not() {
    let overrides = Overrides { total: Some(200), ..Overrides::default() };
    let text = small(MORE).replace("429 = \"<=1\"", "429 = \"<=10%\"");
    let plan = plan_with(&text, &overrides);
    assert_eq!(plan.server_side.requests[1].count.at_least, 200);
    assert_eq!(plan.server_side.log[0].count, Quantity::exactly(20));
    let told = errors(&text.replace("count = \"10%\"", "count = 10"), &overrides);
    assert!(told.contains("has 180 clients now instead of 90, but this is a count"), "{told}");
    let once = text.replace("validate = \"<=50%\"", "validate = 1");
    let once = plan_with(&once, &overrides);
    let validate = once.server_side.requests[2].count;
    assert_eq!(validate, Quantity::exactly(1), "a hub validates once for all of its clients");
}

#[test]
fn a_plan_that_expects_nothing_of_the_servers_keeps_its_hash() {
    let bare = plan(&small(""));
    assert!(bare.server_side.is_empty());
    assert!(!serde_json::to_string(&bare).unwrap().contains("server_side"));
    assert_ne!(plan(&small("[upstream]\n[expect_upstream]\nconnect = 0")).hash, bare.hash);
}
