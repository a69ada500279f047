//! `ce-signature`: `sha256=<hex>` of the connection id for each access key (service-side facts,
//! 2.3).

use std::fmt::Write as _;

use subtle::{Choice, ConstantTimeEq as _};

use super::super::token::{AccessKeys, mac};
use crate::secret::Secret;

/// What stands before the digits.
const PREFIX: &str = "sha256=";

/// Value of `ce-signature`: the primary key's signature, then the secondary's.
#[must_use]
pub fn sign_event(keys: &AccessKeys, connection_id: &str) -> String {
    let parts: Vec<String> = each(keys).map(|key| signature(key, connection_id)).collect();
    parts.join(",")
}

/// Whether one of the signatures was made with one of the keys. `values` are the header's lines;
/// signatures stand on lines of their own or with commas between.
#[must_use]
pub fn verify_signature<'a>(
    keys: &AccessKeys,
    connection_id: &str,
    values: impl IntoIterator<Item = &'a str>,
) -> bool {
    let expected: Vec<String> = each(keys).map(|key| signature(key, connection_id)).collect();
    let mut found = Choice::from(0);
    for given in values.into_iter().flat_map(|value| value.split(',')) {
        let given = given.trim().to_ascii_lowercase();
        for expected in &expected {
            found |= expected.as_bytes().ct_eq(given.as_bytes());
        }
    }
    found.into()
}

fn each(keys: &AccessKeys) -> impl Iterator<Item = &Secret> {
    std::iter::once(&keys.primary).chain(&keys.secondary)
}

fn signature(key: &Secret, connection_id: &str) -> String {
    let mut out = PREFIX.to_owned();
    for byte in mac(key, connection_id.as_bytes()) {
        // Writing to a text cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(primary: &str, secondary: Option<&str>) -> AccessKeys {
        AccessKeys { primary: Secret::new(primary), secondary: secondary.map(Secret::new) }
    }

    #[test]
    fn signatures_are_those_of_any_other_hmac() {
        // RFC 4231, test case 2.
        assert_eq!(
            sign_event(&keys("Jefe", None), "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn either_key_and_either_spelling_of_the_header_will_do() {
        let both = keys("a", Some("b"));
        let signed = sign_event(&both, "c1");
        let parts: Vec<&str> = signed.split(',').collect();
        assert_eq!(parts.len(), 2);
        assert!(verify_signature(&both, "c1", [signed.as_str()]));
        assert!(verify_signature(&keys("b", None), "c1", parts.iter().copied()));
        assert!(verify_signature(&keys("a", None), "c1", [signed.to_uppercase().as_str()]));
        assert!(!verify_signature(&both, "c2", [signed.as_str()]));
        assert!(!verify_signature(&keys("z", None), "c1", [signed.as_str()]));
        assert!(!verify_signature(&both, "c1", ["", "sha256="]));
        assert!(!verify_signature(&both, "c1", []));
    }
}
