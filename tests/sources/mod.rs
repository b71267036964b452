//! Extensions and observers, through the built program: what is outside, below a folder or in the
//! queue becomes events, each once.

pub(crate) mod feed;
mod feeds;
mod files;
mod queue;
mod runs;

use serde_json::Value;

use crate::harness::host::Host;
use crate::harness::wait;

/// How a source fares.
async fn state(host: &Host, source: &str) -> Value {
    host.read(&format!("{source}/state")).await
}

/// How a source fares, once that is as it should be.
async fn state_where(
    host: &Host,
    source: &str,
    what: &str,
    mut is: impl FnMut(&Value) -> bool,
) -> Value {
    wait::until(&format!("{source} {what}"), async || {
        Some(state(host, source).await).filter(&mut is)
    })
    .await
}

/// How a source fares, once it has worked, and not at `before`.
async fn worked(host: &Host, source: &str, before: &Value) -> Value {
    let last = before["last_at"].clone();
    state_where(host, source, "to work again", |now| {
        !now["last_at"].is_null() && now["last_at"] != last
    })
    .await
}

/// The data of the events of a producer so far, oldest first.
async fn data(host: &Host, producer: &str) -> Vec<Value> {
    let mut all = vec![];
    for event in host.items("events").await.into_iter().rev() {
        if event["producer"]["name"] == producer {
            let path = format!("events/{}", event["id"].as_str().unwrap());
            all.push(host.read(&path).await["envelope"].clone());
        }
    }
    all
}

/// The texts of one field of each.
fn texts<'v>(values: &'v [Value], path: &str) -> Vec<&'v str> {
    values.iter().map(|value| value.pointer(path).and_then(Value::as_str).unwrap_or("")).collect()
}

fn instant(value: &Value) -> i64 {
    let time: hillock::model::time::Time = value.as_str().unwrap().parse().unwrap();
    time.as_millis()
}
