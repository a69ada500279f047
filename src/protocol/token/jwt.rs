//! Signing and checking.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use super::{AccessKeys, Claims, TokenError};
use crate::secret::Secret;

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
/// Names of `sub` and `role` as .NET writes them (Microsoft's emulator accepts both).
const DOTNET_USER: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
const DOTNET_ROLE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

/// Signs claims: header `{"alg":"HS256","typ":"JWT"}`, key = the access key's text in UTF-8.
#[must_use]
pub fn sign(claims: &Claims, key: &Secret) -> Secret {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("aud", Value::from(claims.audience.as_str()));
    put("exp", Value::from(claims.expires_at));
    if let Some(not_before) = claims.not_before {
        put("nbf", Value::from(not_before));
    }
    if let Some(issued_at) = claims.issued_at {
        put("iat", Value::from(issued_at));
    }
    if let Some(user_id) = &claims.user_id {
        put("sub", Value::from(user_id.as_str()));
    }
    if !claims.roles.is_empty() {
        put("role", Value::from(claims.roles.as_slice()));
    }
    if !claims.groups.is_empty() {
        put("webpubsub.group", Value::from(claims.groups.as_slice()));
    }
    let mut token = URL_SAFE_NO_PAD.encode(HEADER);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(Value::Object(fields).to_string(), &mut token);
    let signature = mac(key, token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Secret::new(token)
}

/// Checks signature, then lifetime with `skew` both ways, then audience, and returns the claims.
///
/// `audiences` are the accepted forms; comparison is of the whole string without case. `now` is the
/// time since the Unix epoch.
pub fn verify(
    token: &str,
    keys: &AccessKeys,
    audiences: &[String],
    now: Duration,
    skew: Duration,
) -> Result<Claims, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED_PARTS)?;
    let (header, payload) = signed.split_once('.').ok_or(MALFORMED_PARTS)?;
    if json_part(header)?.get("alg").and_then(Value::as_str) != Some("HS256") {
        return Err(TokenError::Malformed("the algorithm is not HS256"));
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::Malformed("the signature is not base64url"))?;
    if !is_signed(keys, signed.as_bytes(), &signature) {
        return Err(TokenError::Signature);
    }
    let fields = json_part(payload)?;
    let (expires_at, not_before) = check_lifetime(&fields, now, skew)?;
    Ok(Claims {
        audience: check_audience(&fields, audiences)?,
        expires_at,
        not_before,
        issued_at: numeric_date(&fields, "iat")?,
        user_id: user_id(&fields)?,
        roles: texts(&fields, &["role", DOTNET_ROLE])?,
        groups: texts(&fields, &["webpubsub.group"])?,
    })
}

/// Every claim of a token, by name: a claim that is no array is an array of one, and what is no
/// text is its JSON. For tokens that were checked; nothing of another text.
#[must_use]
pub fn every_claim(token: &str) -> BTreeMap<String, Vec<String>> {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let fields = json_part(payload).unwrap_or_default();
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let texts = |value: Value| match value {
        Value::Array(values) => values.into_iter().map(text).collect(),
        one => vec![text(one)],
    };
    fields.into_iter().map(|(name, value)| (name, texts(value))).collect()
}

const MALFORMED_PARTS: TokenError = TokenError::Malformed("it is not three parts");

/// HMAC-SHA256 with the access key's text in UTF-8 as its key.
pub(in crate::protocol) fn mac(key: &Secret, message: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Looks at every key whatever the first one says, so that the time taken tells nothing.
fn is_signed(keys: &AccessKeys, message: &[u8], signature: &[u8]) -> bool {
    let by_one =
        |found: Choice, key: &Secret| found | mac(key, message).as_slice().ct_eq(signature);
    std::iter::once(&keys.primary).chain(&keys.secondary).fold(Choice::from(0), by_one).into()
}

fn json_part(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed("a part is not base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed("a part is not a JSON object"))
}

fn check_lifetime(
    fields: &Map<String, Value>,
    now: Duration,
    skew: Duration,
) -> Result<(u64, Option<u64>), TokenError> {
    let expires_at = numeric_date(fields, "exp")?.ok_or(TokenError::NoExpiry)?;
    let not_before = numeric_date(fields, "nbf")?;
    if now > Duration::from_secs(expires_at).saturating_add(skew) {
        return Err(TokenError::Expired);
    }
    if not_before.is_some_and(|from| Duration::from_secs(from) > now.saturating_add(skew)) {
        return Err(TokenError::NotYetValid);
    }
    Ok((expires_at, not_before))
}

/// A time in seconds since the Unix epoch, whole seconds of it; one before the epoch is the epoch.
fn numeric_date(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, TokenError> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let seconds = value.as_u64().or_else(|| {
        let seconds = value.as_f64()?.max(0.0);
        Some(Duration::try_from_secs_f64(seconds).map_or(u64::MAX, |time| time.as_secs()))
    });
    seconds.map(Some).ok_or(TokenError::Malformed("exp, nbf or iat is not a number"))
}

/// The first audience of the token that is accepted.
fn check_audience(fields: &Map<String, Value>, accepted: &[String]) -> Result<String, TokenError> {
    let actual = texts(fields, &["aud"])?;
    let is_accepted = |audience: &&String| {
        accepted.iter().any(|accepted| accepted.eq_ignore_ascii_case(audience))
    };
    actual.iter().find(is_accepted).cloned().ok_or_else(|| TokenError::Audience {
        expected: accepted.join(", "),
        actual: actual.join(", "),
    })
}

fn user_id(fields: &Map<String, Value>) -> Result<Option<String>, TokenError> {
    let mut users = texts(fields, &["sub", DOTNET_USER])?;
    users.dedup();
    if users.len() > 1 {
        return Err(TokenError::Malformed("it names more than one user"));
    }
    Ok(users.pop())
}

/// The texts of claims that are a string or an array of strings, under any of their names.
fn texts(fields: &Map<String, Value>, names: &[&str]) -> Result<Vec<String>, TokenError> {
    let mut found = Vec::new();
    for value in names.iter().filter_map(|name| fields.get(*name)) {
        let texts = match value {
            Value::Array(items) => items.as_slice(),
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        for text in texts {
            let text = text.as_str().ok_or(TokenError::Malformed("a claim is not a string"))?;
            found.push(text.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const AUDIENCE: &str = "http://127.0.0.1:8080/client/hubs/chat";
    const SKEW: Duration = Duration::from_secs(300);

    fn keys(primary: &str) -> AccessKeys {
        AccessKeys { primary: Secret::new(primary), secondary: Some(Secret::new("the other one")) }
    }

    fn claims() -> Claims {
        Claims { audience: AUDIENCE.into(), expires_at: 10_000, ..Claims::default() }
    }

    /// Checks at second `now` with the audience of [`claims`].
    fn check(token: &str, now: u64) -> Result<Claims, TokenError> {
        verify(token, &keys("k1"), &[AUDIENCE.into()], Duration::from_secs(now), SKEW)
    }

    /// A token with this payload, signed by `k1`.
    fn token_of(header: &str, payload: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(mac(&Secret::new("k1"), signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    #[test]
    fn a_token_of_another_implementation_is_accepted() {
        // The well-known example of jwt.io: key `your-256-bit-secret`, no expiry.
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI\
                     6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6y\
                     JV_adQssw5c";
        let at = Duration::from_secs(1_516_239_022);
        let checked = |key: &str| verify(token, &keys(key), &[AUDIENCE.into()], at, SKEW);
        assert_eq!(checked("your-256-bit-secret"), Err(TokenError::NoExpiry));
        assert_eq!(checked("your-256-bit-secrex"), Err(TokenError::Signature));
    }

    #[test]
    fn every_claim_is_an_array_of_texts() {
        let token = token_of(HEADER, r#"{"sub":"u","role":["a","b"],"exp":7,"x":{"y":true}}"#);
        let claims = serde_json::to_string(&every_claim(&token)).unwrap();
        assert_eq!(claims, r#"{"exp":["7"],"role":["a","b"],"sub":["u"],"x":["{\"y\":true}"]}"#);
        assert!(every_claim("no token").is_empty());
    }

    #[test]
    fn a_token_made_with_pythons_hmac_is_accepted() {
        // The claims of a server SDK, signed with the emulator's development key.
        let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSIsInJvbGUiOlsid2VicHV\
                     ic3ViLnNlbmRUb0dyb3VwIiwid2VicHVic3ViLmpvaW5MZWF2ZUdyb3VwLmcxIl0sIndlYnB\
                     1YnN1Yi5ncm91cCI6WyJnMSIsImcyIl0sImF1ZCI6Imh0dHA6Ly8xMjcuMC4wLjE6ODA4MC9\
                     jbGllbnQvaHVicy9jaGF0IiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDB9.rJ\
                     nx77pEIJfrqVVWP6-CCChoeOPUTumeb8IH0dZHX44";
        let keys = keys(crate::protocol::connection_string::DEVELOPMENT_KEY);
        let at = Duration::from_secs(1_700_000_000);
        let claims = verify(token, &keys, &[AUDIENCE.into()], at, SKEW).unwrap();
        assert_eq!(claims.user_id.as_deref(), Some("u1"));
        assert_eq!(claims.roles, ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup.g1"]);
        assert_eq!(claims.groups, ["g1", "g2"]);
        assert_eq!((claims.issued_at, claims.expires_at), (Some(1_700_000_000), 1_700_003_600));
    }

    #[test]
    fn either_key_will_do() {
        let primary = sign(&claims(), &Secret::new("k1"));
        let secondary = sign(&claims(), &Secret::new("the other one"));
        let neither = sign(&claims(), &Secret::new("k2"));
        assert!(check(primary.expose(), 0).is_ok());
        assert!(check(secondary.expose(), 0).is_ok());
        assert_eq!(check(neither.expose(), 0), Err(TokenError::Signature));
    }

    #[test]
    fn lifetime_ends_exactly_past_the_tolerance() {
        let token = sign(&Claims { not_before: Some(5_000), ..claims() }, &Secret::new("k1"));
        assert_eq!(check(token.expose(), 4_699), Err(TokenError::NotYetValid));
        assert!(check(token.expose(), 4_700).is_ok());
        assert!(check(token.expose(), 10_300).is_ok());
        assert_eq!(check(token.expose(), 10_301), Err(TokenError::Expired));
        let just_past = Duration::from_secs(10_300) + Duration::from_nanos(1);
        let checked = verify(token.expose(), &keys("k1"), &[AUDIENCE.into()], just_past, SKEW);
        assert_eq!(checked, Err(TokenError::Expired));
        let for_ever = sign(&Claims { expires_at: u64::MAX, ..claims() }, &Secret::new("k1"));
        assert!(check(for_ever.expose(), u64::MAX).is_ok());
    }

    #[test]
    fn the_audience_is_compared_whole_and_without_case() {
        let of = |audience: &str| {
            let claims = Claims { audience: audience.into(), ..claims() };
            check(sign(&claims, &Secret::new("k1")).expose(), 0)
        };
        assert!(of("HTTP://127.0.0.1:8080/client/hubs/CHAT").is_ok());
        let error = of("http://127.0.0.1:8080/client/hubs/chat2").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Failed to validate audience. Expected Audiences: <{AUDIENCE}>. \
                 Actual Audiences: <{AUDIENCE}2>"
            )
        );
        assert!(of("").is_err());
    }

    #[test]
    fn claims_come_as_string_or_array_and_under_dotnets_names() {
        let header = r#"{"typ":"JWT","alg":"HS256","kid":"7"}"#;
        let payload = format!(
            r#"{{"aud":["x","{AUDIENCE}"],"exp":10000.9,"role":"a","{DOTNET_ROLE}":["b","c"],
               "{DOTNET_USER}":"u","sub":"u","webpubsub.group":"g","other":{{}}}}"#
        );
        let read = check(&token_of(header, &payload), 0).unwrap();
        assert_eq!(read.roles, ["a", "b", "c"]);
        assert_eq!(read.groups, ["g"]);
        assert_eq!(read.user_id.as_deref(), Some("u"));
        assert_eq!(read.expires_at, 10_000);
        assert_eq!(read.audience, AUDIENCE);
    }

    #[test]
    fn what_is_no_token_is_refused_for_what_it_is() {
        let payload = format!(r#"{{"aud":"{AUDIENCE}","exp":10000}}"#);
        assert!(check(&token_of(HEADER, &payload), 0).is_ok());
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS384"}"#, "{}", "[]", "x"] {
            let error = check(&token_of(header, &payload), 0);
            assert!(matches!(error, Err(TokenError::Malformed(_))), "{header}: {error:?}");
        }
        for payload in [
            "[]",
            r#"{"exp":"soon"}"#,
            r#"{"exp":1,"nbf":true}"#,
            &format!(r#"{{"aud":"{AUDIENCE}","exp":10000,"role":7}}"#),
            &format!(r#"{{"aud":"{AUDIENCE}","exp":10000,"sub":["a","b"]}}"#),
        ] {
            let error = check(&token_of(HEADER, payload), 0);
            assert!(matches!(error, Err(TokenError::Malformed(_))), "{payload}: {error:?}");
        }
        for token in ["", ".", "..", "a.b", "a.b.c.d", "é.é.é"] {
            assert!(matches!(check(token, 0), Err(TokenError::Malformed(_))), "{token}");
        }
        let unsigned = token_of(HEADER, &payload);
        let unsigned = &unsigned[..=unsigned.rfind('.').unwrap()];
        assert_eq!(check(unsigned, 0), Err(TokenError::Signature));
        let no_audience = check(&token_of(HEADER, r#"{"exp":10000}"#), 0);
        assert!(matches!(no_audience, Err(TokenError::Audience { .. })));
        assert_eq!(check(&token_of(HEADER, "{}"), 0), Err(TokenError::NoExpiry));
        assert_eq!(check(&token_of(HEADER, r#"{"exp":-1}"#), 301), Err(TokenError::Expired));
    }

    fn names() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(any::<String>(), 0..4)
    }

    proptest! {
        #[test]
        fn what_is_signed_is_verified(
            expires_at: u64,
            not_before in proptest::option::of(0_u64..1_000),
            issued_at in proptest::option::of(any::<u64>()),
            user_id in proptest::option::of(any::<String>()),
            roles in names(),
            groups in names(),
        ) {
            let audience = AUDIENCE.into();
            let claims =
                Claims { audience, expires_at, not_before, issued_at, user_id, roles, groups };
            let token = sign(&claims, &Secret::new("k1"));
            prop_assert_eq!(check(token.expose(), expires_at.max(1_000)), Ok(claims));
        }

        #[test]
        fn one_changed_character_spoils_it(at in any::<proptest::sample::Index>()) {
            let mut token = sign(&claims(), &Secret::new("k1")).expose().to_owned().into_bytes();
            let at = at.index(token.len());
            token[at] = if token[at] == b'A' { b'B' } else { b'A' };
            prop_assert!(check(&String::from_utf8(token).unwrap(), 0).is_err());
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in "\\PC{0,40}|[A-Za-z0-9_.-]{0,60}") {
            prop_assert!(check(&text, 0).is_err());
        }
    }
}
