//! Query strings: OData options, and the pages they cut.
//!
//! `$skiptoken` is opaque to clients; here it is a position in a list whose order never changes.

use super::refusal::Refusal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Graph's largest page of directory objects.
pub(crate) const TOP_MAX: usize = 999;
/// Graph's page when nothing is asked for.
pub(crate) const TOP_DEFAULT: usize = 100;

/// The OData options of a call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) select: Vec<String>,
    pub(crate) filter: Option<String>,
    pub(crate) expand: Option<String>,
    pub(crate) count: bool,
    pub(crate) top: Option<usize>,
    /// Position of the first element wanted.
    pub(crate) skip: usize,
    /// The options as sent, without the position.
    rest: String,
}

impl Query {
    /// Reads what stands behind the question mark.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode_form(name);
            let value = decode_form(value);
            if name != "$skiptoken" {
                if !query.rest.is_empty() {
                    query.rest.push('&');
                }
                query.rest.push_str(pair);
            }
            match name.as_str() {
                "$select" => {
                    query.select = value
                        .split(',')
                        .map(str::trim)
                        .filter(|s| !s.is_empty())
                        .map(str::to_owned)
                        .collect();
                }
                "$filter" => query.filter = Some(value),
                "$expand" => query.expand = Some(value),
                "$count" => query.count = value.eq_ignore_ascii_case("true"),
                "$top" => query.top = Some(top(&value)?),
                "$skiptoken" => query.skip = position(&value)?,
                "$orderby" | "$search" | "$skip" => {
                    return Err(Refusal::Query(format!("The query option '{name}' is not supported here.")));
                }
                _ => {}
            }
        }
        Ok(query)
    }

    /// How many elements a page has.
    pub(crate) fn page_size(&self) -> usize {
        self.top.unwrap_or(TOP_DEFAULT)
    }

    /// The link to the page that starts at a position.
    pub(crate) fn next_link(&self, base: &str, path: &str, at: usize) -> String {
        let token = URL_SAFE_NO_PAD.encode(format!("at:{at}"));
        let joint = if self.rest.is_empty() { "" } else { "&" };
        format!("{base}{path}?{}{joint}$skiptoken={token}", self.rest)
    }
}

fn top(value: &str) -> Result<usize, Refusal> {
    value.parse::<usize>().ok().filter(|n| (1..=TOP_MAX).contains(n)).ok_or_else(|| {
        Refusal::Query(format!(
            "Invalid page size specified: '{value}'. Must be between 1 and {TOP_MAX} inclusive."
        ))
    })
}

fn position(token: &str) -> Result<usize, Refusal> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("at:")?.parse().ok())
        .ok_or_else(|| Refusal::Query("The $skiptoken is not valid.".to_owned()))
}

/// Resolves `%xx` in a path segment.
pub(crate) fn decode(text: &str) -> String {
    percent(text, false)
}

fn decode_form(text: &str) -> String {
    percent(text, true)
}

fn percent(text: &str, plus_is_blank: bool) -> String {
    let has_escape = text.contains('%') || (plus_is_blank && text.contains('+'));
    if !has_escape {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut ahead = bytes.clone();
                let pair = ahead.next().and_then(hex).zip(ahead.next().and_then(hex));
                match pair {
                    Some((high, low)) => {
                        out.push(high << 4 | low);
                        bytes = ahead;
                    }
                    None => out.push(byte),
                }
            }
            b'+' if plus_is_blank => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_link_keeps_the_options_and_moves_on() {
        let query = Query::parse("$select=id,userPrincipalName&$top=2&$filter=mail%20eq%20%27a%27").unwrap();
        assert_eq!(query.select, ["id", "userPrincipalName"]);
        assert_eq!(query.filter.as_deref(), Some("mail eq 'a'"));
        let link = query.next_link("http://h", "/v1.0/users", 2);
        let again = Query::parse(link.split_once('?').unwrap().1).unwrap();
        assert_eq!(again.skip, 2);
        assert_eq!(again.select, query.select);
        assert_eq!(again.filter, query.filter);
        assert!(again.next_link("http://h", "/v1.0/users", 4).matches("skiptoken").count() == 1);
    }

    #[test]
    fn pages_beyond_graphs_limit_are_refused() {
        assert!(Query::parse("$top=999").is_ok());
        for bad in ["$top=1000", "$top=0", "$top=x", "$skiptoken=!", "$orderby=id"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }
}
