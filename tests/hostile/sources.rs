//! Sources that misbehave, and nothing is stored: of one that crashes or exceeds a limit, the sender is
//! told to try again; what it makes of a request and may not is the request's fault.

use std::fmt::Write as _;

use super::{MISDEEDS, SANDBOX, folder};
use crate::harness::host::Host;
use crate::harness::senders::{Delivery, hostile};

/// What a source may not answer with, and what its sender hears of it.
const FORGERIES: [(&str, &str); 11] = [
    ("forge", "a webhook source may not make events of the kind `hook.run.completed`"),
    ("forge-kind", "`Not A..kind` is not a kind"),
    ("forge-kind-long", "is not a kind: dotted segments of a-z 0-9 - _, at most 128 characters"),
    ("forge-data", "an event's data is not well-formed JSON"),
    ("forge-reply", "its reply is not one that a source may give"),
    ("forge-more", "more than 1000 events of one request"),
    ("forge-many", "it is beyond the component's output limit"),
    ("forge-identities", "more than 8 identities of one event"),
    ("forge-unnamed", "an event is recognised by 1 to 512 bytes, and not by 0"),
    ("forge-name", "an event is recognised by 1 to 512 bytes, and not by 1024"),
    ("forge-time", "an event of 18446744073709551615 ms after 1970 is none of these years"),
];

/// An endpoint for each of these modes, with a secret, at a slug of the mode's name.
fn endpoints(modes: impl IntoIterator<Item = &'static str>, workspace: &str) -> String {
    let mut config = String::new();
    for mode in modes {
        let _ = writeln!(
            config,
            "[[endpoints]]\nslug = {mode:?}\nworkspace = {workspace:?}\n\
             source = \"hostile-source\"\nsecret_ref = \"env:GITHUB_WEBHOOK_SECRET\"\n\
             config = {{ mode = {mode:?} }}"
        );
    }
    config
}

#[tokio::test]
async fn every_misdeed_is_refused() {
    // An answer that is too large is one that may not be, and no misdeed on the way to it.
    let misdeeds = || MISDEEDS.iter().filter(|(mode, _)| *mode != "output-small");
    let modes = || misdeeds().map(|(mode, _)| *mode).chain(["host-calls"]);
    let folder = folder(SANDBOX, &endpoints(modes().chain(["ok"]), "")).await;
    let host = folder.serve().await;
    for mode in modes() {
        let answer = host.deliver(mode, hostile(b"{}")).await;
        assert_eq!(answer.problem(503), "component_error", "{mode}");
        assert!(answer.headers.contains_key("retry-after"), "{mode}: {answer:?}");
        assert!(!answer.headers.contains_key("set-cookie"), "{mode}: {answer:?}");
        host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    }
    assert_eq!(folder.database.count("events").await as usize, modes().count());
    let id = host.deliver("ok", hostile(b"{\"a\":1}")).await.event_id(202);
    assert_eq!(host.decided(&id).await["verified"]["scheme"], "hostile");
    let written = folder.read("serve.log").unwrap();
    for (mode, wanted) in misdeeds().chain(&[("host-calls", "host call limit")]) {
        assert!(written.contains(wanted), "the host's log tells of {mode}");
    }
}

#[tokio::test]
async fn what_a_source_may_not_make_is_refused_with_its_reason() {
    let modes = || FORGERIES.map(|(mode, _)| mode).into_iter().chain(["output-small"]);
    let folder = folder(SANDBOX, &endpoints(modes(), "")).await;
    let host = folder.serve().await;
    let unknown = host.deliver("nope", hostile(b"{}")).await;
    for (mode, reason) in FORGERIES.into_iter().chain([("output-small", "output limit")]) {
        let answer = host.deliver(mode, hostile(b"{}")).await;
        assert_eq!(answer.problem(422), "malformed", "{mode}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("what `hostile-source` makes of it cannot be taken: "), "{detail}");
        assert!(detail.contains(reason), "{mode}: {detail}");
        assert!(!answer.headers.contains_key("set-cookie"), "{mode}: {answer:?}");
        // Who has proved nothing hears nothing.
        let forged = host.deliver(mode, hostile(b"{}").with("x-signature", "00")).await;
        assert_eq!((forged.status, &forged.body), (401, &unknown.body), "{mode}");
    }
    assert_eq!(folder.database.count("events").await, 0);
    assert!(!folder.read("serve.log").unwrap().contains("ERROR"));
}

/// A component that does not ask for verification cannot let anything in, nor can one that asks
/// and is told no.
#[tokio::test]
async fn nothing_unverified_passes_an_endpoint_with_a_secret() {
    let modes = ["unverified", "ok", "forge-reply", "files"];
    let folder = folder(SANDBOX, &endpoints(modes, "")).await;
    let host = folder.serve().await;
    let unknown = host.deliver("nope", hostile(b"{}")).await;
    let signed = host.deliver("unverified", hostile(b"{}")).await;
    assert_eq!((signed.problem(401), &signed.body), ("not_accepted".to_owned(), &unknown.body));
    for mode in modes {
        for delivery in
            [hostile(b"{}").with("x-signature", "00"), hostile(b"{}").without("x-signature")]
        {
            let answer = host.deliver(mode, delivery).await;
            assert_eq!((answer.status, &answer.body), (401, &unknown.body), "{mode}");
        }
    }
    assert_eq!(folder.database.count("events").await, 0);
}

#[tokio::test]
async fn a_source_sees_nothing_but_the_request() {
    let folder = folder(SANDBOX, &endpoints(["files"], "")).await.env("LEAKED", "leaked");
    let host = folder.serve().await;
    let wanted = "file=denied directory=denied write=denied environment=empty arguments=empty \
                  network=denied";
    assert_eq!(report(&host, "files", b"1", "").await, wanted);
}

/// Each workspace has instances of its own, although component and configuration are the same.
#[tokio::test]
async fn nothing_of_a_workspace_is_in_anothers_instance() {
    let mut config = String::new();
    for workspace in ["acme", "umbrella"] {
        config += &endpoints(["state"], workspace);
    }
    let folder = folder(SANDBOX, &config).await;
    let host = folder.serve().await;
    for (workspace, body, calls) in
        [("acme", b"1", 1), ("acme", b"2", 2), ("umbrella", b"1", 1), ("acme", b"3", 3)]
    {
        let found = report(&host, &format!("{workspace}/state"), body, workspace).await;
        assert_eq!(found, format!("calls={calls}"), "{workspace}");
    }
}

async fn report(host: &Host, path: &str, body: &[u8], workspace: &str) -> String {
    let id = host.deliver(path, hostile(body)).await.event_id(202);
    let event = host.decided_in(&id, workspace).await;
    event["envelope"]["data"]["report"].as_str().unwrap().to_owned()
}
