//! An extension that does what its configuration `{"mode": "…", "url": "…"}` says; reports come as
//! the data of `ext.report`, `{"report": "…"}`. `ok` finds nothing.
//!
//! `fetch` reports what came of fetching the URL; `fetch-loop` computes without end after that, and
//! `fetch-many` goes on fetching. `clock` reports the difference of the real time and the poll's
//! own. `count` counts the polls in its state and reports the count, `count-retry` counts and
//! refuses. `retry`, `failed` and `invalid-config` refuse; `cursor` and `cursor-nul` end with a
//! cursor that is none, and `forge` with a hook's event. `page` finds nothing and says how to go
//! on. `state` and all other misdeeds are as everywhere.

use hillock_plugin_sdk::extension::{Activation, Batch, Context, Diagnostic, Extension, PollError};
use hillock_plugin_sdk::http::{Request, fetch};
use hillock_plugin_sdk::{clock, export_extension, state};
use misdeeds::Mode;
use serde_json::Value;

struct Hostile;

export_extension!(Hostile);

impl Extension for Hostile {
    fn check(config: String) -> Vec<Diagnostic> {
        let config: Value = serde_json::from_str(&config).unwrap_or_default();
        let fetched = fetched(&config);
        vec![Diagnostic::at("url", format!("{fetched} at {}", clock::now()))]
    }

    fn poll(context: Context) -> Result<Batch, PollError> {
        let config: Value = serde_json::from_str(&context.config).unwrap_or_default();
        let mode = Mode::named(config["mode"].as_str().unwrap_or("ok"));
        match (
            mode.commit(|| {
                clock::now();
            }),
            mode,
        ) {
            (Some(report), _) => Ok(reported(&report)),
            (None, Mode::Other(name)) => polled(&name, &config, context),
            (None, _) => Ok(Batch::new(Vec::new(), None)),
        }
    }
}

fn polled(name: &str, config: &Value, context: Context) -> Result<Batch, PollError> {
    Ok(match name {
        "fetch" => reported(&fetched(config)),
        "fetch-loop" => {
            fetched(config);
            Mode::Loop.commit(|| ());
            reported("the loop has ended")
        }
        "fetch-many" => loop {
            fetched(config);
        },
        "clock" => reported(&format!("late={}", clock::now() >= context.now)),
        "count" => reported(&format!("count={}", count())),
        "count-retry" => return Err(PollError::Retry(format!("after {}", count()))),
        "retry" => return Err(PollError::Retry("later".to_owned())),
        "failed" => return Err(PollError::Failed("never".to_owned())),
        "invalid-config" => return Err(PollError::InvalidConfig("not so".to_owned())),
        "cursor" => Batch::new(Vec::new(), Some("c".repeat(16 * 1024 + 1))),
        "cursor-nul" => Batch::new(Vec::new(), Some("\0".to_owned())),
        "forge" => Batch::new(vec![Activation::new("hook.run.failed", "{}")], None),
        "page" => {
            let next = format!("{}+1", context.cursor.unwrap_or_default());
            Batch { next_delay_ms: Some(5000), more: true, ..Batch::new(Vec::new(), Some(next)) }
        }
        _ => return Err(PollError::Failed(format!("no mode `{name}`"))),
    })
}

fn fetched(config: &Value) -> String {
    let url = config["url"].as_str().unwrap_or_default();
    match fetch(&Request::get(url).header("x-hostile", "yes")) {
        Ok(response) => {
            let (status, bytes) = (response.status, response.body.len());
            format!("status={status} bytes={bytes} type={:?}", response.header("Content-Type"))
        }
        Err(error) => error.message(),
    }
}

fn count() -> u64 {
    let count = state::get("count").and_then(|count| count.parse().ok()).unwrap_or(0_u64) + 1;
    state::set("count", &count.to_string());
    count
}

fn reported(report: &str) -> Batch {
    let data = serde_json::json!({ "report": report }).to_string();
    Batch::new(vec![Activation::new("ext.report", data)], None)
}
