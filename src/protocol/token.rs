//! HS256 access tokens (JSON web tokens), signed and checked with hmac and sha2.
//!
//! Signing and checking take `now`: libraries that read the system's clock by themselves are kept
//! out of every path a result depends on.

use std::time::Duration;

use crate::secret::Secret;

/// Claims that Squall's clients put into a token and its hub reads (client-protocols facts, 2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `aud`: the URL the token is for.
    pub audience: String,
    /// `exp`, seconds since the Unix epoch.
    pub expires_at: u64,
    /// `nbf`, when present.
    pub not_before: Option<u64>,
    /// `iat`, when present; not checked.
    pub issued_at: Option<u64>,
    /// `sub`: the user id.
    pub user_id: Option<String>,
    /// `role`: string or array on the wire.
    pub roles: Vec<String>,
    /// `webpubsub.group`: initial groups, string or array on the wire.
    pub groups: Vec<String>,
}

/// The access keys of a hub; a token signed with either is valid.
#[derive(Clone, Debug)]
pub struct AccessKeys {
    /// Primary.
    pub primary: Secret,
    /// Secondary, when there is one.
    pub secondary: Option<Secret>,
}

/// Why a token is refused. The texts never hold the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three base64url parts of JSON, or the algorithm is not HS256.
    #[error("the access token is malformed: {0}")]
    Malformed(&'static str),
    /// Neither key made the signature.
    #[error("the access token's signature does not match")]
    Signature,
    /// `exp` is missing.
    #[error("the access token has no expiry")]
    NoExpiry,
    /// `exp` is past, beyond the tolerance.
    #[error("the access token has expired")]
    Expired,
    /// `nbf` is still to come, beyond the tolerance.
    #[error("the access token is not valid yet")]
    NotYetValid,
    /// `aud` is for something else. The text is the service's own (service-side facts, 1.5).
    #[error("Failed to validate audience. Expected Audiences: <{expected}>. Actual Audiences: <{actual}>")]
    Audience {
        /// What would have been accepted.
        expected: String,
        /// What the token says.
        actual: String,
    },
}

/// Signs claims: header `{"alg":"HS256","typ":"JWT"}`, key = the access key's text in UTF-8.
#[must_use]
pub fn sign(_claims: &Claims, _key: &Secret) -> Secret {
    unimplemented!()
}

/// Checks signature, then lifetime with `skew` both ways, then audience, and returns the claims.
///
/// `audiences` are the accepted forms; comparison is of the whole string without case. `now` is the
/// time since the Unix epoch.
pub fn verify(
    _token: &str,
    _keys: &AccessKeys,
    _audiences: &[String],
    _now: Duration,
    _skew: Duration,
) -> Result<Claims, TokenError> {
    unimplemented!()
}

/// What a role string grants (client-protocols facts, 2.3): an action on any group, on one group by
/// name, or on groups that match a wildcard pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupAction {
    /// Join and leave.
    JoinLeave,
    /// Publish.
    Send,
}

/// Whether one of `roles` permits `action` on `group`.
#[must_use]
pub fn permits(_roles: &[String], _action: GroupAction, _group: &str) -> bool {
    unimplemented!()
}
