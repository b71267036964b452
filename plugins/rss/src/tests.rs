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

/// A source over several polls.
struct Poller {
    config: Config,
    seen: Option<Seen>,
}

impl Poller {
    fn new(more: &str) -> Self {
        Self { config: config(more), seen: None }
    }

    /// What the events of a poll are recognised by, and whether there are more.
    fn poll(&mut self, response: Response) -> (Vec<String>, bool) {
        let found = news("rss", &self.config, response, self.seen.take()).unwrap();
        self.seen = Some(found.seen);
        (found.activations.into_iter().map(|event| event.dedupe.unwrap()).collect(), found.more)
    }

    fn ids(&mut self, response: Response) -> Vec<String> {
        let (ids, more) = self.poll(response);
        assert!(!more);
        ids
    }
}

fn events(response: Response) -> Vec<Activation> {
    news("releases", &config(""), response, None).unwrap().activations
}

#[test]
fn an_item_becomes_one_event() {
    let body = include_str!("../feeds/atom.xml");
    let [first, last] = events(response(200, &[], body)).try_into().unwrap();
    assert_eq!(first.dedupe.as_deref(), Some("urn:release:1"));
    assert_eq!(last.kind, "ext.releases.item");
    assert_eq!(last.dedupe.as_deref(), Some("urn:release:2"));
    assert_eq!(last.occurred_at, Some(1_767_866_400_500));
    let wanted = json!({
        "id": "urn:release:2",
        "title": "v2 & more",
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
    let events = events(feed(1..2));
    let data: Value = serde_json::from_str(&events[0].data).unwrap();
    for field in ["title", "link", "summary", "author", "published"] {
        assert_eq!(data.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(data["categories"], json!([]));
    assert_eq!(events[0].occurred_at, None);
}

#[test]
fn an_item_makes_an_event_once() {
    let mut poller = Poller::new("");
    assert_eq!(poller.ids(feed(1..4)), ["1", "2", "3"]);
    assert!(poller.ids(feed(1..4)).is_empty());
    assert_eq!(poller.ids(feed(3..6)), ["4", "5"]);
    assert_eq!(poller.ids(feed(0..2)), ["0"], "1 was seen, though it had left the feed");
}

#[test]
fn what_was_there_before_can_be_skipped() {
    let mut poller = Poller::new(r#", "skip_existing": true"#);
    assert!(poller.ids(feed(1..700)).is_empty());
    assert_eq!(poller.ids(feed(1..701)), ["700"]);
    assert!(poller.ids(response(200, &[], "<rss><channel/></rss>")).is_empty());
    assert_eq!(poller.ids(feed(701..702)), ["701"]);
    let mut poller = Poller::new(r#", "skip_existing": true"#);
    assert!(poller.ids(response(200, &[], "<rss><channel/></rss>")).is_empty());
    assert_eq!(poller.ids(feed(1..2)), ["1"]);
}

#[test]
fn of_many_new_items_the_oldest_come_first_and_the_others_next() {
    let mut poller = Poller::new(r#", "max_items": 2"#);
    assert_eq!(poller.poll(feed(0..5)), (vec!["0".to_owned(), "1".to_owned()], true));
    assert_eq!(poller.poll(feed(0..6)), (vec!["2".to_owned(), "3".to_owned()], true));
    assert_eq!(poller.poll(feed(0..6)), (vec!["4".to_owned(), "5".to_owned()], false));
    assert_eq!(poller.poll(feed(0..6)), (vec![], false));
}

#[test]
fn thousands_of_undated_items_are_as_many_events() {
    let mut poller = Poller::new(r#", "max_items": 200"#);
    let mut ids = Vec::new();
    loop {
        let (some, more) = poller.poll(feed(0..3_000));
        assert!(some.len() <= 200);
        ids.extend(some);
        if !more {
            break;
        }
    }
    let wanted: Vec<String> = (0..3_000).map(|id| id.to_string()).collect();
    assert_eq!(ids, wanted);
    assert_eq!(poller.ids(feed(0..3_001)), ["3000"]);
}

/// 200 items of 16 KiB, most of them characters that JSON writes with six.
#[test]
fn a_poll_hands_over_no_more_than_the_host_takes() {
    let long = "\"\\".repeat(8_000);
    let items: String = (0..300)
        .map(|i| format!("<item><guid>{i}</guid><description>{long}</description></item>"))
        .collect();
    let body = format!("<rss><channel>{items}</channel></rss>");
    let mut poller = Poller::new(r#", "max_items": 200"#);
    let found = news("rss", &poller.config, response(200, &[], &body), None).unwrap();
    let bytes: usize = found.activations.iter().map(|event| event.data.len()).sum();
    assert!(bytes <= DATA_BYTES_MAX && found.more, "{bytes}");
    let mut count = 0;
    while let (ids, true) = poller.poll(response(200, &[], &body)) {
        count += ids.len();
    }
    assert!(count > 200, "{count}");
    let one = format!(
        "<rss><channel><item><guid>{}</guid></item></channel></rss>",
        "x".repeat(3_000_000)
    );
    assert_eq!(Poller::new("").ids(response(200, &[], &one)).len(), 1);
}

#[test]
fn what_the_server_says_counts() {
    let body = b"<rss><channel><item><title>caf\xe9</title><link>/1</link></item></channel></rss>";
    let mut response = response(200, &[("content-type", "text/xml; charset=\"latin1\"")], "");
    response.body = body.to_vec();
    response.url = "https://moved.example/feed".to_owned();
    let data: Value = serde_json::from_str(&events(response)[0].data).unwrap();
    assert_eq!(data["title"], "café");
    assert_eq!(data["link"], "https://moved.example/1");
    assert_eq!(data["feed"]["url"], "https://a.b/feed");
}

#[test]
fn what_breaks_off_is_said() {
    let body = "<rss><channel><item><guid>1</guid></item><item><guid>2</gu";
    let found = news("rss", &config(""), response(200, &[], body), None).unwrap();
    assert_eq!(found.activations.len(), 1);
    assert!(found.flaw.is_some());
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
    let error = news("rss", &config(""), response(200, &[], "<html/>"), None).unwrap_err();
    assert!(matches!(error, PollError::Failed(said) if said == "not a feed: it is an HTML page"));
}
