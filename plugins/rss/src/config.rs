//! A configuration, parsed and checked: every problem is reported, not only the first.

use hillock_plugin_sdk::extension::Diagnostic;
use serde_json::{Map, Value};

const ITEMS_MAX: u64 = 200;
const ITEMS_DEFAULT: u64 = 20;

/// Which feed, and how much of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) url: String,
    pub(crate) max_items: usize,
    pub(crate) interval_ms: Option<u64>,
    pub(crate) skip_existing: bool,
}

impl Config {
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut settings: Map<String, Value> = match serde_json::from_str(text) {
            Ok(Value::Object(settings)) => settings,
            Ok(_) => return Err(vec![Diagnostic::at("", "a configuration is an object")]),
            Err(error) => return Err(vec![Diagnostic::at("", format!("not JSON: {error}"))]),
        };
        let mut problems = Vec::new();
        let mut take = |name| (name, settings.remove(name).unwrap_or(Value::Null));
        let url = checked(take("url"), url, &mut problems);
        let max_items = checked(take("max_items"), max_items, &mut problems);
        let interval_ms = checked(take("interval"), interval_ms, &mut problems);
        let skip_existing = checked(take("skip_existing"), skip_existing, &mut problems);
        let known = "there are `url`, `max_items`, `interval` and `skip_existing`";
        problems.extend(settings.keys().map(|name| Diagnostic::at(name, known)));
        match (url, max_items, interval_ms, skip_existing) {
            (Some(url), Some(max_items), Some(interval_ms), Some(skip_existing))
                if problems.is_empty() =>
            {
                Ok(Self { url, max_items, interval_ms, skip_existing })
            }
            _ => Err(problems),
        }
    }
}

/// A setting's value, or one more problem. One that is not there is `null`.
fn checked<T>(
    (name, value): (&str, Value),
    check: fn(Value) -> Result<T, String>,
    problems: &mut Vec<Diagnostic>,
) -> Option<T> {
    check(value).map_err(|reason| problems.push(Diagnostic::at(name, reason))).ok()
}

/// The host looks at URLs more closely, when it is to fetch one.
fn url(value: Value) -> Result<String, String> {
    let Value::String(url) = value else { return Err("the feed's address, as text".to_owned()) };
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !url.contains('#') => Ok(url),
        _ => Err("an address that starts https:// or http:// and has no fragment".to_owned()),
    }
}

fn max_items(value: Value) -> Result<usize, String> {
    let number = if value.is_null() { Some(ITEMS_DEFAULT) } else { value.as_u64() };
    number
        .filter(|number| (1..=ITEMS_MAX).contains(number))
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("a number from 1 to {ITEMS_MAX}"))
}

fn interval_ms(value: Value) -> Result<Option<u64>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let milliseconds = value.as_str().and_then(|text| {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit_ms = match unit {
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let digits = number.bytes().all(|c| c.is_ascii_digit());
        number.parse::<u64>().ok().filter(|&number| digits && number > 0)?.checked_mul(unit_ms)
    });
    milliseconds.map(Some).ok_or_else(|| "a time such as 90s, 15m, 2h or 1d".to_owned())
}

fn skip_existing(value: Value) -> Result<bool, String> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(skip) => Ok(skip),
        _ => Err("true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_enough() {
        let config = Config::parse(r#"{"url": "https://example.com/feed"}"#).unwrap();
        let url = "https://example.com/feed".to_owned();
        let wanted = Config { url, max_items: 20, interval_ms: None, skip_existing: false };
        assert_eq!(config, wanted);
    }

    #[test]
    fn intervals_have_a_unit() {
        for (text, wanted) in [
            ("90s", Some(90_000)),
            ("15m", Some(900_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("15", None),
            ("m", None),
            ("", None),
            ("0m", None),
            ("-1m", None),
            ("+1m", None),
            ("1.5h", None),
            ("1 h", None),
            ("1é", None),
            ("99999999999999999999d", None),
            ("9999999999999999999d", None),
        ] {
            assert_eq!(interval_ms(text.into()).ok().flatten(), wanted, "{text}");
        }
    }

    #[test]
    fn every_problem_is_reported() {
        for (config, paths) in [
            ("", &[""][..]),
            ("[]", &[""]),
            ("{}", &["url"]),
            (r#"{"url": "example.com"}"#, &["url"]),
            (r#"{"url": "https:///feed"}"#, &["url"]),
            (r#"{"url": "ftp://example.com"}"#, &["url"]),
            (r#"{"url": "https://example.com/#top"}"#, &["url"]),
            (r#"{"url": "https://a.b", "max_items": 0}"#, &["max_items"]),
            (r#"{"url": "https://a.b", "max_items": 201}"#, &["max_items"]),
            (r#"{"url": "https://a.b", "max_items": 1.5}"#, &["max_items"]),
            (r#"{"url": "https://a.b", "interval": 15}"#, &["interval"]),
            (r#"{"url": "https://a.b", "skip_existing": "yes"}"#, &["skip_existing"]),
            (r#"{"url": "https://a.b", "limit": 1}"#, &["limit"]),
            (
                r#"{"url": 1, "max_items": "1", "interval": "", "skip_existing": 1, "x": 1}"#,
                &["url", "max_items", "interval", "skip_existing", "x"],
            ),
        ] {
            let found = Config::parse(config).unwrap_err();
            let found: Vec<_> = found.iter().map(|wrong| wrong.path.as_str()).collect();
            assert_eq!(found, paths, "{config}");
        }
    }
}
