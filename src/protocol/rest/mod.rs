//! The REST data plane: route table, error body, success statuses (service-side facts, 1.2 to 1.5).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// HTTP methods the route table uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
}

/// `api-version` values that are accepted; a missing one means the newest.
pub const API_VERSIONS: [&str; 5] =
    ["2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"];

/// One operation of the data plane with the names from its path, percent-decoded; hub lower-cased.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "field names are the contract's own path parameters")]
pub enum Operation {
    GetServiceStatus,
    SendToAll { hub: String },
    SendToGroup { hub: String, group: String },
    SendToUser { hub: String, user_id: String },
    SendToConnection { hub: String, connection_id: String },
    CloseConnection { hub: String, connection_id: String },
    CloseAllConnections { hub: String },
    CloseGroupConnections { hub: String, group: String },
    CloseUserConnections { hub: String, user_id: String },
    ConnectionExists { hub: String, connection_id: String },
    GroupExists { hub: String, group: String },
    UserExists { hub: String, user_id: String },
    AddConnectionToGroup { hub: String, group: String, connection_id: String },
    RemoveConnectionFromGroup { hub: String, group: String, connection_id: String },
    RemoveConnectionFromAllGroups { hub: String, connection_id: String },
    AddUserToGroup { hub: String, user_id: String, group: String },
    RemoveUserFromGroup { hub: String, user_id: String, group: String },
    RemoveUserFromAllGroups { hub: String, user_id: String },
    AddConnectionsToGroups { hub: String },
    RemoveConnectionsFromGroups { hub: String },
    ListConnectionsInGroup { hub: String, group: String },
    GrantPermission { hub: String, permission: String, connection_id: String },
    RevokePermission { hub: String, permission: String, connection_id: String },
    CheckPermission { hub: String, permission: String, connection_id: String },
    GenerateClientToken { hub: String },
}

/// Why a request matches no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoOperation {
    /// No such path: 404.
    NotFound,
    /// The path exists with other methods: 405.
    MethodNotAllowed,
    /// A name in the path is not acceptable: 400 with this error.
    BadName(ErrorDetail),
}

impl Operation {
    /// Finds the operation of a request. Segments are split first, then percent-decoded. `path` has
    /// no query.
    pub fn route(method: Method, path: &str) -> Result<Self, NoOperation> {
        let path = path.strip_prefix('/').ok_or(NoOperation::NotFound)?;
        let segments: Vec<Cow<'_, str>> = path
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8())
            .collect::<Result<_, _>>()
            .map_err(|_| bad_name("Request", "The path is not valid UTF-8."))?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        if segments.contains(&"") {
            return Err(NoOperation::NotFound);
        }
        let found = Self::find(method, &segments);
        let found = found.ok_or_else(|| {
            let others = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Delete];
            match others.into_iter().any(|other| Self::find(other, &segments).is_some()) {
                true => NoOperation::MethodNotAllowed,
                false => NoOperation::NotFound,
            }
        })?;
        check_names(&segments)?;
        Ok(found)
    }

    fn find(method: Method, segments: &[&str]) -> Option<Self> {
        use Method::{Delete, Get, Head, Post, Put};
        let (hub, rest) = match segments {
            ["api", "health"] => {
                return (method == Head).then_some(Self::GetServiceStatus);
            }
            ["api", "hubs", hub, rest @ ..] => (hub.to_ascii_lowercase(), rest),
            _ => return None,
        };
        let text = |name: &&str| (*name).to_owned();
        Some(match (method, rest) {
            (Post, [":send"]) => Self::SendToAll { hub },
            (Post, [":closeConnections"]) => Self::CloseAllConnections { hub },
            (Post, [":addToGroups"]) => Self::AddConnectionsToGroups { hub },
            (Post, [":removeFromGroups"]) => Self::RemoveConnectionsFromGroups { hub },
            (Post, [":generateToken"]) => Self::GenerateClientToken { hub },
            (_, ["groups", group, rest @ ..]) => {
                return Self::find_in_group(method, hub, text(group), rest);
            }
            (_, ["users", user, rest @ ..]) => {
                return Self::find_in_user(method, hub, text(user), rest);
            }
            (_, ["permissions", permission, "connections", connection]) => {
                let (permission, connection_id) = (text(permission), text(connection));
                match method {
                    Put => Self::GrantPermission { hub, permission, connection_id },
                    Delete => Self::RevokePermission { hub, permission, connection_id },
                    Head => Self::CheckPermission { hub, permission, connection_id },
                    Get | Post => return None,
                }
            }
            (_, ["connections", connection, rest @ ..]) => {
                let connection_id = text(connection);
                match (method, rest) {
                    (Post, [":send"]) => Self::SendToConnection { hub, connection_id },
                    (Delete, []) => Self::CloseConnection { hub, connection_id },
                    (Head, []) => Self::ConnectionExists { hub, connection_id },
                    (Delete, ["groups"]) => {
                        Self::RemoveConnectionFromAllGroups { hub, connection_id }
                    }
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    fn find_in_group(method: Method, hub: String, group: String, rest: &[&str]) -> Option<Self> {
        use Method::{Delete, Get, Head, Post, Put};
        Some(match (method, rest) {
            (Head, []) => Self::GroupExists { hub, group },
            (Post, [":send"]) => Self::SendToGroup { hub, group },
            (Post, [":closeConnections"]) => Self::CloseGroupConnections { hub, group },
            (Get, ["connections"]) => Self::ListConnectionsInGroup { hub, group },
            (Put, ["connections", connection]) => {
                let connection_id = (*connection).to_owned();
                Self::AddConnectionToGroup { hub, group, connection_id }
            }
            (Delete, ["connections", connection]) => {
                let connection_id = (*connection).to_owned();
                Self::RemoveConnectionFromGroup { hub, group, connection_id }
            }
            _ => return None,
        })
    }

    fn find_in_user(method: Method, hub: String, user_id: String, rest: &[&str]) -> Option<Self> {
        use Method::{Delete, Head, Post, Put};
        Some(match (method, rest) {
            (Head, []) => Self::UserExists { hub, user_id },
            (Post, [":send"]) => Self::SendToUser { hub, user_id },
            (Post, [":closeConnections"]) => Self::CloseUserConnections { hub, user_id },
            (Delete, ["groups"]) => Self::RemoveUserFromAllGroups { hub, user_id },
            (Put, ["groups", group]) => {
                let group = (*group).to_owned();
                Self::AddUserToGroup { hub, user_id, group }
            }
            (Delete, ["groups", group]) => {
                let group = (*group).to_owned();
                Self::RemoveUserFromGroup { hub, user_id, group }
            }
            _ => return None,
        })
    }

    /// Method and percent-encoded path of the operation, for callers.
    #[must_use]
    pub fn request(&self) -> (Method, String) {
        use Method::{Delete, Get, Head, Post, Put};
        use Operation as O;
        match self {
            O::GetServiceStatus => (Head, "/api/health".to_owned()),
            O::SendToAll { hub } => (Post, path(hub, &[":send"])),
            O::SendToGroup { hub, group } => (Post, path(hub, &["groups", group, ":send"])),
            O::SendToUser { hub, user_id } => (Post, path(hub, &["users", user_id, ":send"])),
            O::SendToConnection { hub, connection_id: id } => {
                (Post, path(hub, &["connections", id, ":send"]))
            }
            O::CloseConnection { hub, connection_id: id } => {
                (Delete, path(hub, &["connections", id]))
            }
            O::CloseAllConnections { hub } => (Post, path(hub, &[":closeConnections"])),
            O::CloseGroupConnections { hub, group } => {
                (Post, path(hub, &["groups", group, ":closeConnections"]))
            }
            O::CloseUserConnections { hub, user_id } => {
                (Post, path(hub, &["users", user_id, ":closeConnections"]))
            }
            O::ConnectionExists { hub, connection_id: id } => {
                (Head, path(hub, &["connections", id]))
            }
            O::GroupExists { hub, group } => (Head, path(hub, &["groups", group])),
            O::UserExists { hub, user_id } => (Head, path(hub, &["users", user_id])),
            O::AddConnectionToGroup { hub, group, connection_id: id } => {
                (Put, path(hub, &["groups", group, "connections", id]))
            }
            O::RemoveConnectionFromGroup { hub, group, connection_id: id } => {
                (Delete, path(hub, &["groups", group, "connections", id]))
            }
            O::RemoveConnectionFromAllGroups { hub, connection_id: id } => {
                (Delete, path(hub, &["connections", id, "groups"]))
            }
            O::AddUserToGroup { hub, user_id, group } => {
                (Put, path(hub, &["users", user_id, "groups", group]))
            }
            O::RemoveUserFromGroup { hub, user_id, group } => {
                (Delete, path(hub, &["users", user_id, "groups", group]))
            }
            O::RemoveUserFromAllGroups { hub, user_id } => {
                (Delete, path(hub, &["users", user_id, "groups"]))
            }
            O::AddConnectionsToGroups { hub } => (Post, path(hub, &[":addToGroups"])),
            O::RemoveConnectionsFromGroups { hub } => (Post, path(hub, &[":removeFromGroups"])),
            O::ListConnectionsInGroup { hub, group } => {
                (Get, path(hub, &["groups", group, "connections"]))
            }
            O::GrantPermission { hub, permission, connection_id: id } => {
                (Put, path(hub, &["permissions", permission, "connections", id]))
            }
            O::RevokePermission { hub, permission, connection_id: id } => {
                (Delete, path(hub, &["permissions", permission, "connections", id]))
            }
            O::CheckPermission { hub, permission, connection_id: id } => {
                (Head, path(hub, &["permissions", permission, "connections", id]))
            }
            O::GenerateClientToken { hub } => (Post, path(hub, &[":generateToken"])),
        }
    }

    /// The contract's `operationId` without the prefix of its group.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.traits().0
    }

    /// HTTP status of success (service-side facts, 1.2).
    #[must_use]
    pub const fn success_status(&self) -> u16 {
        self.traits().1
    }

    const fn traits(&self) -> (&'static str, u16) {
        match self {
            Self::GetServiceStatus => ("GetServiceStatus", 200),
            Self::SendToAll { .. } => ("SendToAll", 202),
            Self::SendToGroup { .. } => ("SendToGroup", 202),
            Self::SendToUser { .. } => ("SendToUser", 202),
            Self::SendToConnection { .. } => ("SendToConnection", 202),
            Self::CloseConnection { .. } => ("CloseConnection", 204),
            Self::CloseAllConnections { .. } => ("CloseAllConnections", 204),
            Self::CloseGroupConnections { .. } => ("CloseGroupConnections", 204),
            Self::CloseUserConnections { .. } => ("CloseUserConnections", 204),
            Self::ConnectionExists { .. } => ("ConnectionExists", 200),
            Self::GroupExists { .. } => ("GroupExists", 200),
            Self::UserExists { .. } => ("UserExists", 200),
            Self::AddConnectionToGroup { .. } => ("AddConnectionToGroup", 200),
            Self::RemoveConnectionFromGroup { .. } => ("RemoveConnectionFromGroup", 204),
            Self::RemoveConnectionFromAllGroups { .. } => ("RemoveConnectionFromAllGroups", 204),
            Self::AddUserToGroup { .. } => ("AddUserToGroup", 200),
            Self::RemoveUserFromGroup { .. } => ("RemoveUserFromGroup", 204),
            Self::RemoveUserFromAllGroups { .. } => ("RemoveUserFromAllGroups", 204),
            Self::AddConnectionsToGroups { .. } => ("AddConnectionsToGroups", 200),
            Self::RemoveConnectionsFromGroups { .. } => ("RemoveConnectionsFromGroups", 200),
            Self::ListConnectionsInGroup { .. } => ("ListConnectionsInGroup", 200),
            Self::GrantPermission { .. } => ("GrantPermission", 200),
            Self::RevokePermission { .. } => ("RevokePermission", 204),
            Self::CheckPermission { .. } => ("CheckPermission", 200),
            Self::GenerateClientToken { .. } => ("GenerateClientToken", 200),
        }
    }
}

/// What stands for itself in a path segment, besides letters and digits (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of an operation of a hub; in `rest` literals and names take turns, a literal first.
fn path(hub: &str, rest: &[&str]) -> String {
    let mut out = format!("/api/hubs/{}", utf8_percent_encode(hub, SEGMENT));
    for pair in rest.chunks(2) {
        out.push('/');
        out.push_str(pair[0]);
        if let Some(name) = pair.get(1) {
            out.push('/');
            out.extend(utf8_percent_encode(name, SEGMENT));
        }
    }
    out
}

/// Checks the names in the path of an operation: literals and names take turns.
fn check_names(segments: &[&str]) -> Result<(), NoOperation> {
    for pair in segments[1..].chunks(2) {
        match *pair {
            ["hubs", hub] if !is_hub_name(hub) => {
                return Err(bad_name("hub", "The hub name is invalid."));
            }
            ["groups", group] if !is_group_name(group) => {
                return Err(bad_name("group", "The group name is invalid."));
            }
            ["permissions", permission] if !PERMISSIONS.contains(&permission) => {
                return Err(bad_name("permission", "The permission is invalid."));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Names of the permissions that REST grants.
pub const PERMISSIONS: [&str; 2] = ["sendToGroup", "joinLeaveGroup"];

fn bad_name(target: &str, message: &str) -> NoOperation {
    NoOperation::BadName(ErrorDetail::bad_request(target, message))
}

/// Error body of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For example `Error.BadRequest`; also header `x-ms-error-code`.
    pub code: String,
    /// Text for people.
    pub message: String,
    /// What is wrong; `Request` when nothing more precise.
    pub target: String,
    /// More of the same.
    #[serde(default)]
    pub details: Vec<ErrorDetail>,
}

impl ErrorDetail {
    /// An error of status 400. `target` is the parameter at fault, or `Request`.
    #[must_use]
    pub fn bad_request(target: &str, message: &str) -> Self {
        Self {
            code: "Error.BadRequest".to_owned(),
            message: message.to_owned(),
            target: target.to_owned(),
            details: Vec::new(),
        }
    }
}

/// Whether a hub name is acceptable: a letter, then up to 127 of letters, digits, ``_`,.[]``.
#[must_use]
pub fn is_hub_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || "_`,.[]".contains(c);
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(is_inner)
}

/// Whether a group name is acceptable: 1 to 1,024 characters, not all white space.
#[must_use]
pub fn is_group_name(name: &str) -> bool {
    name.chars().count() <= 1_024 && !name.trim().is_empty()
}

#[cfg(test)]
mod tests;
