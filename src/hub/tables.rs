//! Who is connected, in which group, as which user: per hub name, in open order.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::connection::{Connection, Serial};

/// Connections in the order in which they opened.
pub type Members = BTreeMap<Serial, Rc<Connection>>;

/// A connection is in as many groups as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The connection is in {max} groups already, which is the limit of this hub.")]
pub struct GroupsFull {
    max: u32,
}

/// Open connections of every hub name.
#[derive(Debug, Default)]
pub struct Tables {
    hubs: BTreeMap<Rc<str>, Hub>,
}

/// Open connections of one hub name.
#[derive(Debug, Default)]
struct Hub {
    open: Members,
    ids: BTreeMap<Rc<str>, Serial>,
    groups: BTreeMap<Rc<str>, Members>,
    users: BTreeMap<Rc<str>, Members>,
}

impl Tables {
    /// Takes a connection in.
    pub fn insert(&mut self, connection: &Rc<Connection>) {
        let hub = self.hubs.entry(Rc::clone(&connection.hub_name)).or_default();
        hub.open.insert(connection.serial, Rc::clone(connection));
        hub.ids.insert(Rc::clone(&connection.id), connection.serial);
        if let Some(user) = &connection.user_id {
            let members = hub.users.entry(Rc::clone(user)).or_default();
            members.insert(connection.serial, Rc::clone(connection));
        }
    }

    /// Takes a connection out, and out of its groups.
    pub fn remove(&mut self, connection: &Connection) {
        let Some(hub) = self.hubs.get_mut(&connection.hub_name) else { return };
        hub.open.remove(&connection.serial);
        hub.ids.remove(&connection.id);
        if let Some(user) = &connection.user_id {
            leave(&mut hub.users, user, connection.serial);
        }
        for group in connection.groups.take() {
            leave(&mut hub.groups, &group, connection.serial);
        }
        if hub.open.is_empty() {
            self.hubs.remove(&connection.hub_name);
        }
    }

    /// Puts an open connection into a group, unless it would be in more than `max` then.
    pub fn join(
        &mut self,
        connection: &Rc<Connection>,
        group: &str,
        max: u32,
    ) -> Result<(), GroupsFull> {
        let Some(hub) = self.hubs.get_mut(&connection.hub_name) else { return Ok(()) };
        let mut joined = connection.groups.borrow_mut();
        let Err(place) = joined.binary_search_by(|known| (**known).cmp(group)) else {
            return Ok(());
        };
        if joined.len() >= max as usize {
            return Err(GroupsFull { max });
        }
        let name: Rc<str> = match hub.groups.get_key_value(group) {
            Some((name, _)) => Rc::clone(name),
            None => group.into(),
        };
        joined.insert(place, Rc::clone(&name));
        hub.groups.entry(name).or_default().insert(connection.serial, Rc::clone(connection));
        Ok(())
    }

    /// Takes a connection out of a group.
    pub fn leave(&mut self, connection: &Connection, group: &str) {
        let Some(hub) = self.hubs.get_mut(&connection.hub_name) else { return };
        let mut joined = connection.groups.borrow_mut();
        if let Ok(place) = joined.binary_search_by(|known| (**known).cmp(group)) {
            joined.remove(place);
            leave(&mut hub.groups, group, connection.serial);
        }
    }

    /// Takes a connection out of every group.
    pub fn leave_all(&mut self, connection: &Connection) {
        let Some(hub) = self.hubs.get_mut(&connection.hub_name) else { return };
        for group in connection.groups.take() {
            leave(&mut hub.groups, &group, connection.serial);
        }
    }

    /// Open connections of a hub.
    pub fn of_hub(&self, hub: &str) -> impl Iterator<Item = &Rc<Connection>> {
        self.hubs.get(hub).into_iter().flat_map(|hub| hub.open.values())
    }

    /// Members of a group.
    pub fn of_group(&self, hub: &str, group: &str) -> impl Iterator<Item = &Rc<Connection>> {
        let members = self.hubs.get(hub).and_then(|hub| hub.groups.get(group));
        members.into_iter().flat_map(Members::values)
    }

    /// Connections of a user.
    pub fn of_user(&self, hub: &str, user: &str) -> impl Iterator<Item = &Rc<Connection>> {
        let members = self.hubs.get(hub).and_then(|hub| hub.users.get(user));
        members.into_iter().flat_map(Members::values)
    }

    /// One connection by its id.
    pub fn by_id(&self, hub: &str, id: &str) -> Option<&Rc<Connection>> {
        let hub = self.hubs.get(hub)?;
        hub.open.get(hub.ids.get(id)?)
    }

    /// Every open connection of every hub, in open order.
    pub fn all(&self) -> Vec<Rc<Connection>> {
        let mut all: Vec<_> =
            self.hubs.values().flat_map(|hub| hub.open.values().cloned()).collect();
        all.sort_by_key(|connection| connection.serial);
        all
    }

    /// Groups that have a member.
    pub fn groups(&self) -> usize {
        self.hubs.values().map(|hub| hub.groups.len()).sum()
    }
}

/// Takes one out of a named set, and the set away with its last member.
fn leave(sets: &mut BTreeMap<Rc<str>, Members>, name: &str, serial: Serial) {
    if let Some(members) = sets.get_mut(name) {
        members.remove(&serial);
        if members.is_empty() {
            sets.remove(name);
        }
    }
}
