//! Others are served while a component misbehaves.

use std::time::{Duration, Instant};

use super::{filtering, folder};
use crate::harness::senders::{Delivery, hostile};

/// Long enough for everything else of these tests to happen meanwhile.
const LONG: &str = "[sandbox]\nfuel = 1_000_000_000_000_000\ntime = \"4s\"";
const OTHERS: &str = r#"
    [[endpoints]]
    slug = "other"
    verification = "none"
    [[triggers]]
    name = "other"
    event = "webhook"
    endpoint = "other"
    agent = "agent"
    filter = { "data.a" = "1" }
    prompt = "{{data.a}}"
"#;

#[tokio::test]
async fn events_are_decided_while_filters_loop() {
    let folder = folder(LONG, &(filtering("loop", "loop") + OTHERS)).await;
    let host = folder.serve().await;
    let mut looping = vec![];
    for _ in 0..4 {
        looping.push(host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202));
    }
    for _ in 0..10 {
        let begin = Instant::now();
        let id = host.deliver("other", Delivery::new(&[], b"{\"a\":1}")).await.event_id(202);
        assert!(begin.elapsed() < Duration::from_secs(1), "answered after {:?}", begin.elapsed());
        assert_eq!(host.decided(&id).await["decisions"][0]["outcome"], "fired");
    }
    let last = host.read(&format!("events/{}", looping[3])).await;
    assert!(last["activated_at"].is_null(), "the others were decided while filters looped");
    for id in looping {
        let event = host.decided(&id).await;
        assert_eq!(event["decisions"][0]["outcome"], "component_error");
    }
}

#[tokio::test]
async fn requests_are_answered_while_sources_loop() {
    let config = "[[endpoints]]\nslug = \"loop\"\nsource = \"hostile-source\"\n\
                  secret_ref = \"env:GITHUB_WEBHOOK_SECRET\"\nconfig = { mode = \"loop\" }\n";
    let folder = folder(LONG, &(config.to_owned() + OTHERS)).await;
    let host = folder.serve().await;
    let looping =
        futures_util::future::join_all((0..4).map(|_| host.deliver("loop", hostile(b"{}"))));
    let others = async {
        let begin = Instant::now();
        for _ in 0..10 {
            host.deliver("other", Delivery::new(&[], b"{\"a\":1}")).await.event_id(202);
        }
        begin.elapsed()
    };
    let (answers, taken) = tokio::join!(looping, others);
    assert!(taken < Duration::from_secs(2), "ten requests took {taken:?}");
    for answer in answers {
        assert_eq!(answer.problem(503), "component_error");
    }
}
