//! Run logs: in order, once, and only from who holds the command.

use hillock::config::LogLimits;
use hillock::model::command::TOKEN_LIFE;
use hillock::model::redaction::Redaction;
use hillock::model::run::{Ending, LogLine, Stream};
use hillock::model::secret::Secret;
use hillock::store::commands::Fence;
use hillock::store::logs::read;

use super::fixture::{agent, at, claim, claimed, open, run, run_id, token, worker};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    lines_are_kept_as_they_were_written,
    repeated_lines_are_passed_over,
    lines_of_all_holders_are_numbered_through,
    only_the_holder_adds_lines,
    a_token_that_ran_out_adds_none,
    only_the_host_speaks_as_the_host,
    a_long_line_is_cut,
    a_full_log_says_so_once,
    a_log_is_kept_without_secrets,
);

async fn lines_are_kept_as_they_were_written(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let mut odd = line("nul \0, \"quotes\", \\, 😱 and \u{1}");
    odd.stream = Stream::Stderr;
    let lines = vec![line("one"), odd, line("")];
    assert_eq!(claims::write(&store, &claim, 1, lines, at(10)).await.unwrap(), Fence::Held);
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
        let fence = claims::write(&store, &claim, first, lines, at(10)).await.unwrap();
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
    claims::write(&store, &first, 1, vec![line("a"), line("b")], at(10)).await.unwrap();
    claims::hand_back(&store, &first, at(11)).await.unwrap();
    let second = claim(&store, &worker(), &agent, at(12)).await.unwrap();
    claims::write(&store, &second, 1, vec![line("c")], at(12)).await.unwrap();
    let found = read(&store, &first.run_id, 0, 10).await.unwrap();
    let found: Vec<_> = found.iter().map(|s| (s.seq, s.line.text.as_str())).collect();
    assert_eq!(found, [(1, "a"), (2, "b"), (3, "c")]);
}

async fn only_the_holder_adds_lines(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let stranger = claims::write(
        &store,
        &Held { token: token(), ..claim.clone() },
        1,
        vec![line("x")],
        at(10),
    )
    .await
    .unwrap();
    assert_eq!(stranger, Fence::Lost);
    claims::finish(&store, &claim, Ending::Completed, at(11)).await.unwrap();
    let late = claims::write(&store, &claim, 1, vec![line("x")], at(11)).await.unwrap();
    assert_eq!(late, Fence::Lost);
    assert_eq!(read(&store, &claim.run_id, 0, 10).await.unwrap(), []);
}

async fn a_token_that_ran_out_adds_none(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let late = at(10) + TOKEN_LIFE;
    let append = claims::write(&store, &claim, 1, vec![line("x")], late);
    assert_eq!(append.await.unwrap(), Fence::Lost);
}

async fn only_the_host_speaks_as_the_host(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let forged = LogLine { stream: Stream::Host, ..line("nothing more is kept") };
    claims::write(&store, &claim, 1, vec![forged], at(10)).await.unwrap();
    let found = read(&store, &claim.run_id, 0, 10).await.unwrap();
    assert_eq!(found[0].line.stream, Stream::Stderr);
}

async fn a_long_line_is_cut(database: Database) {
    let store = open(&database).await;
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let lines = vec![line(&"x".repeat(16 * 1024)), line(&"é".repeat(16 * 1024))];
    claims::write(&store, &claim, 1, lines, at(10)).await.unwrap();
    let found = read(&store, &claim.run_id, 0, 10).await.unwrap();
    assert_eq!(found[0].line.text, "x".repeat(16 * 1024));
    let wanted = format!("{}… [cut: 16384 bytes]", "é".repeat(8 * 1024));
    assert_eq!(found[1].line.text, wanted);
}

async fn a_full_log_says_so_once(database: Database) {
    let store = open(&database).await.with_log_limits(LogLimits { run_bytes: 140 });
    let agent = agent();
    let (_, first) = claimed(&store, &agent, at(10)).await;
    // A line counts for 32 bytes beside its own.
    let lines = ["a", "b", "c", "d", "e", "f"];
    for (i, text) in lines.into_iter().enumerate() {
        let number = i as u64 + 1;
        let fence = claims::write(&store, &first, number, vec![line(text)], at(10));
        assert_eq!(fence.await.unwrap(), Fence::Held);
    }
    // The next holder writes into the same log.
    claims::hand_back(&store, &first, at(11)).await.unwrap();
    let second = claim(&store, &worker(), &agent, at(12)).await.unwrap();
    claims::write(&store, &second, 1, vec![line("g")], at(12)).await.unwrap();
    let found = read(&store, &first.run_id, 0, 10).await.unwrap();
    let found: Vec<_> = found.iter().map(|s| (s.line.stream, s.line.text.as_str())).collect();
    let marker = "… [cut: the log is full at 140 bytes, and nothing more is kept]";
    let kept = ["a", "b", "c", "d"].map(|text| (Stream::Stdout, text));
    assert_eq!(found, [&kept[..], &[(Stream::Host, marker)]].concat());
}

async fn a_log_is_kept_without_secrets(database: Database) {
    let store = open(&database).await;
    let secret = Secret::new(b"correct horse".to_vec()).unwrap();
    store.redact(Redaction::of([&secret]).unwrap());
    let (_, claim) = claimed(&store, &agent(), at(10)).await;
    let lines = vec![line("a correct horse stands here")];
    claims::write(&store, &claim, 1, lines, at(10)).await.unwrap();
    let found = read(&store, &claim.run_id, 0, 10).await.unwrap();
    assert_eq!(found[0].line.text, "a [redacted] stands here");
    let ending = Ending::failed("no correct horse");
    claims::finish(&store, &claim, ending, at(11)).await.unwrap();
    assert_eq!(run(&store, &claim.run_id).await.error.as_deref(), Some("no [redacted]"));
}

fn line(text: &str) -> LogLine {
    LogLine { at: at(5), stream: Stream::Stdout, text: text.to_owned() }
}
