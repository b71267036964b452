use serde_json::Value;

use super::*;

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Response { status, headers, body: body.into(), url: "https://a.b/feed".to_owned() }
}

fn feed(ids: std::ops::Range<u32>) -> Response {
    let items: String = ids.rev().map(|i| format!("<item><guid>{i}</guid></item>")).collect();
    response(200, &[], &format!("<rss><channel><title>T</title>{items}</channel></rss>"))
}

fn config(more: &str) -> Config {
    Config::parse(&format!(r#"{{"url": "https://a.b/feed"{more}}}"#)).unwrap()
}

/// The ids of the events that a feed leads to, and what has been seen then.
fn poll(config: &Config, response: &Response, seen: Option<Seen>) -> (Vec<String>, Option<Seen>) {
    let (events, seen) = news("rss", config, response, seen).unwrap();
    let ids = events.into_iter().map(|event| event.dedupe.unwrap()).collect();
    (ids, Some(seen))
}

#[test]
fn an_item_becomes_one_event() {
    let body = include_str!("../feeds/atom.xml");
    let (events, _) = news("releases", &config(""), &response(200, &[], body), None).unwrap();
    let [first, last] = events.try_into().unwrap();
    assert_eq!(first.dedupe.as_deref(), Some("urn:release:1"));
    assert_eq!(last.kind, "ext.releases.item");
    assert_eq!(last.dedupe.as_deref(), Some("urn:release:2"));
    assert_eq!(last.occurred_at, Some(1_767_866_400_500));
    let wanted = json!({
        "id": "urn:release:2",
        "title": "v2 &amp; more",
        "link": "https://code.example/v2",
        "summary": "It is faster now.",
        "author": "Ada",
        "categories": ["release"],
        "published": "2026-01-08T10:00:00.500Z",
        "feed": {
            "title": "Releases",
            "link": "https://code.example/?a=1&b=2",
            "url": "https://a.b/feed",
        },
    });
    assert_eq!(serde_json::from_str::<Value>(&last.data).unwrap(), wanted);
}

#[test]
fn fields_without_a_value_are_null() {
    let (events, _) = news("rss", &config(""), &feed(1..2), None).unwrap();
    let data: Value = serde_json::from_str(&events[0].data).unwrap();
    for field in ["title", "link", "summary", "author", "published"] {
        assert_eq!(data.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(data["categories"], json!([]));
    assert_eq!(events[0].occurred_at, None);
}

#[test]
fn an_item_makes_an_event_once() {
    let config = config("");
    let (ids, seen) = poll(&config, &feed(1..4), None);
    assert_eq!(ids, ["1", "2", "3"]);
    let (ids, seen) = poll(&config, &feed(1..4), seen);
    assert!(ids.is_empty());
    let (ids, seen) = poll(&config, &feed(3..6), seen);
    assert_eq!(ids, ["4", "5"]);
    let (ids, _) = poll(&config, &feed(0..2), seen);
    assert_eq!(ids, ["0"], "1 was seen, though it had left the feed");
}

#[test]
fn what_was_there_before_can_be_skipped() {
    let config = config(r#", "skip_existing": true"#);
    let (ids, seen) = poll(&config, &feed(1..4), None);
    assert!(ids.is_empty());
    let (ids, seen) = poll(&config, &feed(1..5), seen);
    assert_eq!(ids, ["4"]);
    let (ids, seen) = poll(&config, &response(200, &[], "<rss><channel/></rss>"), seen);
    assert!(ids.is_empty());
    assert_eq!(poll(&config, &feed(5..6), seen).0, ["5"]);
}

#[test]
fn of_many_new_items_the_newest_make_events() {
    let config = config(r#", "max_items": 2"#);
    let (ids, seen) = poll(&config, &feed(0..700), None);
    assert_eq!(ids, ["698", "699"]);
    let (ids, seen) = poll(&config, &feed(690..701), seen);
    assert_eq!(ids, ["700"], "what was passed over is not new");
    assert!(poll(&config, &feed(300..310), seen).0.is_empty());
}

#[test]
fn a_status_has_a_meaning() {
    let now = 1_767_866_400_000;
    let check = |status, retry_after: Option<&str>| {
        let headers: Vec<_> = retry_after.map(|text| ("Retry-After", text)).into_iter().collect();
        answer(&response(status, &headers, ""), now)
    };
    assert_eq!(check(200, None).unwrap(), Answer::News);
    assert_eq!(check(304, None).unwrap(), Answer::Nothing);
    assert_eq!(check(429, Some("120")).unwrap(), Answer::Wait(120_000));
    assert_eq!(check(503, Some("Thu, 08 Jan 2026 10:01:00 GMT")).unwrap(), Answer::Wait(60_000));
    assert_eq!(check(503, Some("Thu, 08 Jan 2026 09:00:00 GMT")).unwrap(), Answer::Wait(0));
    for (status, retry_after) in [
        (429, None),
        (503, Some("soon")),
        (503, Some("99999999999999999999")),
        (500, Some("120")),
        (502, None),
        (408, None),
    ] {
        let error = check(status, retry_after).unwrap_err();
        assert!(matches!(error, PollError::Retry(said) if said.ends_with(&status.to_string())));
    }
    for status in [204, 301, 400, 401, 403, 404, 410] {
        let error = check(status, None).unwrap_err();
        assert!(matches!(error, PollError::Failed(said) if said.ends_with(&status.to_string())));
    }
}

#[test]
fn what_is_no_feed_fails_with_the_reason() {
    let error = news("rss", &config(""), &response(200, &[], "<html/>"), None).unwrap_err();
    assert!(matches!(error, PollError::Failed(said) if said.starts_with("not a feed: <html>")));
}
