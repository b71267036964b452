//! Extension `rss`: the items of a feed as events, each of them once.
//!
//! ```json
//! { "url": "https://example.com/feed.xml", "max_items": 20, "interval": "15m", "skip_existing": false }
//! ```
//! | setting | |
//! |---|---|
//! | `url` | a feed: RSS 0.90 to 2.0, Atom or JSON Feed; the operator grants its host |
//! | `max_items` | the most events of one poll, 1 to 200, **20**; the oldest first, and the next poll follows at once while there are more |
//! | `interval` | the time between two polls; the extension's own when absent |
//! | `skip_existing` | whether what is in the feed at the first poll makes no events: **false** |
//!
//! An event's kind is `ext.<extension>.item`, and its data has always the same fields, `null` where
//! the feed says nothing:
//! ```json
//! { "id": "…", "title": "…", "link": "…", "summary": "…", "author": "…", "categories": ["…"],
//!   "published": "2026-01-31T12:00:00Z", "feed": { "title": "…", "link": "…", "url": "…" } }
//! ```
//! Texts are to be read: markup and entities are resolved ([`text`]). Links are absolute. An item is
//! known by its `guid` or `id`, else by its link, else by its title and date, else by what it says;
//! feeds give several items one `guid` or link, so those that have nothing else in common are
//! several ([`seen`]).
//!
//! Feeds are read as they are, not as they should be: any encoding that browsers know
//! ([`encoding`]), dates in all the forms that are met ([`date`]), and what is no well-formed XML
//! as far as it can be understood ([`xml`]).
//!
//! # How an extension works
//! The host calls `poll` now and then, with the cursor that the last poll returned. This one keeps
//! in the cursor what the server wants to hear to say that nothing has changed ([`cursor`]), and in
//! the [`state`] which items it has seen ([`seen`]). The host keeps events, cursor and state
//! together or not at all, so a poll that fails is as if it had not been.

mod config;
mod cursor;
mod date;
mod encoding;
mod feed;
mod seen;
mod text;
mod xml;

use chrono::DateTime;
use hillock_plugin_sdk::extension::{Activation, Batch, Context, Diagnostic, Extension, PollError};
use hillock_plugin_sdk::http::{Response, fetch};
use hillock_plugin_sdk::{export_extension, log, state};
use serde_json::json;

use config::Config;
use cursor::Cursor;
use feed::{Feed, Item};
use seen::Seen;
use text::Text;

/// The most data of one poll's events, in bytes; at least one event is made. The host takes twice
/// as much from a call.
const DATA_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How much of a feed is made readable in one poll, in bytes: that costs most of the fuel.
const READ_BYTES_MAX: usize = 512 * 1024;
/// The longest summary, in bytes; everything else is shorter.
const SUMMARY_BYTES_MAX: usize = 16 * 1024;
const LINE_BYTES_MAX: usize = 2 * 1024;

struct Rss;

export_extension!(Rss);

impl Extension for Rss {
    fn check(config: String) -> Vec<Diagnostic> {
        Config::parse(&config).err().unwrap_or_default()
    }

    fn poll(context: Context) -> Result<Batch, PollError> {
        let config = Config::parse(&context.config).map_err(invalid)?;
        let cursor = Cursor::parse(context.cursor.as_deref(), &config.url);
        let response = fetch(&cursor.request(&config.url))?;
        match answer(&response, context.now)? {
            Answer::News => {}
            Answer::Nothing => return Ok(later(&context, config.interval_ms)),
            Answer::Wait(delay_ms) => {
                log::warn(&format!("the server asks to wait for {} s", delay_ms / 1000));
                return Ok(later(&context, Some(delay_ms)));
            }
        }
        let cursor = Cursor::of(&response);
        let News { activations, seen, more, flaw } =
            news(&context.name, &config, response, Seen::load(state::get))?;
        seen.save(|key, value| match value {
            Some(value) => state::set(key, &value),
            None => state::remove(key),
        });
        if let Some(flaw) = &flaw {
            log::warn(&format!("not all of the feed was read: {flaw}"));
        }
        // What is to be read again must not be answered with "nothing has changed".
        let cursor = cursor.to_text(&config.url).filter(|_| !more && flaw.is_none());
        Ok(Batch { next_delay_ms: config.interval_ms, more, ..Batch::new(activations, cursor) })
    }
}

fn invalid(diagnostics: Vec<Diagnostic>) -> PollError {
    let lines: Vec<String> =
        diagnostics.iter().map(|wrong| format!("{}: {}", wrong.path, wrong.message)).collect();
    PollError::InvalidConfig(lines.join("; "))
}

/// No events, and the same cursor.
fn later(context: &Context, next_delay_ms: Option<u64>) -> Batch {
    Batch { next_delay_ms, ..Batch::new(Vec::new(), context.cursor.clone()) }
}

/// What a server's answer means.
#[derive(Debug, PartialEq)]
enum Answer {
    News,
    Nothing,
    Wait(u64),
}

fn answer(response: &Response, now: u64) -> Result<Answer, PollError> {
    let said = || format!("the server answered {}", response.status);
    match response.status {
        200 => Ok(Answer::News),
        304 => Ok(Answer::Nothing),
        429 | 503 => match response.header("retry-after").and_then(|text| delay_ms(text, now)) {
            Some(delay_ms) => Ok(Answer::Wait(delay_ms)),
            None => Err(PollError::Retry(said())),
        },
        408 | 425 | 500.. => Err(PollError::Retry(said())),
        _ => Err(PollError::Failed(said())),
    }
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn delay_ms(text: &str, now: u64) -> Option<u64> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return seconds.checked_mul(1000);
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
    Some(u64::try_from(at).ok()?.saturating_sub(now))
}

/// What a poll comes to.
#[derive(Debug)]
struct News {
    /// Oldest first.
    activations: Vec<Activation>,
    seen: Seen,
    /// Whether there are more items that are new.
    more: bool,
    /// Why not all of the feed was read.
    flaw: Option<String>,
}

fn news(
    extension: &str,
    config: &Config,
    response: Response,
    seen: Option<Seen>,
) -> Result<News, PollError> {
    let content_type = response.header("content-type");
    let feed = Feed::parse(&response.body, content_type, &response.url);
    let feed = feed.map_err(PollError::Failed)?;
    drop(response);
    let skips = seen.is_none() && config.skip_existing;
    let seen = seen.unwrap_or_default();
    let compared = seen.compare(feed.items.iter().rev());
    let oldest_first = compared.new.iter().filter(|_| !skips).take(config.max_items);
    let mut activations: Vec<Activation> = Vec::new();
    let (mut read, mut data) = (0, 0);
    for new in oldest_first {
        let item = &feed.items[feed.items.len() - 1 - new.at];
        read += item.summary.as_ref().map_or(0, |summary| summary.raw().len());
        if read > READ_BYTES_MAX && !activations.is_empty() {
            break;
        }
        let event = event(extension, config, &feed, item, &new.key);
        data += event.data.len();
        if data > DATA_BYTES_MAX && !activations.is_empty() {
            break;
        }
        activations.push(event);
    }
    let taken = if skips { compared.new.len() } else { activations.len() };
    let more = taken < compared.new.len();
    Ok(News { activations, seen: seen.after(&compared, taken), more, flaw: feed.flaw })
}

fn event(extension: &str, config: &Config, feed: &Feed, item: &Item, key: &str) -> Activation {
    let line = |text: &Option<Text>| text.as_ref().and_then(|text| text.line(LINE_BYTES_MAX));
    let summary = item.summary.as_ref().and_then(|text| text.paragraphs(SUMMARY_BYTES_MAX));
    let categories = item.categories.iter().filter_map(|text| text.line(LINE_BYTES_MAX));
    let data = json!({
        "id": item.id.text,
        "title": line(&item.title),
        "link": item.link,
        "summary": summary,
        "author": line(&item.author),
        "categories": categories.collect::<Vec<_>>(),
        "published": item.published.map(date::rfc3339),
        "feed": { "title": line(&feed.title), "link": feed.link, "url": config.url },
    });
    Activation {
        dedupe: Some(key.to_owned()),
        occurred_at: item.published.and_then(|at| at.timestamp_millis().try_into().ok()),
        ..Activation::new(format!("ext.{extension}.item"), data.to_string())
    }
}

#[cfg(test)]
mod tests;
