//! Connections of a group, page by page (service-side facts, 1.4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::answer::{self, Answer, Refusal};
use super::auth;
use super::rest::Call;

/// Connections on one page at most, and when nothing else is asked for.
const PAGE_MAX: u32 = 200;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    value: Vec<Member<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member<'a> {
    connection_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

/// One page of a group's connections, in the order of their ids, after the cursor.
pub fn list_group(call: &Call<'_>, hub_name: &str, group: &str) -> Result<Answer, Refusal> {
    let page_size = number(call, "maxpagesize", PAGE_MAX)?;
    let top = number(call, "top", u32::MAX >> 1)?;
    let cursor = call.query.first("continuationToken").map(read_cursor).transpose()?;
    let tables = call.hub.tables.borrow();
    let mut members: Vec<_> = tables
        .of_group(hub_name, group)
        .filter(|member| cursor.as_deref().is_none_or(|cursor| *member.id > *cursor))
        .collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    let wanted = page_size.unwrap_or(PAGE_MAX).min(top.unwrap_or(u32::MAX)) as usize;
    let left_of_top = top.map(|top| top.saturating_sub(page_size.unwrap_or(PAGE_MAX)));
    let is_last = members.len() <= wanted || left_of_top == Some(0);
    members.truncate(wanted);
    let next_link = match members.last() {
        Some(last) if !is_last => Some(next_link(call, page_size, left_of_top, &last.id)),
        _ => None,
    };
    let value = members
        .iter()
        .map(|member| Member { connection_id: &member.id, user_id: member.user_id.as_deref() })
        .collect();
    Ok(answer::json(StatusCode::OK, &Page { value, next_link }))
}

fn number(call: &Call<'_>, name: &str, max: u32) -> Result<Option<u32>, Refusal> {
    let Some(text) = call.query.first(name) else { return Ok(None) };
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(Some(number)),
        _ => Err(Refusal::bad_request(name, format!("{name} must be from 1 to {max}"))),
    }
}

fn read_cursor(text: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        Refusal::bad_request("continuationToken", "continuationToken is not one of this hub's")
    })
}

/// The absolute URL of the next page, on the host the caller used, with what is left of `top`.
fn next_link(
    call: &Call<'_>,
    page_size: Option<u32>,
    left_of_top: Option<u32>,
    last: &str,
) -> String {
    let mut link = format!("http://{}{}?", auth::host(call.request), call.request.uri.path());
    if let Some(version) = call.query.first("api-version") {
        let version = utf8_percent_encode(version, NON_ALPHANUMERIC).to_string();
        link.push_str(&format!("api-version={}&", version.replace("%2D", "-")));
    }
    for (name, value) in [("maxpagesize", page_size), ("top", left_of_top)] {
        if let Some(value) = value {
            link.push_str(&format!("{name}={value}&"));
        }
    }
    link + "continuationToken=" + &URL_SAFE_NO_PAD.encode(last)
}
