//! Pre-fire hooks: what they may decide, and what becomes of those that misbehave.

use hillock::model::scope::Scope;
use hillock::sandbox::{Draft, FirePoint, Kind, PreFire, SandboxError};
use serde_json::json;

use super::{AT_MS, acme, at, check_error, mode, name, strict};
use crate::hostile::MISDEEDS;

const HOSTILE: &str = "hostile-pre-fire";

fn draft(config: &str) -> Draft {
    Draft {
        id: "evt_1:triage".to_owned(),
        point: FirePoint::Trigger,
        name: name("triage"),
        at: at(),
        scope: acme(),
        agent: name("triager"),
        prompt: "Look at this.".to_owned(),
        event: Some("{\"kind\":\"webhook\"}".to_owned()),
        config: config.into(),
    }
}

async fn decide(config: &str) -> Result<PreFire, SandboxError> {
    strict().pre_fire(&name(HOSTILE), draft(config)).await
}

#[tokio::test]
async fn a_hook_passes_rewrites_or_cancels() {
    assert_eq!(decide(&mode("ok")).await.unwrap(), PreFire::Pass);
    let told = format!(
        "evt_1:triage trigger.pre_fire triage {AT_MS} workspace acme triager Look at this. \
         {{\"kind\":\"webhook\"}}"
    );
    assert_eq!(decide(&mode("rewrite")).await.unwrap(), PreFire::Rewrite(told));
    let cancel = json!({ "mode": "cancel", "why": "not on Sundays" }).to_string();
    let canceled = PreFire::Cancel("not on Sundays".to_owned());
    assert_eq!(decide(&cancel).await.unwrap(), canceled);
}

#[tokio::test]
async fn a_job_has_no_event() {
    let job = Draft {
        point: FirePoint::Job,
        scope: Scope::Global,
        event: None,
        ..draft(&mode("rewrite"))
    };
    let told =
        format!("evt_1:triage job.pre_fire triage {AT_MS} global  triager Look at this. no event");
    let decided = strict().pre_fire(&name(HOSTILE), job).await.unwrap();
    assert_eq!(decided, PreFire::Rewrite(told));
}

#[tokio::test]
async fn every_limit_names_itself() {
    for (misdeed, wanted) in MISDEEDS {
        check_error(decide(&mode(misdeed)).await, misdeed, wanted);
    }
    check_error(decide(&mode("rewrite-long")).await, "rewrite-long", "more than 262144");
}

#[tokio::test]
async fn configurations_are_checked() {
    let check = async |config: &str| {
        strict().check_config(Kind::PreFireHook, &name(HOSTILE), config, &acme()).await.unwrap()
    };
    assert_eq!(check("{}").await, []);
    assert_eq!(check("[]").await[0].reason, "not an object");
}
