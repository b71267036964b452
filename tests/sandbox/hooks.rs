//! Hooks that misbehave.

use hillock::config::Limits;
use hillock::sandbox::{Kind, LoadError, Notice, Sandbox, SandboxError, Signal};

use super::{AT_MS, acme, at, check_error, load, mode, name, report, roomy, strict};
use crate::hostile::MISDEEDS;

const HOSTILE: &str = "hostile-hook";

async fn notice(sandbox: &Sandbox, with: &str) -> Result<Vec<Signal>, SandboxError> {
    let notice = Notice {
        id: "run_1:failed".to_owned(),
        point: "run.failed".to_owned(),
        at: at(),
        data: "{}".to_owned(),
        config: mode(with),
    };
    sandbox.notice(&name(HOSTILE), &acme(), notice).await
}

#[tokio::test]
async fn every_limit_names_itself() {
    for (misdeed, wanted) in MISDEEDS {
        check_error(notice(strict(), misdeed).await, misdeed, wanted);
    }
    assert_eq!(notice(strict(), "ok").await.unwrap(), []);
}

#[tokio::test]
async fn forgeries_are_refused() {
    for (forgery, wanted) in [
        ("forge", "kinds below `hook`"),
        ("forge-kind", "is not a kind"),
        ("forge-data", "not well-formed JSON"),
        ("forge-dedupe", "recognised by 1 to 512 bytes"),
        ("forge-many", "event limit (1000)"),
        ("forge-large", "output limit (4194304 bytes)"),
    ] {
        check_error(notice(roomy(), forgery).await, forgery, wanted);
    }
}

#[tokio::test]
async fn nothing_is_in_reach_and_time_is_the_notices_own() {
    let seen = report(&notice(strict(), "files").await.unwrap());
    let wanted = "file=denied directory=denied write=denied environment=empty arguments=empty \
                  network=denied";
    assert_eq!(seen, wanted);
    let seen = report(&notice(strict(), "random-clock").await.unwrap());
    assert!(seen.starts_with(&format!("millis={AT_MS} ")), "{seen}");
}

#[tokio::test]
async fn a_check_has_the_same_limits() {
    let check = async |config: &str| {
        strict().check_config(Kind::HookSource, &name(HOSTILE), config, &acme()).await
    };
    assert_eq!(check("{}").await.unwrap(), []);
    let found = check(&mode("state")).await.unwrap();
    assert_eq!(found[0].to_string(), "mode: calls=1");
    check_error(check(&mode("trap")).await, "trap", "crashed");
    check_error(check(&mode("loop")).await, "loop", "time limit");
    let wrong = strict().check_config(Kind::PreFireHook, &name(HOSTILE), "{}", &acme()).await;
    check_error(wrong, "another kind", "is not a pre-fire-hook");
}

#[tokio::test]
async fn a_hook_is_not_granted_what_an_extension_is() {
    let error = load(Limits::default(), &["greedy"]).unwrap_err();
    assert!(matches!(error, LoadError::Denied { .. }), "{error:?}");
    let error = error.to_string();
    assert!(
        error.contains("`hostile-greedy` asks for what a hook-source is not granted"),
        "{error}"
    );
    assert!(error.contains("hillock:plugin/http"), "{error}");
}
