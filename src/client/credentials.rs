//! Where a client connects to and with which token.

use std::cell::RefCell;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Credentials, Identity};
use crate::protocol::attempt::ATTEMPT_PARAMETER;
use crate::protocol::token::{Claims, sign};
use crate::protocol::{AttemptId, Subprotocol};
use crate::scenario::Plan;
use crate::scenario::plan::{Destination, GroupIndex, TokenPolicy, Traffic, UserPolicy};
use crate::secret::Secret;

/// What need not be escaped in a path segment or a query value (RFC 3986, unreserved).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Claims of a client's token: user id, the roles its groups and traffic need, audience, lifetime.
/// Simple clients get their groups by the token, JSON clients join by frames.
#[must_use]
pub fn claims(plan: &Plan, population: u16, index: u32, audience: String, now_s: u64) -> Claims {
    let members = &plan.populations[usize::from(population)];
    let (TokenPolicy::Minted { lifetime } | TokenPolicy::Once { lifetime }) = members.token;
    let group = |index: GroupIndex| plan.groups[index as usize].clone();
    let (mut roles, mut groups) = (Vec::new(), Vec::new());
    match members.protocol {
        Subprotocol::Simple => groups.extend(members.groups_of(index).map(group)),
        Subprotocol::Json => {
            let joins = members.groups_of(index).map(group);
            roles.extend(joins.map(|group| format!("webpubsub.joinLeaveGroup.{group}")));
        }
    }
    let is_sender = |traffic: &&Traffic| traffic.from.position(population, index).is_some();
    for traffic in plan.traffic.iter().filter(is_sender) {
        let to = match &traffic.to {
            Destination::Group(to) => *to,
            Destination::Rooms(rooms) => rooms.of(index),
            // Events need no role, and REST has its key.
            Destination::Event { .. } | Destination::Users { .. } | Destination::Everybody => {
                continue;
            }
        };
        let role = format!("webpubsub.sendToGroup.{}", group(to));
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Claims {
        audience,
        expires_at: now_s.saturating_add(lifetime.as_secs()),
        not_before: None,
        issued_at: Some(now_s),
        user_id: match &members.user {
            UserPolicy::Anonymous => None,
            UserPolicy::PerClient => Some(format!("{}-{index}", members.name)),
            UserPolicy::Shared(user) => Some(user.clone()),
        },
        roles,
        groups,
    }
}

/// Path and query of an attempt's upgrade request. It holds a token. `once` keeps the token of a
/// client that uses one for all its attempts.
pub(super) fn path_and_query(
    me: &Identity,
    attempt: &AttemptId,
    once: &RefCell<Option<Secret>>,
) -> Secret {
    let attempt = attempt.to_string();
    let attempt = utf8_percent_encode(&attempt, ESCAPED);
    Secret::new(match &me.shard.credentials {
        Credentials::FixedUrl(url) => {
            let url = url.expose();
            let joint = if url.contains('?') { '&' } else { '?' };
            format!("{url}{joint}{ATTEMPT_PARAMETER}={attempt}")
        }
        Credentials::Key(key) => {
            let token = match me.population().token {
                TokenPolicy::Minted { .. } => mint(me, key),
                TokenPolicy::Once { .. } => {
                    once.borrow_mut().get_or_insert_with(|| mint(me, key)).clone()
                }
            };
            let hub = utf8_percent_encode(&me.shard.plan.hub_name, ESCAPED);
            let token = token.expose();
            format!("/client/hubs/{hub}?access_token={token}&{ATTEMPT_PARAMETER}={attempt}")
        }
    })
}

/// A fresh token, by the world's clock.
fn mint(me: &Identity, key: &Secret) -> Secret {
    let plan = &me.shard.plan;
    let endpoint = me.shard.connector.endpoint();
    let audience = format!("{endpoint}/client/hubs/{}", plan.hub_name);
    let now_s = me.shard.clock.now_ns() / 1_000_000_000;
    sign(&claims(plan, me.population, me.index, audience, now_s), key)
}
