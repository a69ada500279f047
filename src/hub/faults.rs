//! Faults of the hub itself: reload, freeze, scale.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Refusal;
use super::close::{self, Cause};
use super::connection::Connection;
use super::keep_alive;
use super::state::Hub;
use crate::protocol::control::HubFault;
use crate::protocol::{CloseCategory, HubSettings};

/// The longest a fault may last.
const LASTING_MAX: Duration = Duration::from_secs(24 * 3600);

/// Begins a fault. It goes on in a task of the hub, which runs once the caller has its answer.
pub fn begin(hub: &Rc<Hub>, fault: HubFault) -> Result<(), Refusal> {
    match fault {
        HubFault::Reload { share, over } => {
            if !(share > 0.0 && share <= 1.0) {
                return Err(Refusal::bad_request("share", "share must be above 0 and at most 1"));
            }
            check_length("over", over)?;
            let chosen = choose(hub, share);
            hub.spawn_background(reload(Rc::clone(hub), chosen, over));
        }
        HubFault::Freeze { lasting } => {
            check_length("lasting", lasting)?;
            hub.spawn_background(freeze(Rc::clone(hub), lasting));
        }
        HubFault::Scale { tier, units } => {
            if units == 0 {
                return Err(Refusal::bad_request("units", "units must be at least 1"));
            }
            let settings = HubSettings { tier, units, ..HubSettings::clone(&hub.settings()) };
            hub.set_settings(settings);
        }
    }
    Ok(())
}

fn check_length(name: &str, length: Duration) -> Result<(), Refusal> {
    if length > LASTING_MAX {
        return Err(Refusal::bad_request(name, format!("{name} must be at most {LASTING_MAX:?}")));
    }
    Ok(())
}

/// A share of the open connections, from the front of the open order; at least one.
fn choose(hub: &Hub, share: f64) -> Vec<Rc<Connection>> {
    let mut chosen = hub.tables.borrow().all();
    let count = share_of(chosen.len(), share);
    chosen.truncate(count);
    chosen
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a count of connections is between 0 and that count"
)]
fn share_of(count: usize, share: f64) -> usize {
    ((count as f64 * share).round() as usize).max(1)
}

/// Drops the chosen connections with ServiceReload, the first at once, the others spread over the
/// time at a constant rate.
async fn reload(hub: Rc<Hub>, chosen: Vec<Rc<Connection>>, over: Duration) {
    let begun = Instant::now();
    let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX).max(1);
    for (index, connection) in (0_u32..).zip(&chosen) {
        if !over.is_zero() && index > 0 {
            hub.pacer.until(begun + over * index / count).await;
        }
        hub.gate.passable().await;
        if !connection.is_ended() {
            let settings = hub.settings();
            let form = &settings.drops.service_reload;
            close::end(&hub, connection, Cause::in_form(CloseCategory::ServiceReload, form));
        }
    }
}

/// Shuts the gate for a while. The time does not count as silence of the clients: nobody pinged
/// them.
async fn freeze(hub: Rc<Hub>, lasting: Duration) {
    if hub.gate.is_shut() {
        return;
    }
    hub.gate.shut();
    let begun = Instant::now();
    hub.pacer.until(begun + lasting).await;
    thaw(&hub, begun.elapsed());
}

/// Ends a freeze that was `length` long.
pub fn thaw(hub: &Hub, length: Duration) {
    keep_alive::forgive(hub, length);
    hub.gate.open();
    hub.wake_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_and_never_nobody() {
        assert_eq!(share_of(500, 1.0), 500);
        assert_eq!(share_of(500, 0.2), 100);
        assert_eq!(share_of(100, 0.07), 7);
        assert_eq!(share_of(10, 0.001), 1);
    }
}
