//! Events of runs, told by a worker that is spoken by hand.

use hillock::clock::Clock;
use hillock::dispatch::protocol::{Held, ToHost, ToWorker};
use hillock::model::command::Token;
use hillock::model::run::{Ending, LogLine, RunEvent, Stream as Of};
use serde_json::{Value, json};

use super::stream::Stream;
use super::{host_folder, run};
use crate::harness::database::Database;
use crate::harness::on_both_databases;
use crate::worker::protocol::Link;

on_both_databases!(events_are_told_and_mean_something, a_stale_token_tells_nothing);

async fn events_are_told_and_mean_something(database: Database) {
    let folder = host_folder(database).await;
    let host = folder.serve().await;
    let mut link = Link::greeted(&host).await;
    let run = run(&host).await;
    let held = link.order().await;
    link.say(&ToHost::Acknowledged { held: held.clone() }).await;
    link.say(&ToHost::Started { held: held.clone() }).await;
    let mut stream = Stream::open(&host, &run, None).await;
    let question = json!({ "type": "waiting_for_input", "prompt": "Which one?" });
    let told =
        vec![event("progress", json!({ "percent": 50 })), event("waiting_for_input", question)];
    for _ in 0..2 {
        link.say(&events(&held, 1, told.clone())).await;
        let noted = link.hear().await;
        assert!(matches!(noted, Some(ToWorker::Noted { through: 2, .. })), "{noted:?}");
    }
    let first = stream.next_of("event").await;
    assert_eq!((first.id.as_str(), &first.data["kind"]), ("l0-e1", &json!("progress")));
    assert_eq!((&first.data["seq"], &first.data["data"]["percent"]), (&json!(1), &json!(50)));
    let status = stream.next_of("status").await;
    assert_eq!(status.data["run"]["interaction"], "waiting_for_input");
    assert_eq!(status.data["pending_inputs"][0]["prompt"], "Which one?");

    let page = host.read(&format!("runs/{run}/events?after=1")).await;
    assert_eq!(page["events"][0]["kind"], "waiting_for_input");
    assert_eq!((&page["next_after"], &page["status"]), (&json!(2), &json!("running")));
    let batch = host.read(&format!("runs/{run}/activity?events_after=1")).await;
    assert_eq!(batch["events"], page["events"]);
    assert_eq!(batch["pending_inputs"], status.data["pending_inputs"]);
    assert_eq!(batch["pending_inputs"][0]["seq"], 2);

    let result = json!({ "type": "result", "data": { "answer": 42 } });
    link.say(&events(&held, 3, vec![event("result", result)])).await;
    assert!(matches!(link.hear().await, Some(ToWorker::Noted { through: 3, .. })));
    link.say(&ToHost::Finished { held, ending: Ending::Completed }).await;
    assert!(matches!(link.hear().await, Some(ToWorker::Settled { .. })));
    let end = stream.next_of("end").await;
    assert_eq!((end.id.as_str(), &end.data["pending_inputs"]), ("l0-e3-end", &json!([])));
    assert_eq!(end.data["run"]["result"], json!({ "answer": 42 }));
    let ended = host.read(&format!("runs/{run}")).await;
    let stand = (&ended["result"]["answer"], &ended["interaction"]);
    assert_eq!(stand, (&json!(42), &json!("closed")));
}

/// Nor does one that is current leave anything out.
async fn a_stale_token_tells_nothing(database: Database) {
    let folder = host_folder(database).await;
    let host = folder.serve().await;
    let mut link = Link::greeted(&host).await;
    let run = run(&host).await;
    let held = link.order().await;
    link.say(&ToHost::Acknowledged { held: held.clone() }).await;
    link.say(&ToHost::Started { held: held.clone() }).await;
    host.run_with_status(&run, "running").await;
    let stale = Held { token: Token::mint([9; 32]), ..held.clone() };
    let line = LogLine { at: Clock.now(), stream: Of::Stdout, text: "forged".to_owned() };
    let told = || {
        let asked = event("waiting_for_input", json!({ "prompt": "Your password?" }));
        vec![asked, event("result", json!({ "data": "forged" }))]
    };
    for forged in [
        events(&stale, 1, told()),
        ToHost::Logs { held: stale.clone(), first: 1, lines: vec![line] },
        events(&held, 2, told()),
        events(&held, 0, told()),
    ] {
        link.say(&forged).await;
        let answer = link.hear().await;
        assert!(matches!(answer, Some(ToWorker::Refused { .. })), "{forged:?}: {answer:?}");
    }
    let batch = host.read(&format!("runs/{run}/activity")).await;
    for (field, wanted) in
        [("events", json!([])), ("logs", json!([])), ("pending_inputs", json!([]))]
    {
        assert_eq!(batch[field], wanted, "{field}");
    }
    assert_eq!(batch["run"]["interaction"], "working");
    assert_eq!(batch["run"]["result"], Value::Null);
    let mut stream = Stream::open(&host, &run, None).await;
    assert_eq!(stream.next().await.unwrap().name, "status");
}

fn event(kind: &str, data: Value) -> RunEvent {
    RunEvent { at: Clock.now(), kind: kind.parse().unwrap(), data }
}

fn events(held: &Held, first: u64, events: Vec<RunEvent>) -> ToHost {
    ToHost::Events { held: held.clone(), first, events }
}
