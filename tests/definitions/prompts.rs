//! Partials: parts of prompts from `[prompts]` and `prompts.d`, checked with whatever puts them in,
//! and read again.

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use super::{OPEN, create, paths, trigger};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;
use crate::harness::wait;

on_both_databases!(partials_are_put_in_checked_and_read_again);

const PROMPTS: &str = "\n[prompts]\nhello = \"Hello {{> who}}.\"\n";

fn with_prompts(prompt: &str) -> String {
    format!(
        "{OPEN}\ntriggers = [{{ name = \"first\", event = \"webhook\", agent = \"a\", \
         prompt = \"{prompt}\", fire_limit = \"none\" }}]{PROMPTS}"
    )
}

async fn prompts_of(host: &Host) -> Vec<String> {
    let delivery = Delivery::new(&[], b"{\"name\":\"Ann\"}");
    let event = host.deliver("open", delivery).await.event_id(202);
    let event = host.decided(&event).await;
    let mut prompts = Vec::new();
    for decision in event["decisions"].as_array().unwrap() {
        let run = decision["run_id"].as_str().unwrap_or_else(|| panic!("{decision}"));
        prompts
            .push(host.read(&format!("runs/{run}")).await["prompt"].as_str().unwrap().to_owned());
    }
    prompts
}

async fn partials_are_put_in_checked_and_read_again(database: Database) {
    let folder = Folder::new(database, &with_prompts("{{> hello}}")).await;
    std::fs::create_dir(folder.path().join("prompts.d")).unwrap();
    folder.write("prompts.d/who.hbs", "{{data.name}}");
    let host = folder.serve().await;

    let by_api = json!({ "prompt": "{{#with data}}{{> who.too}}{{/with}}" });
    let mut second = trigger("second");
    second.as_object_mut().unwrap().extend(by_api.as_object().unwrap().clone());
    let refused = host.send(Method::POST, "triggers", &second).await;
    assert_eq!((refused.status, paths(&refused)), (422, vec!["trigger.prompt.1:15".to_owned()]));
    assert!(refused.body.contains("there is no partial `who.too`"), "{refused:?}");

    folder.write("prompts.d/who.too.hbs", "too {{../kind}} {{name}}");
    assert_eq!(host.post("config/reload").await.status, 200);
    create(&host, "triggers", &second).await;
    assert_eq!(prompts_of(&host).await, ["Hello Ann.", "too webhook Ann"]);

    // What would break a prompt is refused, wherever that was defined.
    for (file, text, path, told) in [
        ("who", "\n {{data.name", "triggers[0].prompt", "the partial `who`, at 2:13: `{` was not"),
        (
            "who",
            "{{> hello}}",
            "triggers[0].prompt",
            "the partial `who`, at 1:1: partials call each",
        ),
        (
            "who",
            "{{issue}}",
            "triggers[0].prompt",
            "the partial `who`, at 1:1: `issue` is not a field",
        ),
        ("who.too", "{{#if}}{{/if}}", "prompts", "the partial `who.too`, at 1:1: `if` takes one"),
        ("who.too", "{{../../kind}}", "prompts: the trigger `second`.prompt", "leads out of the"),
    ] {
        let before = folder.read(&format!("prompts.d/{file}.hbs")).unwrap();
        folder.write(&format!("prompts.d/{file}.hbs"), text);
        let answer = host.post("config/reload").await;
        assert_eq!(answer.status, 422, "{text}: {answer:?}");
        assert!(
            paths(&answer).contains(&path.to_owned()) && answer.body.contains(told),
            "{answer:?}"
        );
        folder.write(&format!("prompts.d/{file}.hbs"), &before);
    }
    assert_eq!(prompts_of(&host).await, ["Hello Ann.", "too webhook Ann"]);

    folder.write("prompts.d/who.hbs", "all of you");
    host.process.signal(Signal::SIGHUP);
    wait::until("the partial to be read again", async || {
        (prompts_of(&host).await[0] == "Hello all of you.").then_some(())
    })
    .await;

    // Without a host, too.
    folder.write("event.json", "{\"kind\":\"x\",\"data\":{}}");
    folder.write("prompt.hbs", "{{> hello}}");
    let args = ["template", "render", "prompt.hbs", "--envelope", "event.json"];
    let said = folder.hillock(&args).output().await.unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), "Hello all of you.\n");
}
