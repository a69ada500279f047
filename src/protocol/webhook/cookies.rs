//! Cookies that event handlers set on a connection's events and get back with its later ones.

use std::time::Duration;

use http::header::{HeaderMap, SET_COOKIE};

use super::WebhookUrl;

/// Cookies kept of one connection; a further one takes the oldest one's place.
pub const COOKIES_MAX: usize = 20;
/// Bytes of a cookie's name and value, at most; a longer one is not kept (RFC 6265, 6.1).
pub const COOKIE_BYTES_MAX: usize = 4_096;

/// Cookies of one connection. A cookie goes back to the host that set it, below its path, until it
/// expires. (`Domain` is not looked at: every handler has its own cookies.)
#[derive(Clone, Debug, Default)]
pub struct CookieJar(Vec<Cookie>);

#[derive(Clone)]
struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
    /// Since the Unix epoch.
    expires: Option<Duration>,
}

impl std::fmt::Debug for Cookie {
    /// Without the value, which may be a secret of the handler's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cookie").field("host", &self.host).field("name", &self.name).finish()
    }
}

impl CookieJar {
    /// Keeps what a handler's answer sets. `now` is the time since the Unix epoch.
    pub fn keep(&mut self, url: &WebhookUrl, headers: &HeaderMap, now: Duration) {
        for line in headers.get_all(SET_COOKIE) {
            let Some(cookie) = line.to_str().ok().and_then(|line| parse(url, line, now)) else {
                continue;
            };
            self.0.retain(|known| {
                (&known.host, &known.path, &known.name)
                    != (&cookie.host, &cookie.path, &cookie.name)
            });
            if cookie.expires.is_none_or(|expires| expires > now) {
                if self.0.len() == COOKIES_MAX {
                    self.0.remove(0);
                }
                self.0.push(cookie);
            }
        }
    }

    /// Value of `Cookie` of a request; empty for none.
    #[must_use]
    pub fn header(&self, url: &WebhookUrl, now: Duration) -> String {
        let host = url.endpoint.authority();
        let path = path_of(url);
        let mine = self.0.iter().filter(|cookie| {
            cookie.host == host
                && is_below(path, &cookie.path)
                && cookie.expires.is_none_or(|expires| expires > now)
        });
        let pairs: Vec<String> =
            mine.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        pairs.join("; ")
    }
}

fn path_of(url: &WebhookUrl) -> &str {
    url.path_and_query.split('?').next().unwrap_or_default()
}

/// RFC 6265, 5.1.4.
fn is_below(path: &str, of: &str) -> bool {
    path.strip_prefix(of)
        .is_some_and(|rest| rest.is_empty() || of.ends_with('/') || rest.starts_with('/'))
}

/// One `Set-Cookie` line (RFC 6265, 5.2).
fn parse(url: &WebhookUrl, line: &str, now: Duration) -> Option<Cookie> {
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.len() + value.len() > COOKIE_BYTES_MAX {
        return None;
    }
    let own_path = path_of(url);
    let folder = own_path.rfind('/').map_or("/", |at| &own_path[..at.max(1)]);
    let mut cookie = Cookie {
        host: url.endpoint.authority(),
        path: folder.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        expires: None,
    };
    let mut max_age = None;
    for attribute in parts {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
            "max-age" => max_age = value.parse::<i64>().ok(),
            "expires" => {
                let parsed = jiff::fmt::rfc2822::parse(value).ok();
                let second = parsed.map(|time| time.timestamp().as_second());
                let since = second.map(|second| u64::try_from(second).unwrap_or(0));
                cookie.expires = since.map(Duration::from_secs);
            }
            _ => {}
        }
    }
    if let Some(seconds) = max_age {
        // It wins over a date.
        let seconds = u64::try_from(seconds).unwrap_or(0);
        cookie.expires = Some(now.saturating_add(Duration::from_secs(seconds)));
    }
    Some(cookie)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::UrlTemplate;
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000_000);

    fn url(text: &str) -> WebhookUrl {
        UrlTemplate::parse(text).unwrap().fill("h", "e")
    }

    fn keep(jar: &mut CookieJar, from: &str, lines: &[&str]) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SET_COOKIE, HeaderValue::from_str(line).unwrap());
        }
        jar.keep(&url(from), &headers, NOW);
    }

    #[test]
    fn cookies_go_back_to_whom_they_came_from() {
        let mut jar = CookieJar::default();
        keep(&mut jar, "http://a/x/connect", &["s=1; Path=/; HttpOnly", "t=2", "bad", "=x"]);
        let header = |jar: &CookieJar, to: &str| jar.header(&url(to), NOW);
        assert_eq!(header(&jar, "http://a/x/message?code=1"), "s=1; t=2");
        assert_eq!(header(&jar, "http://a/xy"), "s=1");
        assert_eq!(header(&jar, "http://b/x/message"), "");
        assert_eq!(header(&jar, "http://a:81/x/message"), "");
        keep(&mut jar, "http://a/", &["s=3"]);
        assert_eq!(header(&jar, "http://a/x/m"), "t=2; s=3");
    }

    #[test]
    fn cookies_expire_and_are_taken_back() {
        let mut jar = CookieJar::default();
        let date = "Expires=Sun, 09 Sep 2001 01:46:41 GMT";
        keep(&mut jar, "http://a/", &["a=1; Max-Age=5", &format!("b=2; {date}"), "c=3"]);
        assert_eq!(jar.header(&url("http://a/"), NOW), "a=1; b=2; c=3");
        assert_eq!(jar.header(&url("http://a/"), NOW + Duration::from_secs(1)), "a=1; c=3");
        assert_eq!(jar.header(&url("http://a/"), NOW + Duration::from_secs(5)), "c=3");
        keep(&mut jar, "http://a/", &["c=; Max-Age=0"]);
        assert_eq!(jar.header(&url("http://a/"), NOW), "a=1; b=2");
    }

    #[test]
    fn a_jar_is_bounded() {
        let mut jar = CookieJar::default();
        let lines: Vec<String> = (0..COOKIES_MAX + 1).map(|n| format!("c{n}=1")).collect();
        keep(&mut jar, "http://a/", &lines.iter().map(String::as_str).collect::<Vec<_>>());
        let header = jar.header(&url("http://a/"), NOW);
        assert!(header.starts_with("c1=1") && header.ends_with("c20=1"), "{header}");
        keep(&mut jar, "http://a/", &[&format!("big={}", "x".repeat(COOKIE_BYTES_MAX))]);
        assert!(!jar.header(&url("http://a/"), NOW).contains("big"));
    }
}
