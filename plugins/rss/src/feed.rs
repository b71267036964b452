//! What RSS, Atom and JSON Feed have in common.

mod atom;
mod json;
mod page;
mod rss;

use chrono::{DateTime, Utc};
use url::Url;

use crate::encoding;
use crate::text::{Text, cut};
use crate::xml::{self, Document, Element, Shape};

/// The longest reason, in bytes: it may quote the feed.
const REASON_BYTES_MAX: usize = 300;
/// How much of an element's name is repeated in one, in bytes.
const NAME_BYTES_MAX: usize = 40;
/// How many items are looked at; the rest of a feed is left out.
pub(crate) const ITEMS_MAX: usize = 24_000;
/// What an item is known by is cut here, in bytes, and so are addresses.
const WORD_BYTES_MAX: usize = 2 * 1024;
const CATEGORIES_MAX: usize = 20;

/// A feed; its items have an order, the newest first.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Feed {
    pub(crate) title: Option<Text>,
    pub(crate) link: Option<String>,
    pub(crate) items: Vec<Item>,
    /// What was left out, and why.
    pub(crate) flaw: Option<String>,
}

/// An item, or entry. Its texts are read when they are needed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) id: Id,
    pub(crate) title: Option<Text>,
    pub(crate) link: Option<String>,
    pub(crate) summary: Option<Text>,
    pub(crate) author: Option<Text>,
    pub(crate) categories: Vec<Text>,
    /// As it is written.
    pub(crate) date: Option<String>,
    pub(crate) published: Option<DateTime<Utc>>,
}

/// What an item is known by: the best that it has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Id {
    pub(crate) text: String,
    pub(crate) means: Means,
}

/// How far an identity can be relied upon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Means {
    /// It is this item's for ever, by its format's rules; unless two of a feed have it.
    Item,
    /// A `guid` or a link: feeds give several items the same.
    Place,
    /// All that can be compared; what differs in anything else is another item.
    Words,
}

impl Id {
    fn new(means: Means, text: String) -> Self {
        Self { text: cut(text, WORD_BYTES_MAX), means }
    }

    /// The identity of an item without any of its own: its link, else its title and date, else what
    /// it says.
    fn of(
        link: Option<&str>,
        title: Option<&str>,
        date: Option<&str>,
        summary: Option<&str>,
    ) -> Option<Self> {
        if let Some(link) = link {
            return Some(Self::new(Means::Place, link.to_owned()));
        }
        let title = title.map(|title| cut(title.to_owned(), WORD_BYTES_MAX));
        let date = date.map(|date| cut(date.to_owned(), WORD_BYTES_MAX));
        let text = match (title, date, summary) {
            (Some(title), Some(date), _) => format!("{title} {date}"),
            (Some(title), None, _) => title,
            (None, Some(date), Some(summary)) => format!("{date} {summary}"),
            (None, None, Some(summary)) => summary.to_owned(),
            (None, _, None) => return None,
        };
        Some(Self::new(Means::Words, text))
    }
}

impl Feed {
    /// The feed in a document that was found at `url` and said to be of this content type.
    ///
    /// # Errors
    /// When it is none; says why, in a few words.
    pub(crate) fn parse(
        document: &[u8],
        content_type: Option<&str>,
        url: &str,
    ) -> Result<Self, String> {
        let base = Url::parse(url).map_err(|error| format!("`{url}` is no address: {error}"))?;
        let text = encoding::decoded(document, content_type);
        let feed = text.and_then(|text| match text.trim_start().starts_with('{') {
            true => json::feed(text.trim_start(), &base),
            false => markup(&text, &base),
        });
        let mut feed =
            feed.map_err(|reason| cut(format!("not a feed: {reason}"), REASON_BYTES_MAX))?;
        // Most feeds have the newest first, but only dates can tell.
        if feed.items.iter().all(|item| item.published.is_some()) {
            feed.items.sort_by_key(|item| std::cmp::Reverse(item.published));
        }
        Ok(feed)
    }
}

const SHAPE: Shape = Shape {
    is_root: |name| matches!(name, "rss" | "rdf" | "feed" | "channel"),
    is_item: |name| matches!(name, "item" | "entry"),
};

fn markup(document: &str, base: &Url) -> Result<Feed, String> {
    let (mut items, mut more) = (Vec::new(), 0_usize);
    let Document { root, other, flaw } = xml::read(document, base, &SHAPE, |element| {
        if items.len() == ITEMS_MAX {
            more += 1;
        } else {
            items.extend(if element.name() == "entry" {
                atom::entry(element)
            } else {
                rss::item(element)
            });
        }
    });
    let Some(root) = root else { return Err(nothing(document, base, other, flaw)) };
    let flaw = match flaw {
        Some(flaw) if items.is_empty() => return Err(flaw),
        None if more > 0 => Some(format!("it has {more} items beyond the first {ITEMS_MAX}")),
        flaw => flaw,
    };
    let feed = if root.name() == "feed" { atom::feed(&root) } else { rss::feed(&root)? };
    if let Some(author) = Some(&root).filter(|root| root.name() == "feed").and_then(atom::author) {
        items.iter_mut().for_each(|item| _ = item.author.get_or_insert_with(|| author.clone()));
    }
    Ok(Feed { items, flaw, ..feed })
}

/// Why there is no feed in a document.
fn nothing(document: &str, base: &Url, other: Option<String>, flaw: Option<String>) -> String {
    if page::is_html(document, other.as_deref()) {
        return page::reason(document, base);
    }
    match (other, flaw) {
        (Some(other), _) => {
            let other = cut(other, NAME_BYTES_MAX);
            format!("<{other}> is none of <rss>, <rdf:RDF> and an Atom <feed>")
        }
        (None, Some(flaw)) => flaw,
        (None, None) => "there is nothing in it that looks like one".to_owned(),
    }
}

/// The text of the first element that has one of these names and any text.
fn first(element: &Element, names: &[&str]) -> Option<String> {
    let mut found = names.iter().flat_map(|name| element.children(name));
    found.find_map(Element::text)
}

/// The first of these elements that has a date, as it is written and as it is meant.
fn date(element: &Element, names: &[&str]) -> (Option<String>, Option<DateTime<Utc>>) {
    let written = || names.iter().flat_map(|name| element.children(name)).filter_map(Element::text);
    (written().next(), written().find_map(|text| crate::date::parse(&text)))
}

/// An address is one word; what is broken over lines is put together again.
fn address(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| cut(text.to_owned(), WORD_BYTES_MAX))
}

#[cfg(test)]
mod tests;
