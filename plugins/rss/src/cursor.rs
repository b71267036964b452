//! What the server wants to hear to say that nothing has changed: `ETag` and `Last-Modified`, as
//! they came with the feed at this address (RFC 9110, section 13).

use hillock_plugin_sdk::http::{Request, Response};
use serde_json::{Value, json};

const ACCEPT: &str = "application/rss+xml, application/atom+xml, application/rdf+xml, \
                      application/feed+json, application/xml;q=0.9, text/xml;q=0.9, \
                      application/json;q=0.8, */*;q=0.1";
/// A longer validator is not worth keeping, in bytes.
const VALIDATOR_BYTES_MAX: usize = 1024;

/// The validators of the last answer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Cursor {
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Cursor {
    /// The cursor in this text, if it is of this feed.
    pub(crate) fn parse(text: Option<&str>, url: &str) -> Self {
        let kept: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if kept["url"] != url {
            return Self::default();
        }
        let field = |name: &str| kept[name].as_str().map(str::to_owned);
        Self { etag: field("etag"), last_modified: field("last_modified") }
    }

    /// The cursor after this answer.
    pub(crate) fn of(response: &Response) -> Self {
        let header = |name| {
            let value = response.header(name).filter(|value| value.len() <= VALIDATOR_BYTES_MAX);
            value.map(str::to_owned)
        };
        Self { etag: header("etag"), last_modified: header("last-modified") }
    }

    /// The cursor as text; none when the server gave nothing to go by.
    pub(crate) fn to_text(&self, url: &str) -> Option<String> {
        let Self { etag, last_modified } = self;
        let text = json!({ "url": url, "etag": etag, "last_modified": last_modified }).to_string();
        (etag.is_some() || last_modified.is_some()).then_some(text)
    }

    /// Asks for the feed, unless it is still the same.
    pub(crate) fn request(&self, url: &str) -> Request {
        let mut request = Request::get(url).header("accept", ACCEPT);
        if let Some(etag) = &self.etag {
            request = request.header("if-none-match", etag);
        }
        if let Some(date) = &self.last_modified {
            request = request.header("if-modified-since", date);
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://example.com/feed";

    fn response(headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Response { status: 200, headers, body: vec![], url: URL.to_owned() }
    }

    #[test]
    fn what_the_server_gave_is_given_back() {
        let date = "Sat, 31 Jan 2026 12:00:00 GMT";
        let cursor = Cursor::of(&response(&[("etag", "W/\"1\""), ("last-modified", date)]));
        let text = cursor.to_text(URL).unwrap();
        let cursor = Cursor::parse(Some(&text), URL);
        let headers = cursor.request(URL).headers;
        let sent = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(sent("if-none-match"), Some("W/\"1\""));
        assert_eq!(sent("if-modified-since"), Some(date));
    }

    #[test]
    fn nothing_is_given_back_that_was_not_given_here() {
        let cursor = Cursor::of(&response(&[("etag", "\"1\"")]));
        let text = cursor.to_text(URL).unwrap();
        assert_eq!(Cursor::parse(Some(&text), "https://example.com/other"), Cursor::default());
        assert_eq!(Cursor::parse(Some("nonsense"), URL), Cursor::default());
        assert_eq!(Cursor::parse(None, URL), Cursor::default());
        assert_eq!(Cursor::of(&response(&[])).to_text(URL), None);
        let long = "x".repeat(2000);
        assert_eq!(Cursor::of(&response(&[("etag", &long)])), Cursor::default());
    }
}
