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
/// `Bearer …`, `code=…` in the query of a URL, and anything that looks like a JSON web token.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    known: Vec<Secret>,
}

impl Redactor {
    /// A redactor that knows these values besides the patterns. Values shorter than four bytes are
    /// left out: replacing them would shred ordinary words and hide nothing.
    #[must_use]
    pub fn new(known: Vec<Secret>) -> Self {
        let mut known: Vec<Secret> =
            known.into_iter().filter(|secret| secret.expose().len() >= 4).collect();
        // Longest first: a secret that is part of another one must not leave the other's rest.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self { known }
    }

    /// The text with every secret replaced by [`MASK`].
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.known {
            out = out.replace(secret.expose(), MASK);
        }
        for name in ["AccessKey", "access_token", "awps_reconnection_token", "?code", "&code"] {
            out = mask_after(&out, name, Binding::Sign);
        }
        out = mask_after(&out, "Bearer", Binding::Space);
        mask_json_web_tokens(&out)
    }
}

/// What stands between the name of a secret and its value.
#[derive(Clone, Copy)]
enum Binding {
    /// `=` or `:`, with white space and quotes around it, as in `name="value"` and JSON.
    Sign,
    /// White space.
    Space,
}

/// Masks the value that follows each occurrence of `name` (any case).
fn mask_after(text: &str, name: &str, binding: Binding) -> String {
    let is_around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\');
    let is_end = |c: char| is_around(c) || matches!(c, ';' | '&' | ',' | '`' | '}');
    let lower = text.to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower[at..].find(&name) {
        let name_end = at + found + name.len();
        let rest = &text[name_end..];
        let value = match binding {
            Binding::Sign => rest.trim_start_matches(is_around).strip_prefix(['=', ':']),
            Binding::Space => rest.strip_prefix(char::is_whitespace),
        };
        let value = value.unwrap_or_default().trim_start_matches(is_around);
        let length = value.find(is_end).unwrap_or(value.len());
        let (value_start, value_end) = match length {
            0 => (name_end, name_end),
            _ => (text.len() - value.len(), text.len() - value.len() + length),
        };
        out.push_str(&text[at..value_start]);
        if length > 0 {
            out.push_str(MASK);
        }
        at = value_end;
    }
    out.push_str(&text[at..]);
    out
}

/// Masks words of the form `eyJ….….…`: three base64url parts, the first a JSON object. A full stop
/// of the sentence may follow and goes with it.
fn mask_json_web_tokens(text: &str) -> String {
    let is_token_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let length = rest[start..].find(|c| !is_token_char(c)).unwrap_or(rest.len() - start);
        let word = &rest[start..start + length];
        out.push_str(&rest[..start]);
        out.push_str(if word.matches('.').count() >= 2 { MASK } else { word });
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

    #[test]
    fn quotes_spaces_and_json_do_not_hide_a_value() {
        let redactor = Redactor::default();
        for text in [
            "AccessKey = s3cret/x==;Version=1.0;",
            "AccessKey=\"s3cret/x==\"",
            r#"{"accessKey":"s3cret/x==","a":1}"#,
            r#"{\"access_token\": \"s3cret/x==\"}"#,
            "ws://h/?a=1&access_token=s3cret/x==",
            "authorization: bearer  s3cret/x==",
            "AccessKey=s3cret/x==",
        ] {
            let clean = redactor.redact(text);
            assert!(!clean.contains("s3cret") && !clean.contains("x=="), "{text}: {clean}");
            assert!(clean.contains(MASK), "{text}: {clean}");
        }
    }

    #[test]
    fn the_key_of_a_function_app_in_a_url_is_masked() {
        let redact = |text: &str| Redactor::default().redact(text);
        for (text, clean) in [
            ("url = \"http://h/{x}?code=s3cret==\"", "url = \"http://h/{x}?code=***\""),
            ("'http://h/?a=1&code=s3cret&b=2'", "'http://h/?a=1&code=***&b=2'"),
            ("got status code=404", "got status code=404"),
        ] {
            assert_eq!(redact(text), clean);
        }
    }

    #[test]
    fn a_token_at_the_end_of_a_sentence_is_masked() {
        let clean = Redactor::default().redact("the token eyJhbGciOi.eyJhdWQi.sig. Then more.");
        assert_eq!(clean, "the token *** Then more.");
    }

    #[test]
    fn a_secret_within_a_longer_one_leaves_no_rest() {
        let redactor = Redactor::new(vec![Secret::new("key1"), Secret::new("key1-and-more")]);
        assert_eq!(redactor.redact("x key1-and-more y key1"), "x *** y ***");
    }

    #[test]
    fn words_about_secrets_stay() {
        for text in ["`AccessKey=` is missing or empty", "the access_token, it says", "bearer", ""]
        {
            assert_eq!(Redactor::default().redact(text), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_redacted_stays_as_it_is(
            text in "(\\PC|AccessKey|Bearer |access_token=|eyJ){0,20}",
        ) {
            let once = Redactor::default().redact(&text);
            proptest::prop_assert_eq!(Redactor::default().redact(&once), once);
        }
    }
}
