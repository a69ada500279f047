//! HS256 access tokens (JSON web tokens), signed and checked with hmac and sha2.
//!
//! Signing and checking take `now`: libraries that read the system's clock by themselves are kept
//! out of every path a result depends on.

mod jwt;
mod roles;

pub(in crate::protocol) use jwt::mac;
pub use jwt::{every_claim, sign, verify};
pub use roles::{GroupAction, permits};

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
    #[error(
        "Failed to validate audience. Expected Audiences: <{expected}>. \
         Actual Audiences: <{actual}>"
    )]
    Audience {
        /// What would have been accepted.
        expected: String,
        /// What the token says.
        actual: String,
    },
}

/// Audience of a client's token: `{base}/client/hubs/{hub}`, whatever form of URL the client dials
/// (client-protocols facts, 2.2). `base` is `http(s)://host[:port]`, never ws.
#[must_use]
pub fn client_audience(base: &str, hub: &str) -> String {
    format!("{base}/client/hubs/{hub}")
}

/// Audiences a REST request accepts: its URL without the query (the prose of the documentation),
/// with it (what the SDKs sign), and both percent-decoded (service-side facts, 1.6). `base` is
/// `http(s)://host[:port]`; the first is the one to sign with.
#[must_use]
pub fn rest_audiences(base: &str, path_and_query: &str) -> Vec<String> {
    let path = path_and_query.split_once('?').map_or(path_and_query, |(path, _)| path);
    let mut accepted: Vec<String> = Vec::with_capacity(4);
    for form in [path, path_and_query] {
        let decoded = percent_encoding::percent_decode_str(form).decode_utf8_lossy();
        for form in [form, &decoded] {
            let audience = format!("{base}{form}");
            if !accepted.contains(&audience) {
                accepted.push(audience);
            }
        }
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_audience_may_carry_the_query_and_be_decoded() {
        let audiences = rest_audiences("http://h:1", "/api/hubs/h/groups/a%2Fb/:send?filter=x%20y");
        assert_eq!(
            audiences,
            [
                "http://h:1/api/hubs/h/groups/a%2Fb/:send",
                "http://h:1/api/hubs/h/groups/a/b/:send",
                "http://h:1/api/hubs/h/groups/a%2Fb/:send?filter=x%20y",
                "http://h:1/api/hubs/h/groups/a/b/:send?filter=x y",
            ]
        );
        assert_eq!(rest_audiences("http://h", "/api/health"), ["http://h/api/health"]);
        assert_eq!(client_audience("http://h:1", "chat"), "http://h:1/client/hubs/chat");
    }
}
