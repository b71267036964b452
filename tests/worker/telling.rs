//! What programs tell beside what they write, what they are told, and what is kept in confidence.

use hillock::dispatch::protocol::{Held, ToHost, ToWorker};
use hillock::model::command::{Control, Token};
use hillock::model::run::Ending;
use hillock::{clock::Clock, model::id::InputId};
use serde_json::json;

use super::stand_in::{Carried, StandIn, TOKEN};
use crate::harness::database::Database;
use crate::harness::folder::Folder;

const SECRET: &str = "s3cr3t-\"of\"-the-agent";

async fn folder() -> Folder {
    Folder::new(Database::sqlite(), "").await
}

#[tokio::test]
async fn an_agent_asks_and_is_answered() {
    let (mut host, folder) = (StandIn::start("approved").await, folder().await);
    folder.write(
        "agent.sh",
        r#"read -r first; printf '{"type":"heard","line":%s}\n' "$first"
           echo '{"type":"waiting_for_input","prompt":"Which one?"}'
           read -r answer; printf '%s\n' "$answer"
           echo '{"type":"result","data":{"ok":true}}'"#,
    );
    let flags = ["--agent", "agent=sh agent.sh", "--interactive", "--join", TOKEN];
    let _worker = host.employ(&folder, &flags);
    let (mut peer, _) = host.greeted().await;
    let held = peer.order("choose", None).await;
    let mut events = vec![];
    while events.len() < 2 {
        match peer.hear().await {
            ToHost::Events { events: told, .. } => {
                events.extend(told.into_iter().map(|event| event.data));
            }
            ToHost::Acknowledged { .. } | ToHost::Started { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let prompt = json!({ "type": "prompt", "text": "choose" });
    assert_eq!(events[0], json!({ "type": "heard", "line": prompt }));
    assert_eq!(events[1], json!({ "type": "waiting_for_input", "prompt": "Which one?" }));

    let input_id: InputId = Clock.input_id();
    let word = Held { command_id: Clock.command_id(), token: Token::mint([77; 32]) };
    let control = Control::Input {
        input_id: input_id.clone(),
        command_id: held.command_id.clone(),
        text: "the \"second\"\n".to_owned(),
    };
    peer.say(&ToWorker::Control { held: word.clone(), control }).await;
    let mut answered = false;
    let mut ended = None;
    while ended.is_none() || !answered {
        match peer.hear().await {
            ToHost::Events { events: told, .. } => {
                events.extend(told.into_iter().map(|event| event.data));
            }
            ToHost::Finished { held: whose, ending } if whose == word => {
                assert_eq!(ending, Ending::Completed);
                answered = true;
            }
            ToHost::Finished { ending, .. } => ended = Some(ending),
            ToHost::Acknowledged { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let input = json!({ "type": "input", "id": input_id, "text": "the \"second\"\n" });
    let result = json!({ "type": "result", "data": { "ok": true } });
    assert_eq!((&events[2..], ended), (&[input, result][..], Some(Ending::Completed)));
}

/// In lines of both streams, in events, and in a line that is cut in two.
#[tokio::test]
async fn what_an_agent_is_given_in_confidence_does_not_leave_its_machine() {
    let (mut host, folder) = (StandIn::start("approved").await, folder().await);
    let flags = ["--agent", "agent=bash", "--env", "AGENT_KEY", "--join", TOKEN];
    let _worker = host.employ_with(&folder, &flags, &[("AGENT_KEY", SECRET)]);
    let (mut peer, _) = host.greeted().await;
    let script = r#"
        echo "key: $AGENT_KEY"; echo "$AGENT_KEY" >&2
        printf '{"type":"a","key":"%s"}\n' "${AGENT_KEY//\"/\\\"}"
        printf '%s%s\n' "$(head -c 16375 /dev/zero | tr '\0' x)" "$AGENT_KEY"
        printf '%s' "${AGENT_KEY:0:7}"; sleep 0.2; echo "${AGENT_KEY:7}"
        echo "${#AGENT_KEY}"
    "#;
    let Carried { lines, events, ending } = peer.carried_out(script, None).await;
    assert_eq!(ending, Ending::Completed);
    assert_eq!(events, [json!({ "type": "a", "key": "[redacted:AGENT_KEY]" })]);
    let shown = lines.concat();
    assert!(!shown.contains(&SECRET[..7]) && !shown.contains("the-agent"), "{shown}");
    assert_eq!(shown.matches("[redacted:AGENT_KEY]").count(), 4, "{shown}");
    assert!(lines.contains(&SECRET.len().to_string()), "it had it: {shown}");
}
