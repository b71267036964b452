//! Run logs: in order, once, and only from who holds the command.

use hillock::model::run::{Ending, LogLine, Stream};
use hillock::store::commands::{Fence, finish, hand_back};
use hillock::store::logs::{append, read};

use super::fixture::{agent, at, claim, claimed, open, run_id, token, worker};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    lines_are_kept_as_they_were_written,
    repeated_lines_are_passed_over,
    lines_of_all_holders_are_numbered_through,
    only_the_holder_adds_lines,
);

async fn lines_are_kept_as_they_were_written(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let mut odd = line("nul \0, \"quotes\", \\, 😱 and \u{1}");
    odd.stream = Stream::Stderr;
    let lines = vec![line("one"), odd, line("")];
    assert_eq!(append(&store, &claim.id, &claim.token, 1, lines).await.unwrap(), Fence::Held);
    let found = read(&store, &claim.run_id, 0, 10).await.unwrap();
    let texts: Vec<_> = found.iter().map(|stored| stored.line.text.as_str()).collect();
    assert_eq!(texts, ["one", "nul \u{fffd}, \"quotes\", \\, 😱 and \u{1}", ""]);
    assert_eq!(found.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((found[0].line.at, found[0].line.stream), (at(5), Stream::Stdout));
    assert_eq!(found[1].line.stream, Stream::Stderr);

    assert_eq!(read(&store, &claim.run_id, 1, 1).await.unwrap(), &found[1..2]);
    assert_eq!(read(&store, &claim.run_id, 3, 10).await.unwrap(), []);
    assert_eq!(read(&store, &run_id(), 0, 10).await.unwrap(), []);
}

async fn repeated_lines_are_passed_over(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    for (first, texts, stored) in [
        (1, &["a", "b"][..], "ab"),
        (1, &["a", "b"], "ab"),
        (2, &["b", "c"], "abc"),
        (1, &["a"], "abc"),
        (4, &[], "abc"),
        (4, &["d"], "abcd"),
    ] {
        let lines = texts.iter().map(|text| line(text)).collect();
        let fence = append(&store, &claim.id, &claim.token, first, lines).await.unwrap();
        assert_eq!(fence, Fence::Held);
        let found = read(&store, &claim.run_id, 0, 10).await.unwrap();
        let found: String = found.into_iter().map(|stored| stored.line.text).collect();
        assert_eq!(found, stored, "after {texts:?} from {first}");
    }
}

async fn lines_of_all_holders_are_numbered_through(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let (_, first) = claimed(&store, &agent, at(10)).await;
    append(&store, &first.id, &first.token, 1, vec![line("a"), line("b")]).await.unwrap();
    hand_back(&store, &first.id, &first.token, at(11)).await.unwrap();
    let second = claim(&store, &worker(), &agent, at(12)).await.unwrap();
    append(&store, &second.id, &second.token, 1, vec![line("c")]).await.unwrap();
    let found = read(&store, &first.run_id, 0, 10).await.unwrap();
    let found: Vec<_> = found.iter().map(|s| (s.seq, s.line.text.as_str())).collect();
    assert_eq!(found, [(1, "a"), (2, "b"), (3, "c")]);
}

async fn only_the_holder_adds_lines(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let stranger = append(&store, &claim.id, &token(), 1, vec![line("x")]).await.unwrap();
    assert_eq!(stranger, Fence::Lost);
    finish(&store, &claim.id, &claim.token, Ending::Completed, at(11)).await.unwrap();
    let late = append(&store, &claim.id, &claim.token, 1, vec![line("x")]).await.unwrap();
    assert_eq!(late, Fence::Lost);
    assert_eq!(read(&store, &claim.run_id, 0, 10).await.unwrap(), []);
}

fn line(text: &str) -> LogLine {
    LogLine { at: at(5), stream: Stream::Stdout, text: text.to_owned() }
}
