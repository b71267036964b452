//! What reaches a terminal: nothing that it obeys, and nothing that nobody sees. A pipe gets what was
//! written.

use std::fs::File;
use std::io::Read as _;
use std::process::Stdio;

use nix::pty::openpty;

use super::{alone, ask};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::senders::Delivery;

/// A command that is another one to who looks at it, and what else hides.
const SENT: &str =
    "rm \u{202e}php.gnp \u{2066}x\u{2069} a\u{200b}b \u{e0041}\u{2028}\u{85} \u{feff}.";
/// How it is shown, but for its lines.
const SHOWN: &str = "rm \\u{202e}php.gnp \\u{2066}x\\u{2069} a\\u{200b}b \\u{e0041}";

/// Everything that a command says to a terminal.
pub(super) async fn on_a_terminal(folder: &Folder, url: &str, args: &[&str]) -> String {
    let pty = openpty(None, None).unwrap();
    let (out, err) = (pty.slave.try_clone().unwrap(), pty.slave);
    let mut command = folder.hillock(args);
    command.env("HILLOCK_URL", url).env("TERM", "xterm").env("COLUMNS", "400");
    command.stdout(Stdio::from(out)).stderr(Stdio::from(err));
    let mut child = command.spawn().unwrap();
    // The terminal ends with the last who holds it.
    drop(command);
    let reading = tokio::task::spawn_blocking(move || {
        let (mut master, mut said) = (File::from(pty.master), Vec::new());
        let _ = master.read_to_end(&mut said);
        String::from_utf8(said).unwrap()
    });
    child.wait().await.unwrap();
    reading.await.unwrap()
}

fn is_unseen(c: char) -> bool {
    "\u{202e}\u{2066}\u{2069}\u{200b}\u{e0041}\u{2028}\u{85}\u{feff}".contains(c)
}

#[tokio::test]
async fn what_senders_hide_is_shown() {
    let config = r#"
        agents = [{ name = "a" }]
        endpoints = [{ slug = "e", verification = "none" }]
        worker = { agents = [{ name = "a", command = ["sh", "-c", "cat; cat >&2; exit 1"] }] }
        [[triggers]]
        name = "t"
        event = "webhook"
        agent = "a"
        filter = { "data.go" = "yes" }
        prompt = "{{data.text}}"
    "#;
    let folder = Folder::new(Database::sqlite(), config).await;
    let host = folder.serve().await;
    let body =
        serde_json::json!({ "text": format!("{SENT}\u{1b}[2J\u{1b}]0;t\u{7}"), "go": "yes" });
    let sent = Delivery { headers: Default::default(), body: body.to_string().into() };
    let event = host.deliver("e", sent).await.event_id(202);
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "failed").await;
    let task = ["task", "create", SENT, "--agent", "a", "--json"];
    let task = ask(&folder, &host, &task).await.json()["id"].as_str().unwrap().to_owned();

    for args in [
        &["run", "show", &run][..],
        &["run", "logs", &run],
        &["run", "logs", &run, "--follow"],
        &["event", "show", &event],
        &["task", "show", &task],
    ] {
        let said = on_a_terminal(&folder, &host.url, args).await;
        assert!(!said.contains(is_unseen) && !said.contains("\u{1b}[2J"), "{args:?}: {said:?}");
        assert!(!said.contains("\u{1b}]") && said.contains(SHOWN), "{args:?}: {said:?}");
    }
    // JSON says the same in its own words.
    let said = on_a_terminal(&folder, &host.url, &["run", "show", &run, "--json"]).await;
    assert!(!said.contains(is_unseen), "{said:?}");
    let read: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(read["prompt"].as_str().unwrap().starts_with(SENT), "{read}");
    // An error repeats what was typed, and a problem what stands in a file.
    let said = on_a_terminal(&folder, &host.url, &["run", "show", SENT]).await;
    assert!(!said.contains(is_unseen) && said.contains(SHOWN), "{said:?}");
    folder.write("other.toml", &format!("\"{SENT}\" = 1\n"));
    let said =
        on_a_terminal(&folder, &host.url, &["config", "check", "--config", "other.toml"]).await;
    assert!(!said.contains(is_unseen) && said.contains(SHOWN), "{said:?}");

    // Whoever reads a pipe gets what was written.
    let piped = ask(&folder, &host, &["run", "logs", &run]).await.good();
    assert!(piped.contains(SENT) && piped.contains("\u{1b}[2J"), "{piped:?}");
    let piped = ask(&folder, &host, &["run", "show", &run, "--json"]).await.good();
    assert!(piped.contains('\u{202e}'), "{piped:?}");
    let piped = alone(&folder, &["config", "check", "--config", "other.toml"]).await.bad();
    assert!(piped.contains('\u{202e}'), "{piped:?}");
}
