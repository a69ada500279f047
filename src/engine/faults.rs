//! Carries out the faults of the timeline: the hub's through the control API, the application
//! server's through REST, the users' through the shards.

use std::rc::Rc;

use tokio::time::Instant;

use super::Control;
use super::hands::{Hands, Outcome};
use super::links::{ShardGone, Which};
use super::rest::{Body, CallError, SignedCaller};
use crate::client;
use crate::protocol::control::{FAULT_PATH, HubFault};
use crate::protocol::rest::Operation;
use crate::scenario::Plan;
use crate::scenario::plan::{Fault, GroupIndex, PopulationIndex, UserPolicy};

/// Why a fault could not be carried out.
#[derive(Debug, thiserror::Error)]
enum FaultError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Shard(#[from] ShardGone),
    #[error("the target offers no control API")]
    NoControl,
    #[error("client {index} of {population:?} speaks no subprotocol that tells its connection id")]
    NoConnectionId { population: String, index: u32 },
    #[error("the clients of {population:?} have no user id")]
    NoUser { population: String },
}

/// A fault in words, for people.
pub(super) fn describe(plan: &Plan, fault: &Fault) -> String {
    let population = |index: PopulationIndex| &plan.populations[usize::from(index)].name;
    let some = |count: Option<u32>| count.map_or("all".to_owned(), |count| count.to_string());
    match fault {
        Fault::Reload { share, over } => {
            let percent = share * 100.0;
            let spread = if over.is_zero() { "at once".into() } else { format!("over {over:?}") };
            format!("reload of {percent}% of the connections {spread}")
        }
        Fault::Freeze { lasting } => format!("freeze for {lasting:?}"),
        Fault::Scale { tier, units } => format!("scale to {tier:?}, units {units}"),
        Fault::CloseConnections { population: of, count, .. } => {
            format!("REST close of {} connections of {:?}", some(*count), population(*of))
        }
        Fault::CloseGroup { group, .. } => {
            format!("REST close of group {:?}", plan.groups[*group as usize])
        }
        Fault::CloseUser { population: of, .. } => {
            format!("REST close of the user of {:?}", population(*of))
        }
        Fault::CloseAll { .. } => "REST close of every connection".to_owned(),
        Fault::Leave { population: of, count } => {
            format!("{} clients of {:?} leave", some(*count), population(*of))
        }
    }
}

/// Carries out one fault in a task of its own: a hub that freezes does not hold up the dispatcher.
pub(super) async fn carry_out(hands: Rc<Hands>, index: usize) {
    let asked = Instant::now();
    let result = act(&hands, &hands.plan.faults[index].fault).await;
    let result = result.map_err(|error| error.to_string());
    // Without a dispatcher nobody asks any more.
    let _ = hands.outcomes.send(Outcome::Fault { index, asked, result }).await;
}

/// Acts; returns how many connections it was aimed at, where that is known.
async fn act(hands: &Hands, fault: &Fault) -> Result<Option<u64>, FaultError> {
    match fault {
        &Fault::Reload { share, over } => hub_fault(hands, HubFault::Reload { share, over }).await,
        &Fault::Freeze { lasting } => hub_fault(hands, HubFault::Freeze { lasting }).await,
        &Fault::Scale { tier, units } => hub_fault(hands, HubFault::Scale { tier, units }).await,
        Fault::CloseConnections { population, count, reason } => {
            close_connections(hands, *population, *count, reason.as_deref()).await
        }
        Fault::CloseGroup { group, reason } => close_group(hands, *group, reason.as_deref()).await,
        Fault::CloseUser { population, reason } => {
            close_user(hands, *population, reason.as_deref()).await
        }
        Fault::CloseAll { reason } => {
            let operation = Operation::CloseAllConnections { hub: hands.plan.hub_name.clone() };
            let everybody = (0..).zip(&hands.plan.populations).map(|(population, _)| population);
            close_many(hands, operation, everybody, reason.as_deref()).await
        }
        Fault::Leave { population, count } => leave(hands, *population, *count).await,
    }
}

async fn hub_fault(hands: &Hands, fault: HubFault) -> Result<Option<u64>, FaultError> {
    if hands.control() == Control::Absent {
        return Err(FaultError::NoControl);
    }
    hands.caller()?.post(FAULT_PATH, &fault).await?;
    Ok(None)
}

/// One call per connection id, over one connection.
async fn close_connections(
    hands: &Hands,
    population: PopulationIndex,
    count: Option<u32>,
    reason: Option<&str>,
) -> Result<Option<u64>, FaultError> {
    let mut open = hands.shards.open(population).await?;
    open.truncate(count.map_or(usize::MAX, |count| count as usize));
    let mut caller = hands.caller()?;
    for client in &open {
        let Some(connection_id) = client.connection_id.clone() else {
            let population = hands.plan.populations[usize::from(population)].name.clone();
            return Err(FaultError::NoConnectionId { population, index: client.index });
        };
        let hub = hands.plan.hub_name.clone();
        let operation = Operation::CloseConnection { hub, connection_id };
        close(hands, &mut caller, &operation, &[(population, client.index)], reason).await?;
    }
    Ok(Some(open.len() as u64))
}

async fn close_group(
    hands: &Hands,
    group: GroupIndex,
    reason: Option<&str>,
) -> Result<Option<u64>, FaultError> {
    let operation = Operation::CloseGroupConnections {
        hub: hands.plan.hub_name.clone(),
        group: hands.plan.groups[group as usize].clone(),
    };
    let members = (0..)
        .zip(&hands.plan.populations)
        .filter(|(_, population)| population.groups.contains(&group))
        .map(|(index, _)| index);
    close_many(hands, operation, members, reason).await
}

async fn close_user(
    hands: &Hands,
    population: PopulationIndex,
    reason: Option<&str>,
) -> Result<Option<u64>, FaultError> {
    let plan = &hands.plan;
    let user_id = user_of(plan, population, 0).ok_or_else(|| FaultError::NoUser {
        population: plan.populations[usize::from(population)].name.clone(),
    })?;
    let mut clients = Vec::new();
    for (other, settings) in (0..).zip(&plan.populations) {
        if settings.user == UserPolicy::Anonymous {
            continue;
        }
        let open = hands.shards.open(other).await?.into_iter().map(|client| client.index);
        let same = |index: &u32| user_of(plan, other, *index).as_ref() == Some(&user_id);
        clients.extend(open.filter(same).map(|index| (other, index)));
    }
    let operation = Operation::CloseUserConnections { hub: plan.hub_name.clone(), user_id };
    close(hands, &mut hands.caller()?, &operation, &clients, reason).await?;
    Ok(Some(clients.len() as u64))
}

/// The user id that stands in a client's token.
fn user_of(plan: &Plan, population: PopulationIndex, index: u32) -> Option<String> {
    client::claims(plan, population, index, String::new(), 0).user_id
}

/// One call that closes every open client of some populations.
async fn close_many(
    hands: &Hands,
    operation: Operation,
    populations: impl Iterator<Item = PopulationIndex>,
    reason: Option<&str>,
) -> Result<Option<u64>, FaultError> {
    let mut clients = Vec::new();
    for population in populations {
        let open = hands.shards.open(population).await?;
        clients.extend(open.into_iter().map(|client| (population, client.index)));
    }
    close(hands, &mut hands.caller()?, &operation, &clients, reason).await?;
    Ok(Some(clients.len() as u64))
}

/// Tells the clients addressed, then calls: a client must know that it is being closed before it
/// can see it.
async fn close(
    hands: &Hands,
    caller: &mut SignedCaller,
    operation: &Operation,
    clients: &[(PopulationIndex, u32)],
    reason: Option<&str>,
) -> Result<(), FaultError> {
    let at = Instant::now();
    hands.shards.note_rest_close(clients, at).await?;
    let query: Vec<(&str, &str)> = reason.map(|reason| ("reason", reason)).into_iter().collect();
    let started = Instant::now();
    caller.operation(operation, &query, Body::Empty).await?;
    hands.record_rest(started, started);
    Ok(())
}

/// Clients leave: the first `count` that are connected, or all that have begun.
async fn leave(
    hands: &Hands,
    population: PopulationIndex,
    count: Option<u32>,
) -> Result<Option<u64>, FaultError> {
    let which = match count {
        None => Which::All,
        Some(count) => {
            let open = hands.shards.open(population).await?;
            Which::These(open.into_iter().take(count as usize).map(|client| client.index).collect())
        }
    };
    Ok(Some(hands.shards.leave(population, &which).await?))
}
