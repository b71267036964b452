use std::collections::{BTreeMap, HashSet};

use super::*;

type State = BTreeMap<String, String>;

fn item(means: Means, id: &str, title: &str, text: &str, date: &str) -> Item {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Item {
        id: Id { text: id.to_owned(), means },
        title: some(title).map(Text::Plain),
        link: None,
        summary: some(text).map(Text::Plain),
        author: None,
        categories: vec![],
        date: some(date),
        published: None,
    }
}

fn place(id: &str, title: &str, text: &str, date: &str) -> Item {
    item(Means::Place, id, title, text, date)
}

fn saved(seen: &Seen, state: &mut State) {
    seen.save(|key, value| match value {
        Some(value) => _ = state.insert(key.to_owned(), value),
        None => _ = state.remove(key),
    });
    assert!(state.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() <= 256 * 1024);
    assert!(state.len() <= 64 && state.values().all(|value| value.len() <= 16 * 1024));
}

fn loaded(state: &State) -> Option<Seen> {
    Seen::load(|key| state.get(key).cloned())
}

/// The keys of those items, oldest first, that are new; they are seen afterwards, as after a poll.
fn poll(state: &mut State, items: &[Item]) -> Vec<String> {
    let seen = loaded(state).unwrap_or_default();
    let compared = seen.compare(items.iter());
    saved(&seen.after(&compared, compared.new.len()), state);
    compared.new.into_iter().map(|new| new.key).collect()
}

/// What a first and a second poll find new.
fn polls(first: &[Item], second: &[Item]) -> (usize, usize) {
    let mut state = State::new();
    (poll(&mut state, first).len(), poll(&mut state, second).len())
}

#[test]
fn fingerprints_are_those_of_fnv_1a() {
    for (text, wanted) in [
        ("", 0xcbf2_9ce4_8422_2325),
        ("a", 0xaf63_dc4c_8601_ec8c),
        ("foobar", 0x8594_4171_f739_67e8),
    ] {
        assert_eq!(fingerprint(text), wanted, "{text}");
    }
}

#[test]
fn an_item_is_new_once() {
    let [a, b, c] = ["a", "b", "c"].map(|id| place(id, id, "", ""));
    let mut state = State::new();
    assert_eq!(poll(&mut state, &[a.clone(), b.clone()]), ["a", "b"]);
    assert_eq!(poll(&mut state, &[b, c]), ["c"]);
    assert!(poll(&mut state, &[a]).is_empty(), "it was seen, though it had left the feed");
    assert_eq!(loaded(&State::new()), None);
    let mut nothing = State::new();
    assert!(poll(&mut nothing, &[]).is_empty());
    assert_eq!(loaded(&nothing), Some(Seen::default()), "it was looked, though there was nothing");
}

#[test]
fn what_shares_an_identity_and_nothing_else_is_two() {
    let a = place("g", "Builds", "x", "1");
    for (other, both) in [
        (place("g", "Disorder", "y", "2"), 2),
        // Of one moment, as in feeds that have all of them from when they were written.
        (place("g", "Disorder", "y", "1"), 2),
        (place("g", "Disorder", "", ""), 2),
        (place("g", "Builds", "y", "2"), 1),
        (place("g", "Disorder", "x", "2"), 1),
        (place("g", "Builds", "x", "1"), 1),
        (place("h", "Builds", "x", "1"), 2),
    ] {
        let items = [a.clone(), other.clone()];
        assert_eq!(polls(&items, &items), (both, 0), "{other:?}");
        let mut state = State::new();
        let keys: HashSet<String> = poll(&mut state, &items).into_iter().collect();
        assert_eq!(keys.len(), both);
        // A third, when the first has left the feed.
        let third = place("g", "Third", "z", "3");
        assert_eq!(poll(&mut state, &[other, third.clone()]).len(), 1);
        assert!(poll(&mut state, &[third]).is_empty());
    }
}

#[test]
fn an_edited_item_is_the_same() {
    let a = place("g", "Title", "text", "1");
    for edited in [
        place("g", "Title!", "text", "2"),
        place("g", "Title", "other text", "2"),
        place("g", "Title!", "other text", "1"),
        place("g", "Title", "", ""),
    ] {
        let (before, after) = (std::slice::from_ref(&a), std::slice::from_ref(&edited));
        assert_eq!(polls(before, after), (1, 0), "{edited:?}");
    }
    let entry = |title, text, date| item(Means::Item, "urn:1", title, text, date);
    assert_eq!(polls(&[entry("a", "b", "c")], &[entry("d", "e", "f")]), (1, 0));
    let both = [entry("a", "b", "c"), entry("d", "e", "f")];
    assert_eq!(polls(&both, &both), (2, 0), "they are there at the same time");
    assert_eq!(polls(&[entry("a", "b", "c"), entry("a", "e", "f")], &[]), (1, 0));
}

#[test]
fn what_has_nothing_but_words_differs_by_them() {
    let words = |id, title, text| item(Means::Words, id, title, text, "");
    let items = [words("Alert", "Alert", "one"), words("Alert", "Alert", "two")];
    assert_eq!(polls(&items, &items), (2, 0));
    let mut state = State::new();
    assert_eq!(poll(&mut state, &items)[0], "Alert");
    assert_eq!(poll(&mut state, &[words("Alert", "Alert", "three")]).len(), 1);
    let bare = [item(Means::Place, "1", "", "", ""), item(Means::Place, "1", "", "", "")];
    assert_eq!(polls(&bare, &bare), (1, 0));
}

#[test]
fn what_was_not_taken_is_new_the_next_time() {
    let items: Vec<Item> = (0..50).map(|i| place(&i.to_string(), "", "", "")).collect();
    let mut seen = Seen::default();
    let mut taken = Vec::new();
    for turn in 0..5 {
        let compared = seen.compare(items.iter());
        assert_eq!(compared.new.len(), 50 - turn * 10);
        taken.extend(compared.new[..10].iter().map(|new| new.key.clone()));
        seen = seen.after(&compared, 10);
    }
    let wanted: Vec<String> = (0..50).map(|i| i.to_string()).collect();
    assert_eq!(taken, wanted);
    assert!(seen.compare(items.iter()).new.is_empty());
}

#[test]
fn many_items_are_kept_apart_for_long() {
    let items: Vec<Item> = (0..24_000).map(|i| place(&format!("urn:{i}"), "t", "", "")).collect();
    assert_eq!(polls(&items, &items), (24_000, 0));
    let shared: Vec<Item> =
        (0..10_000).map(|i| place("urn:1", &format!("title {i}"), &i.to_string(), "")).collect();
    let mut state = State::new();
    let keys: HashSet<String> = poll(&mut state, &shared).into_iter().collect();
    assert_eq!(keys.len(), 10_000);
    assert!(poll(&mut state, &shared).is_empty());
    let more: Vec<Item> =
        shared.into_iter().skip(1).chain([place("urn:1", "new", "", "")]).collect();
    assert!(poll(&mut state, &more).len() <= 1);
}

#[test]
fn what_was_not_met_for_long_is_forgotten_first() {
    let item = |i: usize| place(&i.to_string(), "", "", "");
    let mut state = State::new();
    let most = RECENT_MAX + OLDER_MAX;
    poll(&mut state, &(0..most).map(item).collect::<Vec<_>>());
    assert!(poll(&mut state, &[item(0), item(most - 1)]).is_empty());
    assert_eq!(poll(&mut state, &[item(most)]).len(), 1);
    assert!(poll(&mut state, &[item(0)]).is_empty(), "it was met again");
    assert_eq!(poll(&mut state, &[item(1)]).len(), 1, "it was the oldest");
}

/// Version 0.1.0 had the identities as 16 digits each, the latest last, and one of those that share
/// one.
#[test]
fn what_an_earlier_version_kept_is_known() {
    let former = |ids: &[&str]| {
        let text = ids.iter().map(|id| format!("{:016x}", fingerprint(id))).collect();
        State::from([("seen".to_owned(), text)])
    };
    let items = [
        place("https://a.b/1", "One", "first", "1"),
        place("/posts/2", "Two", "second", "2"),
        item(Means::Item, "urn:3", "Three", "third", "3"),
        item(Means::Words, "Four Tue, 06 Jan 2026", "Four", "fourth", "Tue, 06 Jan 2026"),
    ];
    let ids: Vec<&str> = items.iter().map(|item| item.id.text.as_str()).collect();
    let mut state = former(&ids);
    assert!(poll(&mut state, &items).is_empty());
    assert!(!state.contains_key("seen") && state.contains_key("recent.0"));
    assert!(poll(&mut state, &items).is_empty());
    assert_eq!(poll(&mut state, &[place("https://a.b/5", "Five", "", "")]), ["https://a.b/5"]);

    let shared =
        [place("https://a.b/", "One", "first", ""), place("https://a.b/", "Two", "second", "")];
    let mut state = former(&["https://a.b/"]);
    assert_eq!(poll(&mut state, &shared).len(), 1, "the other one had never been an event");
    assert!(poll(&mut state, &shared).is_empty());
    assert_eq!(loaded(&former(&[])), Some(Seen::default()), "it was looked, and nothing found");
    let nonsense = State::from([("seen".to_owned(), "nonsense, and 12".to_owned())]);
    assert_eq!(loaded(&nonsense), Some(Seen::default()));
}

#[test]
fn keys_fit_and_stay_apart() {
    assert_eq!(dedupe_key("urn:1"), "urn:1");
    let long = "é".repeat(400);
    let (one, other) = (dedupe_key(&format!("{long}1")), dedupe_key(&format!("{long}2")));
    assert!(one.len() <= KEY_BYTES_MAX && one.starts_with("éé"));
    assert_ne!(one, other);
}
