//! A page where there should be a feed: an address that is a little wrong, a login, an error.

use html5gum::{StartTag, Token, Tokenizer};
use url::Url;

use super::address;
use crate::xml::absolute;

/// How much of a page is looked at, in bytes.
const BYTES_MAX: usize = 256 * 1024;
/// Where a page says that it is one, in bytes.
const HEAD_BYTES: usize = 1024;

/// Whether it is a page; `root` is what its outermost element is called.
pub(super) fn is_html(document: &str, root: Option<&str>) -> bool {
    let head = document[..document.floor_char_boundary(HEAD_BYTES)].to_ascii_lowercase();
    matches!(root, Some("html" | "head" | "body")) || head.contains("<!doctype html")
}

/// Says that it is a page, and which feed it names.
pub(super) fn reason(document: &str, base: &Url) -> String {
    let document = &document[..document.floor_char_boundary(BYTES_MAX)];
    let tags = Tokenizer::new(document).filter_map(|token| match token {
        Ok(Token::StartTag(tag)) => Some(tag),
        _ => None,
    });
    let named = tags.filter(|tag| *tag.name == b"link").find_map(|tag| feed_of(&tag));
    match named {
        Some(href) => {
            let feed = absolute(base, &href);
            format!("it is an HTML page, which names the feed {feed}")
        }
        None => "it is an HTML page".to_owned(),
    }
}

/// The address in a link to a feed.
fn feed_of(tag: &StartTag<()>) -> Option<String> {
    let value = |name: &str| {
        let value = tag.attributes.get(name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let is_alternate = value("rel")?.to_ascii_lowercase().contains("alternate");
    let kind = value("type")?.to_ascii_lowercase();
    let is_feed = ["rss", "atom", "rdf", "feed+json"].iter().any(|word| kind.contains(word));
    address(&value("href").filter(|_| is_alternate && is_feed)?)
}
