//! RSS in all its versions, 0.90 to 2.0, those in RDF among them.

use super::{CATEGORIES_MAX, Feed, Id, Item, Means, address, date, first};
use crate::text::{self, Text};
use crate::xml::{Element, Node};

/// Where an item's date stands, the best first.
const DATES: [&str; 9] = [
    "pubdate",
    "dc:date",
    "published",
    "date",
    "dcterms:created",
    "dcterms:issued",
    "atom:published",
    "atom:updated",
    "dcterms:modified",
];
const SUMMARIES: [&str; 7] = [
    "description",
    "content:encoded",
    "summary",
    "itunes:summary",
    "atom:summary",
    "dc:description",
    "media:description",
];

/// What a root says of the feed.
pub(super) fn feed(root: &Element) -> Result<Feed, String> {
    let channel = match root.name() {
        "channel" => Some(root),
        _ => root.children("channel").next(),
    };
    let channel = channel.ok_or("there is no <channel>")?;
    let link = link(channel);
    Ok(Feed {
        title: html(channel, &["title"]),
        link: link.map(|link| channel.resolved(&link)),
        ..Feed::default()
    })
}

/// An item; none when nothing is in it.
pub(super) fn item(item: &Element) -> Option<Item> {
    let guid = item.children("guid").next();
    let title = html(item, &["title"]);
    let permalink = guid.and_then(permalink);
    let link = link(item).or(permalink);
    let (date, published) = date(item, &DATES);
    let summary = html(item, &SUMMARIES).or_else(|| in_media_group(item, "media:description"));
    let own = guid.and_then(Element::text).or_else(|| item.attribute("about").map(str::to_owned));
    let own = own.filter(|own| !own.is_empty()).map(|own| Id::new(Means::Place, own));
    let enclosed = enclosed(item);
    let id = own.or_else(|| {
        let summary = summary.as_ref().map(Text::raw);
        Id::of(link.as_deref(), title.as_ref().map(Text::raw), date.as_deref(), summary)
            .or_else(|| Id::of(enclosed.as_deref(), None, None, None))
    });
    Some(Item {
        id: id?,
        title: title
            .or_else(|| html(item, &["dc:title", "media:title", "itunes:title"]))
            .or_else(|| in_media_group(item, "media:title")),
        link: link.or(enclosed).map(|link| item.resolved(&link)),
        summary,
        author: html(item, &["author", "dc:creator", "itunes:author"]).or_else(|| {
            let named = item.children("atom:author").find_map(|author| first(author, &["name"]));
            named.map(Text::Plain)
        }),
        categories: categories(item),
        date,
        published,
    })
}

/// The text of the first of these elements that has any. By custom it is HTML; where the HTML was
/// not escaped, it is there as elements.
fn html(element: &Element, names: &[&str]) -> Option<Text> {
    let mut found = names.iter().flat_map(|name| element.children(name));
    found.find_map(|found| {
        let has_markup = found.nodes().iter().any(|node| matches!(node, Node::Element(_)));
        match has_markup {
            true => Some(Text::Plain(text::of_tree(found))).filter(|text| !text.raw().is_empty()),
            false => found.text().map(Text::Html),
        }
    })
}

fn in_media_group(item: &Element, name: &str) -> Option<Text> {
    item.children("media:group").find_map(|group| html(group, &[name]))
}

/// The link as it is written: of RSS, or of Atom within RSS.
fn link(element: &Element) -> Option<String> {
    let own = element.children("link").find_map(|link| {
        let text = link.text().or_else(|| link.attribute("href").map(str::to_owned))?;
        address(&text)
    });
    own.or_else(|| super::atom::page(element.children("atom:link")))
}

/// A `guid` is the item's address, unless it says that it is not or cannot be one.
fn permalink(guid: &Element) -> Option<String> {
    let text = address(&guid.text()?)?;
    match guid.attribute("ispermalink").map(str::to_ascii_lowercase).as_deref() {
        Some("false") => None,
        Some("true") => Some(guid.resolved(&text)),
        _ => (text.starts_with("http:") || text.starts_with("https:")).then_some(text),
    }
}

/// The file that comes with an item.
fn enclosed(item: &Element) -> Option<String> {
    let groups = item.children("media:group").flat_map(|group| group.children("media:content"));
    let files = item.children("enclosure").chain(item.children("media:content")).chain(groups);
    files.filter_map(|file| file.attribute("url")).find_map(address)
}

fn categories(item: &Element) -> Vec<Text> {
    let elements = item.children("category").chain(item.children("dc:subject"));
    let named = elements.filter_map(|category| {
        let term = || category.attribute("term").filter(|term| !term.is_empty());
        let text = category.text().or_else(|| term().map(str::to_owned))?;
        Some(Text::Html(text))
    });
    named.take(CATEGORIES_MAX).collect()
}
