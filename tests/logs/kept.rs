//! What is kept of what a run says: so much, and no secrets.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{AUTOMATIONS, folder, run, worker};
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::on_both_databases;

on_both_databases!(
    a_full_log_is_marked_once,
    secrets_are_neither_kept_nor_told,
    a_secret_of_several_lines_is_not_kept_line_by_line,
);

const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEbVzfPnZPxfAyxqE\n\
                   ZV05laAoJAl+/6Xt2O4mOB611sOhRANCAASgFTKjwJAAU95g++/vzKWHkzAVmNMI\n\
                   tB5vTjZOOIwnEb70MsWZFIyUFD1P9Gwstz4+akHX7vI8BH6hHmBmfeQl\n\
                   -----END PRIVATE KEY-----\n";

/// With other line ends, blanks, within JSON, encoded, and where the worker cuts a line.
async fn a_secret_of_several_lines_is_not_kept_line_by_line(database: Database) {
    let script = r#"
        cat key.pem
        sed 's/$/\r/' key.pem
        sed 's/^/  /; s/$/  /' key.pem >&2
        tr '\n' ' ' < key.pem; echo
        base64 key.pem
        for before in 16300 16370 16384; do
            head -c $before /dev/zero | tr '\0' .; tr -d '\n' < key.pem; echo
        done
        json=$(sed 's/$/\\n/' key.pem | tr -d '\n')
        echo "{\"type\":\"result\",\"data\":{\"key\":\"$json\"}}"
        echo "{\"broken\":\"$json\""
        echo end
        exit 1
    "#;
    let endpoint = r#"endpoints = [
        { slug = "signed", source = "github", secret_ref = "file:key.pem" },"#;
    let config = AUTOMATIONS.replace("endpoints = [", endpoint);
    let folder = Folder::new(database, &format!("{config}\n{}", worker(script))).await;
    folder.write("key.pem", PEM);
    let host = folder.serve().await;
    let run = run(&host).await;
    host.run_with_status(&run, "failed").await;
    host.line(&run, "end").await;
    let encoded = STANDARD.encode(PEM);
    let parts = PEM.lines().filter(|line| !line.starts_with('-')).chain([&encoded[..]]);
    let parts: Vec<&str> = parts.flat_map(|line| [&line[4..20], &line[30..46]]).collect();
    for what in ["", "/logs?limit=1000", "/events", "/activity"] {
        let answer = host.get(&format!("runs/{run}{what}")).await;
        assert_eq!(answer.status, 200, "{what}");
        for part in &parts {
            assert!(!answer.body.contains(part), "{part} in {what}: {}", answer.body);
        }
    }
}

async fn a_full_log_is_marked_once(database: Database) {
    let settings = "[logs]\nrun_bytes_max = 20000";
    let folder = folder(database, "seq 1 3000; echo end >&2; exit 1", settings).await;
    let host = folder.serve().await;
    let run = run(&host).await;
    // The worker is told that all of it was heard, or the run would not end.
    host.run_with_status(&run, "failed").await;
    let page = host.read(&format!("runs/{run}/logs")).await;
    let lines = page["logs"].as_array().unwrap();
    let marked = lines.iter().filter(|line| line["stream"] == "host").count();
    let last = lines.last().unwrap();
    assert_eq!((marked, &last["stream"]), (1, &json!("host")));
    let marker = "… [cut: the log is full at 20000 bytes, and nothing more is kept]";
    assert_eq!(last["text"], marker);
    assert!(lines.len() > 100 && lines.len() < 1000, "{}", lines.len());
}

/// The agent prints the secret of its own endpoint, in every way it can think of.
async fn secrets_are_neither_kept_nor_told(database: Database) {
    let script = r#"
        echo "plain: $GITHUB_WEBHOOK_SECRET"
        printf '%s' "$GITHUB_WEBHOOK_SECRET" | od -An -v -tx1 | tr -d ' \n'; echo
        printf '%s' "$GITHUB_WEBHOOK_SECRET" | base64 >&2
        printf 'user:%s' "$GITHUB_WEBHOOK_SECRET" | base64
        cat data/admin.key
        echo "{\"type\":\"result\",\"data\":\"$GITHUB_WEBHOOK_SECRET\"}"
        echo end
        exit 1
    "#;
    let endpoint = r#"endpoints = [
        { slug = "signed", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" },"#;
    let config = AUTOMATIONS.replace("endpoints = [", endpoint);
    let folder = Folder::new(database, &format!("{config}\n{}", worker(script))).await;
    let mut host = folder.serve().await;
    let run = run(&host).await;
    host.run_with_status(&run, "failed").await;
    let texts: Vec<String> = host.logs(&run).await.into_iter().map(|(_, text)| text).collect();
    // The worker knows which variable it was.
    let plain = "plain: [redacted:GITHUB_WEBHOOK_SECRET]".to_owned();
    assert!(texts.contains(&plain), "{texts:?}");
    assert!(texts.contains(&"end".to_owned()), "{texts:?}");

    let forms = forms(&host.key);
    for what in ["", "/logs", "/events", "/activity", "/stream"] {
        let answer = host.get(&format!("runs/{run}{what}")).await;
        assert_eq!(answer.status, 200);
        for form in &forms {
            assert!(!answer.body.contains(form), "{form} in {what}: {}", answer.body);
        }
    }
    assert!(host.process.stop().await.success());
    if let Database::Sqlite(dir) = &folder.database {
        check_files(dir.path(), &forms);
    }
}

/// How the endpoint's secret and the admin's key may be spelt. Inside other Base64, the characters
/// that it alone decides.
fn forms(key: &str) -> Vec<String> {
    let of = |secret: &str| {
        [
            secret.to_owned(),
            hex::encode(secret),
            STANDARD.encode(secret).trim_end_matches('=').into(),
        ]
    };
    let mut forms = [of(SECRET), of(key)].concat();
    let basic = STANDARD.encode(format!("user:{SECRET}"));
    forms.push(basic[8..basic.len() - 4].to_owned());
    forms
}

/// No file of the database holds any of these.
fn check_files(dir: &Path, forms: &[String]) {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let content = std::fs::read(entry.path()).unwrap();
        bytes += content.len();
        for form in forms {
            let found = content.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "{form} in {}", entry.path().display());
        }
    }
    assert!(bytes > 4096, "there is a database in {}", dir.display());
}
