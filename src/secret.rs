//! Values that print as `***`, and the redactor for free text.
//!
//! An access key or a token reaches a log, an error, a file or a report only through these types,
//! and they do not let it.

use std::fmt;

/// What stands where a secret would be.
pub const MASK: &str = "***";

/// Text that is never shown. `Debug` and `Display` print [`MASK`]; only [`Secret::expose`] gives
/// the value, so that every use can be found by searching for that name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for signing and for the wire only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Replaces secrets inside free text: the values it was given, `AccessKey=…`, `access_token=…`,
/// `Bearer …`, and anything that looks like a JSON web token.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    known: Vec<Secret>,
}

impl Redactor {
    /// A redactor that knows these values besides the patterns. Values shorter than four bytes are
    /// left out: replacing them would shred ordinary words and hide nothing.
    #[must_use]
    pub fn new(known: Vec<Secret>) -> Self {
        let known = known.into_iter().filter(|secret| secret.expose().len() >= 4).collect();
        Self { known }
    }

    /// The text with every secret replaced by [`MASK`].
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.known {
            out = out.replace(secret.expose(), MASK);
        }
        for marker in ["AccessKey=", "access_token=", "Bearer ", "awps_reconnection_token="] {
            out = mask_after(&out, marker);
        }
        mask_json_web_tokens(&out)
    }
}

/// Masks the run of value characters that follows each occurrence of `marker` (any case).
fn mask_after(text: &str, marker: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let marker_lower = marker.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower[at..].find(&marker_lower) {
        let value_start = at + found + marker.len();
        let value_end = text[value_start..]
            .find(|c: char| matches!(c, ';' | '&' | '"' | '\'') || c.is_whitespace())
            .map_or(text.len(), |length| value_start + length);
        out.push_str(&text[at..value_start]);
        if value_end > value_start {
            out.push_str(MASK);
        }
        at = value_end;
    }
    out.push_str(&text[at..]);
    out
}

/// Masks words of the form `eyJ….….…`: three base64url parts, the first a JSON object.
fn mask_json_web_tokens(text: &str) -> String {
    let is_token_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let length = rest[start..].find(|c| !is_token_char(c)).unwrap_or(rest.len() - start);
        let word = &rest[start..start + length];
        out.push_str(&rest[..start]);
        out.push_str(if word.matches('.').count() == 2 { MASK } else { word });
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("hunter2hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn free_text_loses_keys_tokens_and_bearers() {
        let redactor = Redactor::new(vec![Secret::new("s3cr3t-key")]);
        let text = "Endpoint=http://h;AccessKey=abc;Version=1.0; ws://h/?ACCESS_TOKEN=q&x=1 \
                    Authorization: Bearer zz s3cr3t-key eyJhbGciOi.eyJhdWQi.sig eyJust a word";
        let clean = redactor.redact(text);
        for leak in ["abc", "=q&", "zz", "s3cr3t", "eyJhdWQi"] {
            assert!(!clean.contains(leak), "{leak} leaked in {clean}");
        }
        assert!(clean.contains("Version=1.0;"));
        assert!(clean.contains("eyJust a word"));
    }
}
