//! The `rss` extension and a feed: polls, their cursor, their failures, and who may reach what.

use std::time::Duration;

use serde_json::Value;

use super::feed::Feed;
use super::{data, instant, state, state_where, texts, worked};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::{on_both_databases, wait};

const NEWS: &str = "extensions/news";
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The titles' first words, in the order of the events.
async fn items(host: &Host) -> Vec<String> {
    let data = data(host, "news").await;
    texts(&data, "/data/id").into_iter().map(str::to_owned).collect()
}

/// Lets the interval pass, and waits for the poll.
async fn poll(folder: &Folder, host: &Host, before: &Value) -> Value {
    folder.advance(INTERVAL);
    worked(host, NEWS, before).await
}

async fn an_extension_polls_when_it_is_told_to(database: Database) {
    let feed = Feed::start(&["one"]).await;
    let folder = Folder::new(database, &feed.extension("")).await.with_clock();
    let host = folder.serve().await;
    let first = worked(&host, NEWS, &Value::Null).await;
    feed.add("two");
    let answer = host.post(&format!("{NEWS}/poll")).await;
    assert_eq!((answer.status, &answer.json()["last_at"]), (202, &first["last_at"]), "{answer:?}");
    // Whoever looks after extensions looks every five seconds.
    folder.advance(Duration::from_secs(6));
    let second = worked(&host, NEWS, &first).await;
    assert_eq!(items(&host).await, ["one", "two"]);
    assert_eq!(instant(&second["next_at"]) - instant(&second["last_at"]), 300_000, "{second}");
    assert_eq!(host.post("extensions/none/poll").await.status, 404);
    assert_eq!(host.post(&format!("{NEWS}/disable")).await.status, 200);
    assert_eq!(host.post(&format!("{NEWS}/poll")).await.problem(409), "disabled");
}

async fn a_feeds_items_are_events_once_each(database: Database) {
    let feed = Feed::start(&["one", "two"]).await;
    let folder = Folder::new(database, &feed.extension("")).await.with_clock();
    let mut host = folder.serve().await;
    let first = worked(&host, NEWS, &Value::Null).await;
    assert_eq!(items(&host).await, ["one", "two"]);
    assert_eq!(first["cursor"], true);
    assert_eq!(instant(&first["next_at"]) - instant(&first["last_at"]), 300_000, "{first}");

    let second = poll(&folder, &host, &first).await;
    feed.add("three");
    let third = poll(&folder, &host, &second).await;
    assert_eq!(items(&host).await, ["one", "two", "three"]);

    host.process.kill().await;
    let host = folder.serve().await;
    assert_eq!(state(&host, NEWS).await["last_at"], third["last_at"]);
    poll(&folder, &host, &third).await;
    assert_eq!(items(&host).await, ["one", "two", "three"]);
    let known = [None, Some("\"2\""), Some("\"2\""), Some("\"3\"")];
    assert_eq!(feed.asked("if-none-match"), known.map(|etag| etag.map(str::to_owned)));

    let events = data(&host, "news").await;
    let wanted = ("extension", "ext.news.item", "rss", 0);
    for event in &events {
        let text = |path: &str| event.pointer(path).unwrap().as_str().unwrap();
        let depth = event["depth"].as_u64().unwrap();
        let found = (text("/source"), text("/kind"), text("/origin/component"), depth);
        assert_eq!(found, wanted);
    }
}

async fn a_poll_that_is_killed_is_made_again(database: Database) {
    let feed = Feed::start(&["one", "two"]).await;
    let folder = Folder::new(database, &feed.extension("")).await.with_clock();
    feed.open(false);
    let mut host = folder.serve().await;
    feed.was_asked(1).await;
    host.process.kill().await;
    feed.open(true);
    let host = folder.serve().await;
    assert!(state(&host, NEWS).await["last_at"].is_null());
    // The dead host's claim.
    folder.advance(Duration::from_secs(60));
    worked(&host, NEWS, &Value::Null).await;
    assert_eq!(items(&host).await, ["one", "two"]);
    assert_eq!(feed.asked("accept").len(), 2);
}

async fn a_poll_that_stops_with_its_host_is_made_by_the_next(database: Database) {
    let feed = Feed::start(&["one"]).await;
    let folder = Folder::new(database, &feed.extension("")).await.with_clock();
    feed.open(false);
    let mut host = folder.serve().await;
    feed.was_asked(1).await;
    assert!(host.process.stop().await.success());
    feed.open(true);
    let host = folder.serve().await;
    worked(&host, NEWS, &Value::Null).await;
    assert_eq!(items(&host).await, ["one"]);
}

async fn a_feed_that_fails_is_asked_less_often(database: Database) {
    let feed = Feed::start(&["one"]).await;
    feed.fail(Some(500));
    let folder = Folder::new(database, &feed.extension("")).await.with_clock();
    let host = folder.serve().await;
    let mut before = Value::Null;
    for (failures, minutes) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60)] {
        let now = worked(&host, NEWS, &before).await;
        assert_eq!(now["failures"], failures, "{now}");
        assert_eq!(now["last_error"], "the server answered 500");
        let wait = instant(&now["next_at"]) - instant(&now["last_at"]);
        assert_eq!(wait, minutes * 60_000, "{now}");
        folder.advance(Duration::from_secs(minutes.unsigned_abs() * 60));
        before = now;
    }
    let before = worked(&host, NEWS, &before).await;
    feed.fail(None);
    folder.advance(Duration::from_secs(60 * 60));
    let now = worked(&host, NEWS, &before).await;
    assert_eq!((&now["failures"], &now["last_error"]), (&0.into(), &Value::Null));
    assert_eq!(instant(&now["next_at"]) - instant(&now["last_at"]), 300_000);
    assert_eq!(items(&host).await, ["one"]);
}

/// Version 0.1.0 kept the identities of the items alone.
async fn what_an_earlier_version_has_seen_is_not_new(database: Database) {
    let feed = Feed::start(&["one", "two"]).await;
    let folder = Folder::new(database, &feed.extension("")).await.with_clock();
    let mut host = folder.serve().await;
    let first = worked(&host, NEWS, &Value::Null).await;
    assert!(host.process.stop().await.success());
    // FNV-1a of "one" and "two".
    let state = r#"{"seen":"1a08aa1921ca5caf5714d319447c9709"}"#;
    let former = format!("UPDATE source_states SET state = '{state}', cursor = NULL");
    // Without the host's own memory of events, the state alone can tell.
    folder.database.execute(&format!("{former}; DELETE FROM dedupe")).await;
    feed.add("three");
    let host = folder.serve().await;
    poll(&folder, &host, &first).await;
    assert_eq!(items(&host).await, ["one", "two", "three"]);
}

on_both_databases!(
    what_an_earlier_version_has_seen_is_not_new,
    a_feeds_items_are_events_once_each,
    a_poll_that_is_killed_is_made_again,
    a_poll_that_stops_with_its_host_is_made_by_the_next,
    a_feed_that_fails_is_asked_less_often,
    an_extension_polls_when_it_is_told_to,
);

#[tokio::test]
async fn two_hosts_poll_once_per_interval() {
    let feed = Feed::start(&["0"]).await;
    let config = feed.extension("");
    let folder = Folder::new(Database::postgres().await, &config).await.with_clock();
    let other = Folder::new(Database::sqlite(), &config).await.beside(&folder);
    let (host, second) = (folder.serve().await, other.serve().await);
    let mut now = worked(&host, NEWS, &Value::Null).await;
    for round in 1..=8 {
        feed.add(&round.to_string());
        now = poll(&folder, &host, &now).await;
        assert_eq!(state(&second, NEWS).await, now);
        assert_eq!(feed.asked("accept").len(), round + 1);
    }
    assert_eq!(items(&second).await, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[tokio::test]
async fn what_is_not_granted_names_the_line_that_would_grant_it() {
    let feed = Feed::start(&["one"]).await;
    let config =
        feed.extension("").replace(&format!("host = \"{}\"", feed.address), "host = \"a.example\"");
    let folder = Folder::new(Database::sqlite(), &config).await.with_clock();
    let host = folder.serve().await;
    let denied = worked(&host, NEWS, &Value::Null).await;
    let error = denied["last_error"].as_str().unwrap();
    assert!(error.contains(&format!("host = \"{}\"", feed.address)), "{error}");
    assert!(feed.asked("accept").is_empty());
    let mut command = folder.hillock(&["extension", "state", "news"]);
    let output = command.env("HILLOCK_URL", &host.url).output().await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains(error) && shown.contains("failures"), "{shown} {output:?}");

    // The operator grants it: no need to wait.
    folder.write("hillock.toml", &feed.extension(""));
    assert_eq!(host.post("config/reload").await.status, 200);
    let granted = state_where(&host, NEWS, "to go well", |now| now["last_error"].is_null()).await;
    assert_eq!(granted["failures"], 0);
    assert_eq!(items(&host).await, ["one"]);
}

#[tokio::test]
async fn the_host_alone_knows_the_credential() {
    const TOKEN: &str = "s3cr3t-t0ken";
    let feed = Feed::start(&["one"]).await;
    let credential = "credential = { header = \"Authorization\", secret_ref = \"env:FEED_TOKEN\", \
                      format = \"Bearer {secret}\" }";
    let folder = Folder::new(Database::sqlite(), &feed.extension(credential)).await.with_clock();
    let folder = folder.env("FEED_TOKEN", TOKEN).env("RUST_LOG", "trace");
    let host = folder.serve().await;
    let first = worked(&host, NEWS, &Value::Null).await;
    feed.fail(Some(401));
    let second = poll(&folder, &host, &first).await;
    assert_eq!(second["last_error"], "the server answered 401");
    assert_eq!(feed.asked("authorization")[0], Some(format!("Bearer {TOKEN}")));
    let events = data(&host, "news").await;
    assert_eq!(events.len(), 1);
    let definition = host.read(NEWS).await;
    for shown in [&events[0], &first, &second, &definition] {
        assert!(!shown.to_string().contains(TOKEN), "{shown}");
    }
    assert!(!host.process.written().contains(TOKEN));
}

#[tokio::test]
async fn what_is_off_does_not_poll_and_keeps_its_cursor() {
    const WITNESS: &str = "extensions/witness";
    let feed = Feed::start(&["one"]).await;
    // What reaches nothing shows that time has passed.
    let witness = "[[extensions]]\nname = \"witness\"\ncomponent = \"rss\"\n\
                   config = { url = \"https://a.example/\" }\n";
    let config = format!("{}{witness}", feed.extension(""));
    let folder = Folder::new(Database::sqlite(), &config).await.with_clock();
    let host = folder.serve().await;
    let first = worked(&host, NEWS, &Value::Null).await;
    let begun = worked(&host, WITNESS, &Value::Null).await;
    assert_eq!(host.post("extensions/news/disable").await.status, 200);
    let off = state(&host, NEWS).await;
    assert_eq!((&off["enabled"], &off["next_at"]), (&false.into(), &Value::Null));
    folder.advance(INTERVAL * 10);
    worked(&host, WITNESS, &begun).await;
    assert_eq!(state(&host, NEWS).await["last_at"], first["last_at"]);
    assert_eq!(host.post("extensions/news/enable").await.status, 200);
    worked(&host, NEWS, &first).await;
    let known = [None, Some("\"1\"".to_owned())];
    assert_eq!(feed.asked("if-none-match"), known);
    assert_eq!(items(&host).await, ["one"]);
}

#[tokio::test]
async fn a_feed_is_read_as_it_is() {
    let feed = Feed::start(&[]).await;
    // windows-1252 under the name of Latin-1, a bare `&`, names of HTML, a relative link, a date that
    // RFC 822 does not know, an item without anything but words, two with one link, and a script that
    // a server appends.
    let document = b"<rss xmlns='http://backend.userland.com/RSS2'><channel><title>T</title>\
        <item><title>It\x92s Q&A &eacute; &amp;amp; &lt;b>so&lt;/b></title><link>/1</link>\
        <pubDate>Thu, 30 Apr 2026 08:57:00 CEST</pubDate></item>\
        <item><description>only words</description></item>\
        <item><title>a</title><link>/2</link></item><item><title>b</title><link>/2</link></item>\
        </channel></rss><script src='x.js'></script>";
    feed.show("text/xml; charset=\"ISO-8859-1\"", document);
    let folder = Folder::new(Database::sqlite(), &feed.extension("")).await.with_clock();
    let host = folder.serve().await;
    let first = worked(&host, NEWS, &Value::Null).await;
    assert_eq!(first["last_error"], Value::Null);
    let mut events = data(&host, "news").await;
    events.reverse();
    assert_eq!(texts(&events, "/data/title"), ["It\u{2019}s Q&A é & so", "", "a", "b"]);
    let at = |path: &str| format!("http://{}{path}", feed.address);
    let links = [at("/1"), String::new(), at("/2"), at("/2")];
    assert_eq!(texts(&events, "/data/link"), links);
    assert_eq!(events[0]["data"]["published"], "2026-04-30T06:57:00Z");
    assert_eq!(events[1]["data"]["summary"], "only words");
    poll(&folder, &host, &first).await;
    assert_eq!(data(&host, "news").await.len(), 4);

    let page = b"<!DOCTYPE html><link rel='alternate' type='application/atom+xml' href='/atom'>";
    feed.show("text/html", page);
    let failed = state_where(&host, NEWS, "to fail", |now| {
        folder.advance(INTERVAL);
        !now["last_error"].is_null()
    });
    let page = failed.await["last_error"].clone();
    let wanted = format!("not a feed: it is an HTML page, which names the feed {}", at("/atom"));
    assert_eq!(page, wanted);
}

/// More than one poll may bring, and more than one after the other.
#[tokio::test]
async fn of_a_long_feed_every_item_is_an_event_once() {
    let feed = Feed::start(&[]).await;
    (0..90).for_each(|item| feed.add(&item.to_string()));
    let folder = Folder::new(Database::sqlite(), &feed.extension("")).await.with_clock();
    let host = folder.serve().await;
    feed.was_asked(5).await;
    let wanted: Vec<String> = (0..90).map(|item| item.to_string()).collect();
    wait::until("an event of each item", async || (items(&host).await == wanted).then_some(()))
        .await;
    let first = worked(&host, NEWS, &Value::Null).await;
    poll(&folder, &host, &first).await;
    assert_eq!(items(&host).await, wanted);
    // What was to be read again was not asked for with what says that nothing has changed.
    let known = feed.asked("if-none-match");
    assert_eq!(known, [None, None, None, None, None, Some("\"90\"".to_owned())]);
}

#[tokio::test]
async fn there_is_no_state_of_what_there_is_not() {
    let host = Folder::new(Database::sqlite(), "").await.serve().await;
    for source in ["extensions/none", "observers/none", "hooks/lifecycle"] {
        assert_eq!(host.get(&format!("{source}/state")).await.problem(404), "not_found");
    }
}
