//! Query strings: percent-decoded pairs, in order.

use percent_encoding::percent_decode_str;

/// The pairs of a query. Values may hold tokens: it is never printed.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `name=value&…`; `+` is a space, what is not UTF-8 is replaced.
    pub fn parse(query: Option<&str>) -> Self {
        let decode = |part: &str| {
            percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned()
        };
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// Every value of a name, in order; names are compared without case, as ASP.NET does.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Every pair, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of a name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_the_sdks_encode() {
        let query =
            Query::parse(Some("excluded=a&Excluded=b%20c&access_token=tok%2B/%3D&flag&x=1+2"));
        assert_eq!(query.all("excluded").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(query.first("access_token"), Some("tok+/="));
        assert_eq!((query.first("flag"), query.first("x")), (Some(""), Some("1 2")));
        assert_eq!(Query::parse(None).first("x"), None);
    }
}
