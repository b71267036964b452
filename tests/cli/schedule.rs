//! `hillock schedule next`: it answers without a host, and without a configuration.

use serde_json::json;

use super::{Said, alone};
use crate::harness::database::Database;
use crate::harness::folder::Folder;

/// `words` are separated by spaces, and an expression's fields by underscores.
async fn next(words: &str) -> Said {
    let folder = Folder::new(Database::sqlite(), "this is not TOML").await;
    let words: Vec<String> = words.split(' ').map(|word| word.replace('_', " ")).collect();
    let mut args = vec!["schedule", "next"];
    args.extend(words.iter().map(String::as_str));
    alone(&folder, &args).await
}

#[tokio::test]
async fn slots_are_listed_in_utc_and_as_the_clocks_show_them() {
    let said =
        next("--cron 30_2_*_*_* --timezone Europe/Berlin --from 2026-03-27T12:00:00Z --count 3");
    let wanted = "2026-03-28T01:30:00.000Z  2026-03-28T02:30:00.000+01:00\n\
                  2026-03-29T01:00:00.000Z  2026-03-29T03:00:00.000+02:00\n\
                  2026-03-30T00:30:00.000Z  2026-03-30T02:30:00.000+02:00\n";
    assert_eq!(said.await.good(), wanted);
    let said = next("--cron */30_0_0_1_1_* --seconds --from 2026-01-01T00:00:00Z --count 2").await;
    assert_eq!(said.good(), "2026-01-01T00:00:30.000Z\n2027-01-01T00:00:00.000Z\n");
}

#[tokio::test]
async fn as_json() {
    let told =
        next("--cron 0_9_*_*_mon-fri --from 2026-01-01T12:00:00+01:00 --count 2 --json").await;
    let wanted = json!({
        "mode": "cron", "expression": "0 9 * * mon-fri", "timezone": "UTC",
        "from": "2026-01-01T11:00:00.000Z",
        "next": ["2026-01-02T09:00:00.000Z", "2026-01-05T09:00:00.000Z"],
    });
    assert_eq!(told.json(), wanted);
}

#[tokio::test]
async fn an_interval_counts_from_its_anchor_or_from_where_it_is_asked() {
    let from = "--every 6h --count 2 --json --from 2026-01-01T00:10:00Z";
    for (anchor, wanted) in [
        ("", ["2026-01-01T06:10:00.000Z", "2026-01-01T12:10:00.000Z"]),
        (
            " --anchor 2025-12-31T23:00:00Z",
            ["2026-01-01T05:00:00.000Z", "2026-01-01T11:00:00.000Z"],
        ),
    ] {
        assert_eq!(next(&format!("{from}{anchor}")).await.json()["next"], json!(wanted));
    }
}

#[tokio::test]
async fn from_now_on_five() {
    let told = next("--every 1h --json").await.json();
    let slots = told["next"].as_array().unwrap();
    assert_eq!(slots.len(), 5);
    assert!(slots[0].as_str() > told["from"].as_str(), "{told}");
}

#[tokio::test]
async fn fewer_than_asked_for_is_an_answer() {
    let told = next("--at 2026-01-01T00:00:00Z --from 2025-01-01T00:00:00Z --json").await.json();
    assert_eq!(told["next"], json!(["2026-01-01T00:00:00.000Z"]));
    let told = next("--at 2026-01-01T00:00:00Z --from 2026-01-01T00:00:00Z --json").await.json();
    assert_eq!((&told["next"], &told["mode"]), (&json!([]), &json!("at")));
    let said = next("--at 2026-01-01T00:00:00Z --from 2026-01-01T00:00:00Z").await;
    assert!(said.success && said.stdout.is_empty(), "{said:?}");
    assert_eq!(said.stderr, "nothing is due after 2026-01-01T00:00:00.000Z\n");
}

#[tokio::test]
async fn what_is_no_schedule_is_refused_with_the_reason() {
    for (words, wanted) in [
        ("--cron 0_0_30_2_*", "error: --cron: `0 0 30 2 *` never comes"),
        ("--cron 0_9_*_*_1-5_* --json", "error: --cron: `0 9 * * 1-5 *` has 6 fields"),
        ("--cron 1,,2_*_*_*_*", "error: --cron: the minute `1,,2`: an item of the list is empty"),
        ("--cron @daily --timezone europe/berlin", "error: --timezone: `europe/berlin` is not"),
        ("--cron @daily --anchor 2026-01-01T00:00:00Z", "error: --anchor: goes with `every` only"),
        ("--every 0s", "error: --every: `0s` is less than a second"),
        ("--every 1h --seconds", "error: --seconds: goes with `cron` only"),
        ("--at noon", "error: --at: `noon` is not an RFC 3339 instant"),
        ("--every soon --anchor never", "--anchor: `never` is not an RFC 3339 instant"),
        ("--every 1h --at 2026-01-01T00:00:00Z", "cannot be used with"),
        ("--count 3", "--cron <EXPR>"),
        ("--every 1h --count 1001", "1001 is not in 1..=1000"),
        ("--every 1h --from noon", "`noon` is not an RFC 3339 instant"),
    ] {
        let said = next(words).await.bad();
        assert!(said.contains(wanted), "{words}: {said}");
    }
}
