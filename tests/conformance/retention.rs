//! The controllers retention and token-cleanup, run twice each time: what goes, at which instant, and
//! what stays with what has not ended.

use std::time::Duration;

use hillock::config::{Keep, RetentionSettings};
use hillock::controllers::{Expired, Removed, retention, token_cleanup};
use hillock::model::command::TOKEN_LIFE;
use hillock::model::decision::{Decision, Verdict};
use hillock::model::definition::{Agent, Batching};
use hillock::model::id::{BootstrapId, EventId, RunId, TriggerId};
use hillock::model::run::{Ending, LogLine, RunEvent, SessionRef, Stream};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::commands::Fence;
use hillock::store::events::{self, Accepted, Activation};
use hillock::store::gatherings::BatchMember;
use hillock::store::space::{GivenBack, give_back};
use hillock::store::workers::{NewToken, create_token};
use hillock::store::{Store, runs};
use rand::{Rng as _, SeedableRng as _, rngs::ChaCha8Rng};
use serde_json::json;

use super::fixture::{
    accepted, activation, agent, at, claim, delivery, event, event_in, gathering_id, identity,
    new_run, open, scheduled, scheduled_as, scope, worker,
};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    an_event_goes_when_it_is_old,
    a_run_goes_with_all_that_is_its_own,
    a_log_goes_before_its_run,
    what_has_not_ended_stays,
    what_is_gathered_stays,
    a_workspace_has_its_own_rule,
    what_a_fire_limit_counts_stays,
    more_goes_than_fits_into_one_transaction,
    a_dry_run_counts_and_changes_nothing,
    a_removed_event_is_recognised_no_more,
    words_and_sessions_go,
    bootstrap_tokens_go_when_they_end,
    command_tokens_go_when_they_end,
    identities_without_an_event_go_after_a_day,
);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const MOMENT: Duration = Duration::from_millis(1);
const NOTHING: Removed = Removed {
    events: 0,
    decisions: 0,
    identities: 0,
    runs: 0,
    commands: 0,
    inputs: 0,
    log_lines: 0,
    run_events: 0,
    tasks: 0,
    sessions: 0,
};

/// Removes what is due, and a second time, which finds nothing.
async fn removed_by(store: &Store, keep: &RetentionSettings, now: Time) -> Removed {
    let counted = retention(store, keep, now, true).await.unwrap();
    let removed = retention(store, keep, now, false).await.unwrap();
    assert_eq!(counted, removed, "what a dry run says is done");
    assert_eq!(retention(store, keep, now, false).await.unwrap(), NOTHING, "again");
    removed
}

async fn removed(store: &Store, now: Time) -> Removed {
    removed_by(store, &RetentionSettings::default(), now).await
}

fn rule(keep: Keep) -> RetentionSettings {
    RetentionSettings { keep, ..RetentionSettings::default() }
}

/// An event that led to nothing, decided.
async fn settled(store: &Store, scope: &Scope) -> EventId {
    let id = accepted(store, event_in(scope)).await;
    let decision = Decision {
        trigger_id: TriggerId::derive(scope, "triage"),
        trigger: "triage".parse().unwrap(),
        verdict: Verdict::Filtered("data.action".to_owned()),
        at: at(3),
    };
    let decided = Activation { decisions: vec![decision], ..activation(&id, vec![]) };
    assert_eq!(events::activate(store, decided).await.unwrap(), Some(0));
    id
}

async fn has_event(store: &Store, id: &EventId) -> bool {
    events::find(store, &Scope::Global, id).await.unwrap().is_some()
}

async fn has_run(store: &Store, id: &RunId) -> bool {
    runs::find(store, &Scope::Global, id).await.unwrap().is_some()
}

/// The agent's next run, begun.
async fn begun(store: &Store, agent: &Agent, now: Time) -> Held {
    let held = claim(store, &worker(), agent, now).await.unwrap();
    claims::start(store, &held, now).await.unwrap();
    held
}

async fn say(store: &Store, held: &Held, lines: usize) {
    let line = |n| LogLine { at: at(20), stream: Stream::Stdout, text: format!("line {n}") };
    let lines = (0..lines).map(line).collect();
    let said = claims::write(store, held, 1, lines, at(20)).await.unwrap();
    assert_eq!(said, Fence::Held);
    let event =
        RunEvent { at: at(20), kind: "tool".parse().unwrap(), data: json!({ "type": "tool" }) };
    let told = claims::tell(store, held, 1, vec![event], at(20)).await;
    assert_eq!(told.unwrap(), Fence::Held);
}

/// A run of the agent that ended at `end`, and had two lines and an event to say.
async fn ended(store: &Store, agent: &Agent, end: Time) -> RunId {
    scheduled(store, agent).await;
    let held = begun(store, agent, at(10)).await;
    say(store, &held, 2).await;
    claims::finish(store, &held, Ending::Completed, end).await.unwrap();
    held.run_id
}

async fn an_event_goes_when_it_is_old(database: Database) {
    let store = open(&database).await;
    let id = settled(&store, &Scope::Global).await;
    let waiting = accepted(&store, event()).await;
    assert_eq!(removed(&store, at(2) + MONTH - MOMENT).await, NOTHING);
    assert!(has_event(&store, &id).await);
    let gone = Removed { events: 1, decisions: 1, ..NOTHING };
    assert_eq!(removed(&store, at(2) + MONTH).await, gone);
    assert!(!has_event(&store, &id).await);
    assert!(has_event(&store, &waiting).await, "it is not activated");
    assert_eq!(database.count("bodies").await, 1);
}

async fn a_run_goes_with_all_that_is_its_own(database: Database) {
    let store = open(&database).await;
    let run = ended(&store, &agent(), at(30)).await;
    let forever = rule(Keep { events: None, ..Keep::default() });
    let soon = at(30) + MONTH - MOMENT;
    assert_eq!(removed_by(&store, &forever, soon).await, NOTHING);
    assert!(has_run(&store, &run).await);
    let gone = Removed { runs: 1, commands: 1, log_lines: 2, run_events: 1, ..NOTHING };
    assert_eq!(removed_by(&store, &forever, at(30) + MONTH).await, gone);
    assert!(!has_run(&store, &run).await);
    for table in ["commands", "run_logs", "run_events"] {
        assert_eq!(database.count(table).await, 0, "{table}");
    }
    assert_eq!(database.count("events").await, 1);
}

async fn a_log_goes_before_its_run(database: Database) {
    let store = open(&database).await;
    let run = ended(&store, &agent(), at(30)).await;
    let short = rule(Keep { logs: Some(DAY), ..Keep::default() });
    assert_eq!(removed_by(&store, &short, at(30) + DAY - MOMENT).await, NOTHING);
    let gone = Removed { log_lines: 2, run_events: 1, ..NOTHING };
    assert_eq!(removed_by(&store, &short, at(30) + DAY).await, gone);
    let kept = runs::find(&store, &Scope::Global, &run).await.unwrap().unwrap();
    assert!(kept.log_removed && kept.made.prompt.starts_with("work of"));
    let gone = removed_by(&store, &short, at(30) + MONTH).await;
    assert_eq!((gone.runs, gone.log_lines), (1, 0));
}

async fn what_has_not_ended_stays(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let running = {
        scheduled(&store, &agent).await;
        begun(&store, &agent, at(10)).await
    };
    say(&store, &running, 1).await;
    scheduled(&store, &agent).await;
    assert_eq!(removed(&store, at(100) + 12 * MONTH).await, NOTHING);
    assert_eq!((database.count("events").await, database.count("runs").await), (2, 2));

    // Its command is told to stop, and nobody has heard of that: the run stays until it is over.
    claims::finish(&store, &running, Ending::Completed, at(40)).await.unwrap();
    database.execute("UPDATE commands SET state = 'pending' WHERE state = 'completed'").await;
    let kept = removed(&store, at(40) + MONTH).await;
    assert_eq!((kept.runs, kept.events), (0, 1));
    database.execute("UPDATE commands SET state = 'completed' WHERE ended_at IS NOT NULL").await;
    assert_eq!(removed(&store, at(40) + MONTH).await.runs, 1);
    assert_eq!((database.count("events").await, database.count("runs").await), (1, 1));
}

async fn what_is_gathered_stays(database: Database) {
    let store = open(&database).await;
    let id = accepted(&store, event()).await;
    let trigger_id = TriggerId::derive(&Scope::Global, "digest");
    let wait = 24 * MONTH;
    let gather = Batching::Batch { key: None, size: 9, wait };
    let holding = BatchMember {
        id: gathering_id(),
        trigger_id: trigger_id.clone(),
        key: String::new(),
        gather,
    };
    let verdict = Verdict::Held;
    let decision = Decision { trigger_id, trigger: "digest".parse().unwrap(), verdict, at: at(3) };
    let (decisions, held) = (vec![decision], vec![holding]);
    let held = Activation { decisions, held, ..activation(&id, vec![]) };
    assert_eq!(events::activate(&store, held).await.unwrap(), Some(0));
    assert_eq!(removed(&store, at(2) + 12 * MONTH).await, NOTHING);
    assert!(has_event(&store, &id).await);
}

async fn a_workspace_has_its_own_rule(database: Database) {
    let store = open(&database).await;
    for name in ["acme", "globex", "initech"] {
        let owner = Agent { scope: scope(name), name: agent().name };
        settled(&store, &owner.scope).await;
        ended(&store, &owner, at(30)).await;
    }
    let day = Keep { events: Some(DAY), runs: Some(DAY), logs: Some(DAY) };
    let forever = Keep { events: None, runs: None, logs: None };
    let keep = RetentionSettings {
        keep: Keep::default(),
        workspaces: [(scope("acme"), day), (scope("globex"), forever)].into(),
    };
    assert_eq!(removed_by(&store, &keep, at(2) + DAY - MOMENT).await, NOTHING);
    let acme = removed_by(&store, &keep, at(30) + DAY).await;
    assert_eq!((acme.events, acme.runs, acme.log_lines), (2, 1, 2));
    let initech = removed_by(&store, &keep, at(30) + MONTH).await;
    assert_eq!((initech.events, initech.runs, initech.log_lines), (2, 1, 2));
    assert_eq!(removed_by(&store, &keep, at(30) + 100 * MONTH).await, NOTHING);
    assert_eq!(database.count("events WHERE workspace_id = 'globex'").await, 2);
}

async fn what_a_fire_limit_counts_stays(database: Database) {
    let store = open(&database).await;
    let run = ended(&store, &agent(), at(30)).await;
    let trigger = TriggerId::derive(&Scope::Global, "triage");
    let definition = format!(
        "INSERT INTO definitions (id, kind, workspace_id, name, source, enabled, spec, revision, \
                                  created_at, updated_at) \
         VALUES ('{trigger}', 'trigger', '', 'triage', 'dynamic', 1, \
                 '{{\"fire_limit\":{{\"max\":2,\"window\":\"60days\"}}}}', 1, 0, 0)"
    );
    database.execute(&definition).await;
    // It was made at 3.
    let kept = removed(&store, at(3) + 2 * MONTH - MOMENT).await;
    assert_eq!((kept.runs, kept.log_lines), (0, 2));
    assert!(has_run(&store, &run).await);
    assert_eq!(removed(&store, at(3) + 2 * MONTH).await.runs, 1);
}

async fn more_goes_than_fits_into_one_transaction(database: Database) {
    let store = open(&database).await;
    let all: Vec<_> = (0..1100).map(|_| delivery(event(), &[identity()])).collect();
    events::accept(&store, all).await.unwrap();
    database.execute("UPDATE events SET activated_at = 0").await;
    // One that came late, in the midst of the others.
    let far = (at(0) + 2 * MONTH).as_millis();
    let late = format!("UPDATE events SET received_at = {far} WHERE seq = 700");
    database.execute(&late).await;

    let agent = agent();
    scheduled(&store, &agent).await;
    let held = begun(&store, &agent, at(10)).await;
    say(&store, &held, 2500).await;
    claims::finish(&store, &held, Ending::Completed, at(30)).await.unwrap();
    let gone = removed(&store, at(30) + MONTH).await;
    assert_eq!((gone.events, gone.identities), (1100, 1099));
    assert_eq!((gone.runs, gone.log_lines, gone.run_events), (1, 2500, 1));
    assert_eq!((database.count("events").await, database.count("dedupe").await), (1, 1));
    assert_eq!(database.count("run_logs").await, 0);
}

async fn a_dry_run_counts_and_changes_nothing(database: Database) {
    let store = open(&database).await;
    ended(&store, &agent(), at(30)).await;
    let all = RetentionSettings::default();
    let counted = retention(&store, &all, at(30) + MONTH, true).await.unwrap();
    assert_eq!(counted.total(), 7, "{counted}");
    assert_eq!(
        counted.to_string(),
        "events 1, decisions 1, runs 1, commands 1, log lines 2, run events 1"
    );
    for (table, rows) in [("events", 1), ("decisions", 1), ("runs", 1), ("run_logs", 2)] {
        assert_eq!(database.count(table).await, rows, "{table}");
    }
    assert_eq!(NOTHING.to_string(), "nothing");
}

/// Its identities go with it: its place in the inbox may be another's soon.
async fn a_removed_event_is_recognised_no_more(database: Database) {
    let store = open(&database).await;
    let known = identity();
    let first = events::accept(&store, vec![delivery(event(), &[known])]).await.unwrap();
    let [Accepted::New(first)] = &first[..] else { panic!("{first:?}") };
    events::activate(&store, activation(first, vec![])).await.unwrap();
    let again = events::accept(&store, vec![delivery(event(), &[known])]).await.unwrap();
    assert_eq!(again, [Accepted::Duplicate(first.clone())]);
    let gone = removed(&store, at(2) + MONTH).await;
    assert_eq!((gone.events, gone.identities), (1, 1));

    let other = accepted(&store, event()).await;
    let again = events::accept(&store, vec![delivery(event(), &[known])]).await.unwrap();
    let [Accepted::New(second)] = &again[..] else { panic!("{again:?}") };
    assert!(second != first && *second != other);
}

async fn words_and_sessions_go(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let word = "INSERT INTO commands (id, type, workspace_id, queue, state, attempt, \
                dispatch_attempts, priority, on_lost, control, log_lines, events, created_at, \
                ended_at) VALUES ('cmd_w', 'health_check', '', 'worker/w', 'completed', 0, 1, 500, \
                'fail', '{}', 0, 0, 0, ";
    database.execute(&format!("{word}{})", at(30).as_millis())).await;
    let session = SessionRef::of(&Scope::Global, "talk".parse().unwrap());
    scheduled_as(&store, &agent, |mut run| {
        run.terms.session = Some(session);
        run
    })
    .await;
    assert_eq!(database.count("sessions").await, 1);
    let held = begun(&store, &agent, at(10)).await;
    assert_eq!(removed(&store, at(30) + MONTH).await, Removed { commands: 1, ..NOTHING });
    claims::finish(&store, &held, Ending::Completed, at(50)).await.unwrap();
    assert_eq!(removed(&store, at(50) + MONTH - MOMENT).await.sessions, 0);
    assert_eq!(removed(&store, at(50) + MONTH).await.sessions, 1);
    assert_eq!(database.count("sessions").await, 0);
}

/// Cleans up, and a second time, which finds nothing.
async fn expired(store: &Store, now: Time) -> Expired {
    let counted = token_cleanup(store, now, true).await.unwrap();
    let expired = token_cleanup(store, now, false).await.unwrap();
    assert_eq!(counted, expired, "what a dry run says is done");
    assert_eq!(token_cleanup(store, now, false).await.unwrap(), Expired::default(), "again");
    expired
}

async fn bootstrap_tokens_go_when_they_end(database: Database) {
    let store = open(&database).await;
    let token = NewToken {
        id: BootstrapId::mint(at(0), [1; 10]),
        hash: identity(),
        prefix: "hlk_boot_abc".to_owned(),
        scope: Scope::Global,
        uses: 0,
        approves: false,
        created_at: at(0),
        expires_at: at(100),
    };
    create_token(&store, token).await.unwrap();
    assert_eq!(expired(&store, at(100) - MOMENT).await, Expired::default());
    let one = Expired { bootstrap_tokens: 1, ..Expired::default() };
    assert_eq!(expired(&store, at(100)).await, one);
    assert_eq!(database.count("bootstrap_tokens").await, 0);
}

async fn command_tokens_go_when_they_end(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    ended(&store, &agent, at(30)).await;
    scheduled(&store, &agent).await;
    begun(&store, &agent, at(10)).await;
    let end = at(10) + TOKEN_LIFE;
    assert_eq!(expired(&store, end - MOMENT).await, Expired::default());
    let one = Expired { command_tokens: 1, ..Expired::default() };
    assert_eq!(expired(&store, end).await, one, "the other's command has not ended");
    assert_eq!(database.count("commands WHERE token_hash IS NOT NULL").await, 1);
}

async fn identities_without_an_event_go_after_a_day(database: Database) {
    let store = open(&database).await;
    let known = identity();
    events::accept(&store, vec![delivery(event(), &[known])]).await.unwrap();
    assert_eq!(expired(&store, at(2) + 12 * MONTH).await, Expired::default(), "its event is there");
    database.execute("DELETE FROM events").await;
    assert_eq!(expired(&store, at(2) + DAY - MOMENT).await, Expired::default());
    let one = Expired { identities: 1, ..Expired::default() };
    assert_eq!(expired(&store, at(2) + DAY).await, one);
}

/// Fills a store with events of so many random bytes, a hundred of them.
async fn filled(store: &Store) {
    for n in 0..100_u64 {
        let mut event = event();
        // What cannot be compressed.
        let mut body = vec![0; 40_000];
        ChaCha8Rng::seed_from_u64(n).fill_bytes(&mut body);
        event.body = body.into();
        let id = accepted(store, event).await;
        events::activate(store, activation(&id, vec![])).await.unwrap();
    }
}

#[tokio::test]
async fn space_is_given_back() {
    let database = Database::sqlite();
    let path = database.url().strip_prefix("sqlite://").unwrap().to_owned();
    let size = || std::fs::metadata(&path).unwrap().len();
    let store = open(&database).await;
    filled(&store).await;
    store.close().await;
    let full = size();
    assert!(full > 3_000_000, "{full}");

    let store = open(&database).await;
    // Others write meanwhile.
    let writing = async {
        for _ in 0..50 {
            accepted(&store, event()).await;
        }
    };
    let all = RetentionSettings::default();
    let removing = async {
        let gone = retention(&store, &all, at(2) + MONTH, false).await.unwrap();
        assert_eq!(gone.events, 100);
    };
    tokio::join!(writing, removing);
    assert_eq!(give_back(&store).await.unwrap(), GivenBack::default(), "again");
    store.close().await;
    assert!(size() < full / 4, "{} of {full}", size());
    assert_eq!(database.count("events").await, 50);
}

/// What an earlier version made keeps its size, and says how much of it is free.
#[tokio::test]
async fn an_earlier_versions_file_says_what_is_free() {
    let database = Database::sqlite();
    let store = open(&database).await;
    store.close().await;
    database.execute("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM;").await;
    let store = open(&database).await;
    filled(&store).await;
    retention(&store, &RetentionSettings::default(), at(2) + MONTH, false).await.unwrap();
    let GivenBack { bytes, stuck_bytes } = give_back(&store).await.unwrap();
    assert!(bytes == 0 && stuck_bytes > 3_000_000, "{stuck_bytes}");
}

/// Reading what is due goes by indexes: no table is read as a whole.
#[tokio::test]
async fn runs_are_found_by_their_end() {
    let database = Database::sqlite();
    let store = open(&database).await;
    let agent = agent();
    let event_id = accepted(&store, event()).await;
    let run = new_run(&Scope::Global, &event_id, "triage", agent.name.as_str());
    events::activate(&store, activation(&event_id, vec![run])).await.unwrap();
    let plan = database
        .plan(
            "SELECT r.seq FROM runs r WHERE r.workspace_id = '' \
             AND r.log_removed = 1 AND r.ended_at <= 9 AND (r.ended_at, r.seq) > (-1, -1) \
             ORDER BY r.ended_at, r.seq LIMIT 5",
        )
        .await;
    assert!(plan.contains("runs_ended") && !plan.contains("TEMP B-TREE"), "{plan}");
}
