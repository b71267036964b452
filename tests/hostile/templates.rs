//! Templates that misbehave.

use super::{SANDBOX, check_misdeeds, decisions, folder, misdeeds, trigger};

fn rendering(name: &str, mode: &str) -> String {
    trigger(name, &format!("template = \"hostile-template\"\nprompt = \"mode:{mode}\""))
}

#[tokio::test]
async fn every_limit_names_itself() {
    let folder = folder(SANDBOX, &misdeeds(rendering)).await;
    let host = folder.serve().await;
    check_misdeeds(&decisions(&host).await, "hostile-template");
}

/// Within the component's limit and beyond the prompt's: 256 KiB.
#[tokio::test]
async fn a_prompt_has_its_own_limit() {
    let sandbox = "[sandbox]\noutput_bytes = 4_000_000\ntime = \"10s\"";
    let folder = folder(sandbox, &rendering("long", "output-small")).await;
    let host = folder.serve().await;
    let found = decisions(&host).await;
    let (outcome, reason) = &found["long"];
    assert_eq!(outcome, "render_error");
    assert_eq!(reason, "the prompt has 2097152 bytes, more than 262144");
}

#[tokio::test]
async fn a_refusal_is_a_render_error() {
    let config = rendering("unknown", "no-such-mode") + &rendering("ok", "ok");
    let folder = folder(SANDBOX, &config).await;
    let host = folder.serve().await;
    let found = decisions(&host).await;
    let refused = ("render_error".to_owned(), "no mode `no-such-mode`".to_owned());
    assert_eq!((&found["unknown"], found["ok"].0.as_str()), (&refused, "fired"));
}
