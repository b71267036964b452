//! Extension `rss`: the items of a feed as events, each of them once.
//!
//! ```json
//! { "url": "https://example.com/feed.xml", "max_items": 20, "interval": "15m", "skip_existing": false }
//! ```
//! | setting | |
//! |---|---|
//! | `url` | an RSS 2.0, RSS 1.0 or Atom feed; the operator grants its host |
//! | `max_items` | the most events of one poll, 1 to 200, **20**; of more new items, the newest |
//! | `interval` | the time between two polls; the extension's own when absent |
//! | `skip_existing` | whether what is in the feed at the first poll makes no events: **false** |
//!
//! An event's kind is `ext.<extension>.item`, and its data has always the same fields, `null` where
//! the feed says nothing:
//! ```json
//! { "id": "…", "title": "…", "link": "…", "summary": "…", "author": "…", "categories": ["…"],
//!   "published": "2026-01-31T12:00:00Z", "feed": { "title": "…", "link": "…", "url": "…" } }
//! ```
//! An item is known by its `guid` or `id`, else by its link, else by its title and date.
//!
//! # How an extension works
//! The host calls `poll` now and then, with the cursor that the last poll returned. This one keeps
//! in the cursor what the server wants to hear to say that nothing has changed ([`cursor`]), and in
//! the [`state`] which items it has seen ([`seen`]). The host keeps events, cursor and state
//! together or not at all, so a poll that fails is as if it had not been.

mod config;
mod cursor;
mod feed;
mod seen;
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

/// Where the state has the items that were seen.
const SEEN: &str = "seen";

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
        let seen = state::get(SEEN).map(|text| Seen::parse(&text));
        let (activations, seen) = news(&context.name, &config, &response, seen)?;
        state::set(SEEN, &seen.to_text());
        let cursor = Cursor::of(&response).to_text(&config.url);
        Ok(Batch { next_delay_ms: config.interval_ms, ..Batch::new(activations, cursor) })
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

/// The events that a feed leads to, oldest first, and what has been seen with it.
fn news(
    extension: &str,
    config: &Config,
    response: &Response,
    seen: Option<Seen>,
) -> Result<(Vec<Activation>, Seen), PollError> {
    let feed = Feed::parse(&response.body).map_err(PollError::Failed)?;
    let first_poll = seen.is_none();
    let mut seen = seen.unwrap_or_default();
    // All of them are seen, so that none of those passed over here looks new at another time.
    let oldest_first = feed.items.iter().take(seen::SEEN_MAX).rev();
    let mut new: Vec<&Item> = oldest_first.filter(|item| seen.add(&item.id)).collect();
    if first_poll && config.skip_existing {
        new.clear();
    }
    let newest = &new[new.len().saturating_sub(config.max_items)..];
    Ok((newest.iter().map(|item| event(extension, config, &feed, item)).collect(), seen))
}

fn event(extension: &str, config: &Config, feed: &Feed, item: &Item) -> Activation {
    let data = json!({
        "id": item.id,
        "title": item.title,
        "link": item.link,
        "summary": item.summary,
        "author": item.author,
        "categories": item.categories,
        "published": item.published.map(feed::rfc3339),
        "feed": { "title": feed.title, "link": feed.link, "url": config.url },
    });
    Activation {
        dedupe: Some(seen::dedupe_key(&item.id)),
        occurred_at: item.published.and_then(|at| at.timestamp_millis().try_into().ok()),
        ..Activation::new(format!("ext.{extension}.item"), data.to_string())
    }
}

#[cfg(test)]
mod tests;
