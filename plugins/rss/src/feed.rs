//! What RSS 2.0, RSS 1.0 (RDF) and Atom have in common.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

use crate::xml::{self, Element};

/// The longest summary, in bytes; everything else is shorter.
const SUMMARY_BYTES_MAX: usize = 16 * 1024;
const TEXT_BYTES_MAX: usize = 2 * 1024;
const CATEGORIES_MAX: usize = 20;
/// The longest reason, in bytes: it may quote the feed.
const REASON_BYTES_MAX: usize = 200;

/// A feed; its items have an order, the newest first.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Feed {
    pub(crate) title: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) items: Vec<Item>,
}

/// An item, or entry.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Item {
    /// What it is known by.
    pub(crate) id: String,
    pub(crate) title: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) published: Option<DateTime<Utc>>,
}

impl Feed {
    /// The feed in a document.
    ///
    /// # Errors
    /// When it is none; says why, in a few words.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, String> {
        let feed = decoded(document).and_then(|text| xml::parse(&text)).and_then(|root| match root
            .name()
        {
            "rss" => channel(&root, root.children("channel").flat_map(|c| c.children("item"))),
            "rdf:RDF" => channel(&root, root.children("item")),
            "atom:feed" => Ok(atom(&root)),
            other => Err(format!("<{other}> is none of <rss>, <rdf:RDF> and an Atom <feed>")),
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

/// Text is UTF-8, or what its declaration says if that is Latin-1 or the like.
fn decoded(document: &[u8]) -> Result<String, String> {
    if let Ok(text) = str::from_utf8(document) {
        return Ok(text.trim_start_matches('\u{feff}').to_owned());
    }
    let declaration: Vec<u8> =
        document.iter().copied().take_while(|c| *c != b'>').take(200).collect();
    let declaration = String::from_utf8_lossy(&declaration).to_ascii_lowercase();
    let latin = ["iso-8859-1", "iso-8859-15", "windows-1252", "latin1", "us-ascii"];
    match latin.iter().any(|name| declaration.contains(name)) {
        true => Ok(document.iter().map(|byte| char::from(*byte)).collect()),
        false => Err("it is neither UTF-8 nor Latin-1".to_owned()),
    }
}

fn channel<'e>(root: &Element, items: impl Iterator<Item = &'e Element>) -> Result<Feed, String> {
    let channel = root.children("channel").next().ok_or("there is no <channel>")?;
    Ok(Feed {
        title: first(channel, &["title"]),
        link: first(channel, &["link"]),
        items: items.filter_map(rss_item).collect(),
    })
}

fn rss_item(item: &Element) -> Option<Item> {
    let title = first(item, &["title"]);
    let guid = item.children("guid").next();
    let permalink = guid.filter(|guid| guid.attribute("isPermaLink") != Some("false"));
    let permalink = permalink.and_then(Element::text).filter(|text| text.starts_with("http"));
    let link = first(item, &["link"]).or(permalink.map(|link| cut(link, TEXT_BYTES_MAX)));
    let date = first(item, &["pubDate", "dc:date"]);
    let about = item.attribute("about").map(str::to_owned);
    Some(Item {
        id: identity(guid.and_then(Element::text).or(about), &link, &title, &date)?,
        title,
        link,
        summary: summary(item, &["description", "content:encoded"]),
        author: first(item, &["author", "dc:creator"]),
        categories: categories(item, &["category", "dc:subject"], Element::text),
        published: date.and_then(|text| parse_date(&text)),
    })
}

fn atom(feed: &Element) -> Feed {
    let author = atom_author(feed);
    let items = feed.children("atom:entry").filter_map(|entry| {
        let (title, link) = (first(entry, &["atom:title"]), atom_link(entry));
        let dates = ["atom:published", "atom:updated", "atom:issued", "atom:modified"];
        let date = first(entry, &dates);
        let term = |category: &Element| category.attribute("term").map(str::to_owned);
        let id = entry.children("atom:id").next().and_then(Element::text);
        Some(Item {
            id: identity(id, &link, &title, &date)?,
            title,
            link,
            summary: summary(entry, &["atom:summary", "atom:content"]),
            author: atom_author(entry).or_else(|| author.clone()),
            categories: categories(entry, &["atom:category"], term),
            published: date.and_then(|text| parse_date(&text)),
        })
    });
    let items = items.collect();
    Feed { title: first(feed, &["atom:title"]), link: atom_link(feed), items }
}

/// Of the links, the one to the page itself.
fn atom_link(element: &Element) -> Option<String> {
    let mut links = element.children("atom:link");
    let page = links.find(|link| matches!(link.attribute("rel"), None | Some("alternate")));
    page.and_then(|link| link.attribute("href")).map(|href| cut(href.to_owned(), TEXT_BYTES_MAX))
}

fn atom_author(element: &Element) -> Option<String> {
    element.children("atom:author").find_map(|author| first(author, &["atom:name"]))
}

/// What an item is known by; one that has none of all this cannot be told from others.
fn identity(
    id: Option<String>,
    link: &Option<String>,
    title: &Option<String>,
    date: &Option<String>,
) -> Option<String> {
    let title_and_date = || match (title, date) {
        (Some(title), Some(date)) => Some(format!("{title} {date}")),
        (title, _) => title.clone(),
    };
    let id = id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    id.or_else(|| link.clone()).or_else(title_and_date)
}

/// The text of the first element that has one of these names and any text.
fn first(element: &Element, names: &[&str]) -> Option<String> {
    let mut found = names.iter().flat_map(|name| element.children(name));
    found.find_map(Element::text).map(|text| cut(text, TEXT_BYTES_MAX))
}

fn summary(element: &Element, names: &[&str]) -> Option<String> {
    let mut found = names.iter().flat_map(|name| element.children(name));
    found.find_map(Element::text).map(|text| cut(text, SUMMARY_BYTES_MAX))
}

fn categories(
    element: &Element,
    names: &[&str],
    text: impl Fn(&Element) -> Option<String>,
) -> Vec<String> {
    let found = names.iter().flat_map(|name| element.children(name)).filter_map(text);
    found.map(|text| cut(text, TEXT_BYTES_MAX)).take(CATEGORIES_MAX).collect()
}

/// RFC 3339, a bare date, or RFC 2822, where the day of the week is often wrong and never needed.
fn parse_date(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Some(date.to_utc());
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Some(day.and_time(NaiveTime::MIN).and_utc());
    }
    let without_weekday = text.split_once(',').map_or(text, |(_, rest)| rest.trim());
    DateTime::parse_from_rfc2822(without_weekday).ok().map(|date| date.to_utc())
}

/// A date as events have it.
pub(crate) fn rfc3339(date: DateTime<Utc>) -> String {
    date.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
