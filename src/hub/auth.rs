//! Access tokens of HTTP requests: where they stand and what they must be for.

use std::time::Duration;

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::query::Query;
use super::state::Hub;
use crate::protocol::token::{Claims, TokenError, verify};

/// Schemes in audiences, and the port each leaves out.
const SCHEMES: [(&str, &str); 2] = [("http", ":80"), ("https", ":443")];

/// Value of the `Host` header; empty without one.
pub fn host(request: &Parts) -> &str {
    request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The token of the `Authorization` header.
fn bearer(request: &Parts) -> Option<&str> {
    let value = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Every spelling of an endpoint that a token for it may carry: both schemes (a proxy in front may
/// end TLS), and with or without the scheme's own port.
fn endpoints(host: &str) -> impl Iterator<Item = String> {
    SCHEMES.iter().flat_map(move |(scheme, port)| {
        let short = host.strip_suffix(port);
        let forms = [Some(host), short].into_iter().flatten();
        forms.map(move |host| format!("{scheme}://{host}")).collect::<Vec<_>>()
    })
}

fn check(hub: &Hub, token: &str, audiences: &[String]) -> Result<Claims, TokenError> {
    let now = Duration::from_nanos(hub.clock.now_ns());
    verify(token, &hub.keys, audiences, now, hub.settings().limits.token_skew)
}

/// Checks the token of a connect request: `access_token` of the query, else the header. `None`
/// without a token.
pub fn check_client<'a>(
    hub: &Hub,
    request: &'a Parts,
    query: &'a Query,
    hub_name: &str,
) -> Option<(&'a str, Result<Claims, TokenError>)> {
    let token = query.first("access_token").or_else(|| bearer(request))?;
    let audiences: Vec<_> = endpoints(host(request))
        .map(|endpoint| format!("{endpoint}/client/hubs/{hub_name}"))
        .collect();
    Some((token, check(hub, token, &audiences)))
}

/// Checks the token of a REST or control request: its audience is the request's URL with or without
/// the query, or its URL-decoded form (service-side facts, 1.6). `None` without a token.
pub fn check_rest(hub: &Hub, request: &Parts) -> Option<Result<(), TokenError>> {
    let token = bearer(request)?;
    let path = request.uri.path();
    let whole = request.uri.path_and_query().map_or(path, http::uri::PathAndQuery::as_str);
    let mut audiences = Vec::new();
    for endpoint in endpoints(host(request)) {
        for form in [whole, path] {
            let decoded = percent_decode_str(form).decode_utf8_lossy();
            for form in [form, &*decoded] {
                let audience = format!("{endpoint}{form}");
                if !audiences.contains(&audience) {
                    audiences.push(audience);
                }
            }
        }
    }
    Some(check(hub, token, &audiences).map(drop))
}
