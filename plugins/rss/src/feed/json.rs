//! JSON Feed, versions 1 and 1.1.

use serde_json::{Map, Value};
use url::Url;

use super::{CATEGORIES_MAX, Feed, ITEMS_MAX, Id, Item, Means, address};
use crate::text::Text;
use crate::xml::absolute;

type Object = Map<String, Value>;

/// The feed in a document that begins as JSON does.
pub(super) fn feed(document: &str, base: &Url) -> Result<Feed, String> {
    // A server may append what it likes.
    let mut values = serde_json::Deserializer::from_str(document).into_iter();
    let object = match values.next() {
        Some(Ok(Value::Object(object))) => object,
        Some(Err(error)) => return Err(format!("it begins like JSON, and is none: {error}")),
        _ => return Err("it is JSON, and no JSON Feed".to_owned()),
    };
    let Some(Value::Array(items)) = object.get("items") else {
        return Err("it is JSON, and no JSON Feed: there are no `items`".to_owned());
    };
    let author = author(&object);
    let more = items.len().saturating_sub(ITEMS_MAX);
    let read = items.iter().take(ITEMS_MAX).filter_map(Value::as_object);
    let read = read.filter_map(|item| self::item(item, base, author.as_ref()));
    Ok(Feed {
        title: text(&object, "title").map(Text::Plain),
        link: link(&object, &["home_page_url"], base),
        items: read.collect(),
        flaw: (more > 0).then(|| format!("it has {more} items beyond the first {ITEMS_MAX}")),
    })
}

fn item(item: &Object, base: &Url, author_of_all: Option<&Text>) -> Option<Item> {
    let title = text(item, "title");
    let written = ["url", "external_url"].iter().find_map(|name| address(&text(item, name)?));
    let dates = ["date_published", "date_modified"].iter().filter_map(|name| text(item, name));
    let dates: Vec<String> = dates.collect();
    let summary = (text(item, "summary").or_else(|| text(item, "content_text")).map(Text::Plain))
        .or_else(|| text(item, "content_html").map(Text::Html));
    let own = text(item, "id").map(|id| Id::new(Means::Item, id));
    let id = own.or_else(|| {
        let summary = summary.as_ref().map(Text::raw);
        Id::of(written.as_deref(), title.as_deref(), dates.first().map(String::as_str), summary)
    });
    Some(Item {
        id: id?,
        title: title.map(Text::Plain),
        link: written.map(|written| absolute(base, &written)),
        summary,
        author: author(item).or_else(|| author_of_all.cloned()),
        categories: tags(item),
        published: dates.iter().find_map(|date| crate::date::parse(date)),
        date: dates.into_iter().next(),
    })
}

/// Text, or a number as text: some have numbers for identifiers.
fn text(object: &Object, name: &str) -> Option<String> {
    let text = match object.get(name)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn link(object: &Object, names: &[&str], base: &Url) -> Option<String> {
    let written = names.iter().find_map(|name| address(&text(object, name)?))?;
    Some(absolute(base, &written))
}

fn author(object: &Object) -> Option<Text> {
    let listed = object.get("authors").and_then(Value::as_array).into_iter().flatten();
    let all = listed.chain(object.get("author"));
    let named = |author: &Value| match author {
        Value::Object(author) => text(author, "name"),
        Value::String(name) => Some(name.clone()),
        _ => None,
    };
    all.filter_map(named).next().map(Text::Plain)
}

fn tags(item: &Object) -> Vec<Text> {
    let tags = item.get("tags").and_then(Value::as_array).into_iter().flatten();
    let tags = tags.filter_map(Value::as_str).filter(|tag| !tag.trim().is_empty());
    tags.map(|tag| Text::Plain(tag.to_owned())).take(CATEGORIES_MAX).collect()
}
