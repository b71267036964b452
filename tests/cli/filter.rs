//! `hillock filter check`: 0 for a match, 1 for none, 2 when it cannot be said.

use serde_json::json;

use super::alone;
use super::template::{ISSUE, folder};

/// What the program says of one filter on [`ISSUE`], and its exit code.
async fn check(args: &[&str]) -> (i32, String, String) {
    let folder = folder().await;
    folder.write("issue.json", ISSUE);
    let args = [&["filter", "check"], args, &["--envelope", "issue.json"]].concat();
    let output = folder.hillock(&args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_match_is_0_and_none_is_1() {
    for (config, code, said) in [
        (r#"{"data.action": "opened"}"#, 0, "matched\n"),
        (r#"{"kind": "github.issues", "data.issue.labels.0": "bug"}"#, 0, "matched\n"),
        ("{}", 0, "matched\n"),
        (r#"{"data.[app.io/name]": "x", "data.issue.labels[0]": "bug"}"#, 0, "matched\n"),
        (r#"{"data[\"app.io/name\"]": "x", "data['app.io/name']": "x"}"#, 0, "matched\n"),
        (r#"{"data.app.io/name": "x"}"#, 1, "not matched: data.app.io/name is missing\n"),
        (
            r#"{"data.action": "opened", "data.issue.number": "7"}"#,
            1,
            "not matched: data.issue.number is `42`, not `7`\n",
        ),
    ] {
        let (found, stdout, stderr) = check(&["match", config]).await;
        assert_eq!((found, stdout.as_str(), stderr.as_str()), (code, said, ""), "{config}");
    }
    let (code, stdout, _) = check(&["match", r#"{"data.action": "closed"}"#, "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let reason = "data.action is `opened`, not `closed`";
    assert_eq!((code, told), (1, json!({"matched": false, "reason": reason})));
}

#[tokio::test]
async fn what_cannot_be_said_is_2() {
    for (component, config, wanted) in [
        ("match", r#"{"data.action": 5, "date.x": "y"}"#, &["CONFIG has errors:\n", "date.x"][..]),
        ("match", r#"{"data.action": "opened""#, &["CONFIG is not well-formed JSON", "line 1"]),
        ("match", r#"{"data.[app.io": "x"}"#, &["the bracket is not closed, at character 6"]),
        ("match", "data.action", &["CONFIG has errors:\n"]),
        ("nothing", "{}", &["there is no component `nothing`"]),
        ("github", "{}", &["component `github` is not a filter"]),
        ("Match", "{}", &["'Match'"]),
    ] {
        let (code, stdout, stderr) = check(&[component, config]).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{component} {config}: {stderr}");
        for wanted in wanted {
            assert!(stderr.starts_with("error: ") && stderr.contains(wanted), "{wanted}: {stderr}");
        }
    }
    let folder = folder().await;
    let args = ["filter", "check", "match", "{}", "--envelope", "nowhere.json"];
    let output = folder.hillock(&args).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(alone(&folder, &args).await.bad().contains("cannot read nowhere.json"));
}
