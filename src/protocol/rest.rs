//! The REST data plane: route table, error body, success statuses (service-side facts, 1.2 to 1.5).

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
    /// Finds the operation of a request. Segments are split first, then percent-decoded.
    pub fn route(_method: Method, _path: &str) -> Result<Self, NoOperation> {
        unimplemented!()
    }

    /// Method and percent-encoded path of the operation, for callers.
    #[must_use]
    pub fn request(&self) -> (Method, String) {
        unimplemented!()
    }

    /// The contract's `operationId` without its `WebPubSub_` prefix.
    #[must_use]
    pub fn name(&self) -> &'static str {
        unimplemented!()
    }
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

/// Whether a hub name is acceptable: a letter, then up to 127 of letters, digits, ``_`,.[]``.
#[must_use]
pub fn is_hub_name(_name: &str) -> bool {
    unimplemented!()
}

/// Whether a group name is acceptable: 1 to 1,024 characters, not all white space.
#[must_use]
pub fn is_group_name(_name: &str) -> bool {
    unimplemented!()
}
