//! Run input: modes, outcomes, questions, and words that reach nobody.

use std::sync::Arc;

use hillock::model::command::Control;
use hillock::model::id::RunId;
use hillock::model::input::{Addressee, InputMode, InputOutcome, PendingInput, RunInput};
use hillock::model::policy::{Attempts, Policy};
use hillock::model::run::{Ending, Interaction, RunStatus};
use hillock::model::scope::Scope;
use hillock::model::task::TaskStatus;
use hillock::model::time::Time;
use hillock::store::commands::{self, Fence};
use hillock::store::inputs::{self, Given};
use hillock::store::tasks;
use tokio::task::JoinSet;

use super::fixture::{Held, Host, at, under};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_question_is_answered_by_a_word,
    a_later_question_is_not_answered_by_an_earlier_word,
    a_word_that_fails_becomes_a_run_behind,
    a_word_that_expires_after_the_end_becomes_a_run,
    a_word_to_what_was_called_off_becomes_nothing,
    follow_ups_keep_their_order,
    what_has_not_begun_is_not_interrupted,
    an_interruption_begins_the_next_attempt,
    a_waiting_attempt_is_replaced,
    calling_off_ends_an_interruption,
    an_ended_run_is_restarted,
    a_run_without_a_session_begins_one,
    steering_needs_a_program_that_takes_it,
    the_same_key_is_the_same_input,
    rivals_under_one_key_give_one_input,
    rivals_give_their_inputs_one_after_the_other,
);

use InputMode::{Followup, Interrupt, Queue, Steer};
use InputOutcome::{Direct, Interrupted, Queued, Restarted};

async fn ask(host: &Host, run: &RunId, seq: i64, now: Time) {
    let prompt = Some(format!("question {seq}"));
    let question = PendingInput { run_id: run.clone(), seq, prompt, asked_at: now };
    inputs::ask(&host.store, question).await.unwrap();
}

async fn pending(host: &Host, run: &RunId) -> Vec<i64> {
    let pending = inputs::pending(&host.store, run).await.unwrap();
    pending.into_iter().map(|question| question.seq).collect()
}

async fn inputs_of(host: &Host, run: &RunId) -> Vec<RunInput> {
    inputs::of_run(&host.store, run).await.unwrap()
}

fn to(held: &Held) -> Addressee {
    Addressee::Run(held.run_id.clone())
}

async fn a_question_is_answered_by_a_word(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    ask(&host, &held.run_id, 3, at(2)).await;
    assert_eq!(host.status(&task).await, TaskStatus::Waiting);
    assert_eq!(host.run(&held.run_id).await.interaction, Interaction::WaitingForInput);
    let given = host.give(Addressee::Task(task.clone()), Followup, "yes", at(3)).await;
    assert_eq!((given.outcome, &given.into_run_id), (Direct, &held.run_id));
    let (id, token, control) = host.words(at(4)).await.remove(0);
    let Control::Input { input_id, command_id, text } = control else { panic!("{control:?}") };
    assert_eq!((input_id, command_id, text.as_str()), (given.id, held.id.clone(), "yes"));
    assert_eq!(pending(&host, &held.run_id).await, [3], "until it has it");
    host.answer(&id, &token, Ending::Completed, at(5)).await;
    assert!(pending(&host, &held.run_id).await.is_empty());
    assert_eq!(host.status(&task).await, TaskStatus::Running);
    assert_eq!(inputs_of(&host, &held.run_id).await[0].delivered_at, Some(at(5)));
    host.finish(&held, Ending::Completed, at(6)).await;
    assert_eq!(host.status(&task).await, TaskStatus::Done);
    assert_eq!(host.run(&held.run_id).await.interaction, Interaction::Closed);
    // Nobody asks after the end.
    ask(&host, &held.run_id, 9, at(7)).await;
    assert!(pending(&host, &held.run_id).await.is_empty());
}

async fn a_later_question_is_not_answered_by_an_earlier_word(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    ask(&host, &held.run_id, 1, at(2)).await;
    host.give(to(&held), Followup, "yes", at(3)).await;
    let (id, token, _) = host.words(at(4)).await.remove(0);
    ask(&host, &held.run_id, 2, at(5)).await;
    host.answer(&id, &token, Ending::Completed, at(6)).await;
    assert_eq!(pending(&host, &held.run_id).await, [2]);
    assert_eq!(host.status(&task).await, TaskStatus::Waiting);
    // What a lost attempt asked, the next one does not.
    let handed = claims::hand_back(&host.store, &held, at(7)).await.unwrap();
    assert_eq!(handed, Fence::Held);
    assert!(pending(&host, &held.run_id).await.is_empty());
    let again = host.start(at(8)).await;
    ask(&host, &again.run_id, 4, at(9)).await;
    assert_eq!(pending(&host, &held.run_id).await, [4]);
}

async fn a_word_that_fails_becomes_a_run_behind(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    ask(&host, &held.run_id, 1, at(2)).await;
    let given = host.give(to(&held), Followup, "yes", at(3)).await;
    let (id, token, _) = host.words(at(4)).await.remove(0);
    let gone = Ending::failed("the program is gone");
    host.answer(&id, &token, gone, at(5)).await;
    let input = inputs_of(&host, &held.run_id).await.remove(0);
    assert_eq!((input.id, input.outcome), (given.id, Queued));
    assert_eq!(host.read(&task).await.run_id, input.into_run_id);
    host.finish(&held, Ending::Completed, at(6)).await;
    assert_eq!(host.status(&task).await, TaskStatus::Queued);
    let next = host.start(at(7)).await;
    assert_eq!((next.run_id, next.prompt.as_str()), (input.into_run_id, "yes"));
    let input = inputs_of(&host, &held.run_id).await.remove(0);
    assert_eq!(input.delivered_at, Some(at(7)));
}

async fn a_word_that_expires_after_the_end_becomes_a_run(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    ask(&host, &held.run_id, 1, at(2)).await;
    host.give(to(&held), Followup, "yes", at(3)).await;
    host.finish(&held, Ending::failed("exit 1"), at(4)).await;
    commands::expire(&host.store, at(62)).await.unwrap();
    assert_eq!(inputs_of(&host, &held.run_id).await[0].outcome, Direct, "not yet");
    commands::expire(&host.store, at(63)).await.unwrap();
    commands::expire(&host.store, at(64)).await.unwrap();
    let input = inputs_of(&host, &held.run_id).await.remove(0);
    assert_eq!(input.outcome, Restarted);
    assert!(host.words(at(65)).await.is_empty());
    let next = host.start(at(66)).await;
    assert_eq!((next.run_id, next.prompt.as_str()), (input.into_run_id, "yes"));
    assert_eq!(host.status(&task).await, TaskStatus::Running, "it is taken up again");
    assert_eq!(host.runs(&task).await.len(), 2);
}

async fn a_word_to_what_was_called_off_becomes_nothing(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    ask(&host, &held.run_id, 1, at(2)).await;
    host.give(to(&held), Followup, "yes", at(3)).await;
    tasks::cancel(&host.store, &Scope::Global, &task, at(4)).await.unwrap();
    commands::expire(&host.store, at(63)).await.unwrap();
    host.finish(&held, Ending::Canceled, at(64)).await;
    assert_eq!(host.runs(&task).await.len(), 1);
    let input = inputs_of(&host, &held.run_id).await.remove(0);
    assert_eq!((input.outcome, input.delivered_at), (Direct, None));
}

async fn follow_ups_keep_their_order(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let mut held = host.start(at(1)).await;
    for n in 1..=5 {
        let mode = [Followup, Queue, Steer][n % 3];
        let text = format!("follow-up {n}");
        let given = host.give(Addressee::Task(task.clone()), mode, &text, at(2)).await;
        assert_eq!(given.outcome, Queued);
    }
    for n in 1..=5 {
        assert!(host.claim_all(at(10)).await.is_empty(), "one at a time");
        let ending = if n % 2 == 0 { Ending::Completed } else { Ending::failed("exit 1") };
        host.finish(&held, ending, at(10)).await;
        held = host.start(at(11)).await;
        assert_eq!(held.prompt, format!("follow-up {n}"));
    }
    host.finish(&held, Ending::Completed, at(12)).await;
    assert_eq!(host.status(&task).await, TaskStatus::Done);
}

async fn what_has_not_begun_is_not_interrupted(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    for (mode, n) in [(Interrupt, 1), (Followup, 2), (Steer, 3), (Queue, 4)] {
        let given = host.give(Addressee::Task(task.clone()), mode, "more", at(n)).await;
        assert_eq!(given.outcome, Queued, "{mode}");
    }
    let sent = host.claim(at(5)).await;
    assert_eq!(sent.prompt, "work");
    assert_eq!(host.give(to(&sent), Interrupt, "more", at(6)).await.outcome, Queued);
    assert_eq!(host.runs(&task).await.len(), 6);
}

async fn an_interruption_begins_the_next_attempt(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    let behind = host.give(to(&held), Followup, "behind", at(2)).await;
    let given = host.give(to(&held), Interrupt, "stop: this", at(3)).await;
    assert_eq!((given.outcome, &given.into_run_id), (Interrupted, &held.run_id));
    let more = host.give(to(&held), Interrupt, "and that", at(4)).await;
    assert_eq!((more.outcome, &more.command_id), (Interrupted, &given.command_id));
    assert_eq!(host.give(to(&held), Steer, "last", at(4)).await.outcome, Queued);
    let words = host.words(at(5)).await;
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!(words[0].2, Control::Cancel { command_id: held.id.clone() });
    host.finish(&held, Ending::Canceled, at(6)).await;
    let next = host.start(at(7)).await;
    assert_eq!((&next.run_id, &next.id), (&held.run_id, &given.command_id));
    assert_eq!(next.prompt, "stop: this\n\nand that");
    let delivered = inputs_of(&host, &held.run_id).await;
    let at_once = delivered.iter().filter(|input| input.outcome == Interrupted);
    assert!(at_once.clone().count() == 2 && at_once.clone().all(|i| i.delivered_at == Some(at(7))));
    assert_eq!(host.run(&next.run_id).await.attempt, 2);
    host.finish(&next, Ending::Completed, at(8)).await;
    assert_eq!(host.start(at(9)).await.run_id, behind.into_run_id);
    assert_eq!(host.status(&task).await, TaskStatus::Running);
}

async fn a_waiting_attempt_is_replaced(database: Database) {
    let host = Host::open(database).await;
    let retry = Attempts { attempts: 3, delay_ms: 600_000 };
    let task = host.task_as(under(Policy { retry, ..Policy::default() }), at(0)).await.made.id;
    let held = host.start(at(1)).await;
    host.finish(&held, Ending::failed("exit 1"), at(2)).await;
    assert!(host.claim_all(at(3)).await.is_empty());
    let given = host.give(to(&held), Interrupt, "instead", at(4)).await;
    assert_eq!(given.outcome, Interrupted);
    assert_eq!(host.give(to(&held), Interrupt, "and this", at(4)).await.outcome, Interrupted);
    assert_eq!(host.give(to(&held), Followup, "after it", at(4)).await.outcome, Queued);
    let next = host.start(at(5)).await;
    assert_eq!((&next.run_id, &next.id), (&held.run_id, &given.command_id));
    assert_eq!(next.prompt, "instead\n\nand this");
    assert_eq!(host.status(&task).await, TaskStatus::Running);
}

async fn calling_off_ends_an_interruption(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    host.give(to(&held), Interrupt, "instead", at(2)).await;
    commands::cancel(&host.store, &Scope::Global, &held.run_id, at(3)).await.unwrap();
    // What is asked of it from now on begins anew.
    let again = host.give(Addressee::Task(task.clone()), Followup, "again", at(4)).await;
    assert_eq!(again.outcome, Restarted);
    host.finish(&held, Ending::Canceled, at(5)).await;
    assert_eq!(host.run(&held.run_id).await.status, RunStatus::Canceled);
    assert_eq!(host.status(&task).await, TaskStatus::Queued);
    assert_eq!(host.start(at(6)).await.run_id, again.into_run_id);
}

async fn an_ended_run_is_restarted(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await;
    let held = host.start(at(1)).await;
    host.finish(&held, Ending::Completed, at(2)).await;
    for (mode, n) in [(Queue, 3), (Followup, 4), (Steer, 5), (Interrupt, 6)] {
        let given = host.give(to(&held), mode, "again", at(n)).await;
        assert_eq!(given.outcome, Restarted, "{mode}");
        let next = host.start(at(n)).await;
        assert_eq!((&next.run_id, next.prompt.as_str()), (&given.into_run_id, "again"));
        assert_eq!(next.terms.session, task.made.terms.session);
        host.finish(&next, Ending::Completed, at(n)).await;
    }
}

async fn a_run_without_a_session_begins_one(database: Database) {
    let host = Host::open(database).await;
    let without = |task: hillock::model::task::NewTask| {
        let terms = hillock::model::run::Terms { session: None, ..task.terms.clone() };
        hillock::model::task::NewTask { terms, ..task }
    };
    host.task_as(without, at(0)).await;
    let held = host.start(at(1)).await;
    assert_eq!(held.terms.session, None);
    let first = host.give(to(&held), Followup, "first", at(2)).await.into_run_id;
    let second = host.give(to(&held), Followup, "second", at(3)).await.into_run_id;
    assert!(host.claim_all(at(4)).await.is_empty(), "the session is the first run's");
    host.finish(&held, Ending::Completed, at(5)).await;
    let next = host.start(at(6)).await;
    assert_eq!(next.run_id, first);
    assert_eq!(next.terms.session.as_ref().unwrap().key.as_str(), held.run_id.as_str());
    assert!(host.claim_all(at(7)).await.is_empty());
    host.finish(&next, Ending::Completed, at(8)).await;
    assert_eq!(host.start(at(9)).await.run_id, second);
}

async fn steering_needs_a_program_that_takes_it(database: Database) {
    let host = Host::open(database).await;
    host.task_as(under(Policy { interactive: true, ..Policy::default() }), at(0)).await;
    let held = host.start(at(1)).await;
    assert_eq!(host.give(to(&held), Followup, "more", at(2)).await.outcome, Queued);
    assert_eq!(host.give(to(&held), Steer, "left", at(2)).await.outcome, Direct);
    let (id, token, control) = host.words(at(3)).await.remove(0);
    assert!(matches!(control, Control::Input { text, .. } if text == "left"));
    host.answer(&id, &token, Ending::Completed, at(4)).await;
    let inputs = inputs_of(&host, &held.run_id).await;
    assert!(inputs.iter().any(|input| input.delivered_at == Some(at(4))), "{inputs:?}");
}

async fn the_same_key_is_the_same_input(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    let once = async |text, now| {
        let task = Addressee::Task(task.clone());
        host.give_once(task, Followup, text, Some("key"), now).await.unwrap()
    };
    let Given::New(first) = once("more", at(2)).await else { panic!("it is new") };
    assert_eq!(once("more", at(3)).await, Given::Known(first.clone()));
    assert_eq!(once("less", at(4)).await, Given::Mismatch);
    // Whatever run of the task is present by then.
    host.finish(&held, Ending::Completed, at(5)).await;
    let second = host.start(at(6)).await;
    let Given::Known(known) = once("more", at(7)).await else { panic!("it is known") };
    assert_eq!((known.id, known.into_run_id), (first.id, second.run_id));
    assert_eq!(host.runs(&task).await.len(), 2);
    let missing = Addressee::Run(hillock::clock::Clock.run_id());
    assert_eq!(host.give_once(missing, Queue, "x", None, at(8)).await, None);
}

async fn rivals_under_one_key_give_one_input(database: Database) {
    let host = Arc::new(Host::open(database).await);
    let task = host.task(at(0)).await.made.id;
    let mut rivals = JoinSet::new();
    for _ in 0..12 {
        let (host, to) = (Arc::clone(&host), Addressee::Task(task.clone()));
        rivals.spawn(async move { host.give_once(to, Queue, "x", Some("key"), at(1)).await });
    }
    let mut made = 0;
    for given in rivals.join_all().await {
        match given.unwrap() {
            Given::New(_) => made += 1,
            Given::Known(_) => {}
            Given::Mismatch => panic!("they say the same"),
        }
    }
    assert_eq!((made, host.runs(&task).await.len()), (1, 2));
}

async fn rivals_give_their_inputs_one_after_the_other(database: Database) {
    let host = Arc::new(Host::open(database).await);
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    let mut rivals = JoinSet::new();
    for n in 0..12 {
        let (host, to) = (Arc::clone(&host), Addressee::Task(task.clone()));
        rivals.spawn(async move { host.give(to, Followup, &format!("{n}"), at(2)).await });
    }
    host.finish(&held, Ending::Completed, at(3)).await;
    for given in rivals.join_all().await {
        let outcome = given.outcome;
        assert!([Queued, Restarted].contains(&outcome), "{outcome}");
    }
    let runs = host.runs(&task).await;
    assert_eq!(runs.len(), 13);
    for run in &runs[1..] {
        let next = host.start(at(4)).await;
        assert_eq!(next.run_id, run.made.id, "in the order of their making");
        host.finish(&next, Ending::Completed, at(5)).await;
    }
    assert_eq!(host.status(&task).await, TaskStatus::Done);
}
