//! Atom, as RFC 4287 and its forerunner 0.3 have it.

use super::{CATEGORIES_MAX, Feed, Id, Item, Means, address, date, first};
use crate::text::{self, Text};
use crate::xml::{Element, Node};

/// Where an entry's date stands, the best first.
const DATES: [&str; 7] =
    ["published", "updated", "issued", "modified", "created", "dc:date", "pubdate"];

/// What a root says of the feed.
pub(super) fn feed(root: &Element) -> Feed {
    let link = best(root.children("link")).and_then(resolved);
    Feed { title: construct(root, &["title"]), link, ..Feed::default() }
}

/// An entry; none when nothing is in it.
pub(super) fn entry(entry: &Element) -> Option<Item> {
    let title = construct(entry, &["title"]);
    let link = best(entry.children("link"));
    let (date, published) = date(entry, &DATES);
    let summary = construct(entry, &["summary", "content", "media:description"]).or_else(|| {
        let mut groups = entry.children("media:group");
        groups.find_map(|group| construct(group, &["media:description"]))
    });
    let own = first(entry, &["id"]).map(|id| Id::new(Means::Item, id));
    let id = own.or_else(|| {
        let (link, title) = (link.and_then(written), first(entry, &["title"]));
        let summary = summary.as_ref().map(Text::raw);
        Id::of(link.as_deref(), title.as_deref(), date.as_deref(), summary)
    });
    Some(Item {
        id: id?,
        title,
        link: link.and_then(resolved),
        summary,
        author: author(entry),
        categories: categories(entry),
        date,
        published,
    })
}

/// Of the links, the one to the page itself, as it is written.
pub(super) fn page<'e>(links: impl Iterator<Item = &'e Element>) -> Option<String> {
    written(best(links)?)
}

/// The page, else what is related to it, else what is enclosed. The feed itself and the ways to edit
/// it are no such thing.
fn best<'e>(links: impl Iterator<Item = &'e Element>) -> Option<&'e Element> {
    let rank = |link: &Element| match link.attribute("rel").map(str::to_ascii_lowercase).as_deref()
    {
        None | Some("" | "alternate" | "http://www.iana.org/assignments/relation/alternate") => {
            Some(0)
        }
        Some("related" | "via") => Some(1),
        Some("enclosure") => Some(2),
        _ => None,
    };
    let ranked = links.filter(|link| written(link).is_some());
    let ranked = ranked.filter_map(|link| Some((rank(link)?, link)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, link)| link)
}

fn written(link: &Element) -> Option<String> {
    let text = link.attribute("href").map(str::to_owned).or_else(|| link.text())?;
    address(&text)
}

fn resolved(link: &Element) -> Option<String> {
    Some(link.resolved(&written(link)?))
}

/// The first of these that has any text, read as its type says (RFC 4287, section 3.1).
fn construct(element: &Element, names: &[&str]) -> Option<Text> {
    names.iter().flat_map(|name| element.children(name)).find_map(typed)
}

fn typed(element: &Element) -> Option<Text> {
    let kind = element.attribute("type").unwrap_or("text").to_ascii_lowercase();
    let has_markup = element.nodes().iter().any(|node| matches!(node, Node::Element(_)));
    let is_media = !matches!(kind.as_str(), "text" | "html" | "xhtml") && kind.contains('/');
    match kind.as_str() {
        _ if has_markup => Some(Text::Plain(text::of_tree(element))),
        "html" | "text/html" => element.text().map(Text::Html),
        // Base64 of something that nobody reads.
        _ if is_media && !kind.starts_with("text/") && !kind.ends_with("xml") => None,
        _ => element.text().map(Text::Plain),
    }
    .filter(|text| !text.raw().is_empty())
}

/// Who wrote an entry, or a feed's entries that say nothing of it.
pub(super) fn author(entry: &Element) -> Option<Text> {
    let named = |author: &Element| first(author, &["name", "email"]).or_else(|| author.text());
    let own = entry.children("author").find_map(named);
    own.or_else(|| first(entry, &["dc:creator"])).map(Text::Plain)
}

fn categories(entry: &Element) -> Vec<Text> {
    let named = entry.children("category").chain(entry.children("dc:subject"));
    let named = named.filter_map(|category| {
        let names = ["term", "label"].into_iter().filter_map(|name| category.attribute(name));
        let text = names.map(str::to_owned).find(|name| !name.is_empty());
        text.or_else(|| category.text()).map(Text::Plain)
    });
    named.take(CATEGORIES_MAX).collect()
}
