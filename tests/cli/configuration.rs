//! `hillock config check`, and what `hillock serve` says of a file that is wrong: everything at
//! once, each with its path.

use super::{alone, contract_folder};
use crate::harness::database::Database;
use crate::harness::folder::Folder;

/// Wrong by itself, in many places.
const SHAPE: &str = r#"
    agents = [{ name = "Upper" }]
    endpoints = [{ slug = "a--b", source = "github" }]
    triggers = [{ name = "t", event = "github.*", agent = "nobody", prompt = "x" }]
    [server]
    listen = "everywhere"
    [[worker.agents]]
    name = "w"
    command = ["true"]
    [[worker.agents]]
    name = "w"
    command = []
"#;
const SHAPE_PATHS: &[&str] = &[
    "agents[0].name",
    "endpoints[0].secret_ref",
    "endpoints[0].slug",
    "server.listen",
    "triggers[0].agent",
    "worker.agents[1].command",
    "worker.agents[1].name",
];

/// Wrong by what its components say.
const CONTENT: &str = r#"
    agents = [{ name = "a" }]
    endpoints = [{ slug = "a", source = "nothing", verification = "none" },
                 { slug = "b", source = "match", verification = "none" }]
    [[triggers]]
    name = "t"
    event = "webhook"
    agent = "a"
    filter = { "date.action" = "opened" }
    prompt = "{{#if}}"
    [[triggers]]
    name = "u"
    event = "webhook"
    agent = "a"
    template = "github"
    prompt = "x"
"#;
const CONTENT_PATHS: &[&str] = &[
    "endpoints[0].source",
    "endpoints[1].source",
    "triggers[0].filter",
    "triggers[0].prompt",
    "triggers[1].template",
];

/// A password in a line that is wrong is not repeated.
#[tokio::test]
async fn a_malformed_line_is_placed_and_not_repeated() {
    let config = "[store]\nuri = \"postgres://u:hunter2@h/db\"\n";
    let folder = Folder::new(Database::sqlite(), config).await;
    let output = folder.hillock(&["config", "check"]).output().await.unwrap();
    assert!(!output.status.success());
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("line 2, column 1: unknown field `uri`"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_good_file_is_praised() {
    let folder = contract_folder().await;
    let said = alone(&folder, &["config", "check"]).await.good();
    assert!(said.contains("is good: 1 agent, 1 endpoint, 1 trigger"), "{said}");
    let told = alone(&folder, &["config", "check", "--json"]).await.json();
    assert_eq!((&told["valid"], &told["problems"]), (&true.into(), &serde_json::json!([])));
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    for (config, paths) in [(SHAPE, SHAPE_PATHS), (CONTENT, CONTENT_PATHS)] {
        let folder = Folder::new(Database::sqlite(), config).await;
        let told = alone(&folder, &["config", "check", "--json"]).await;
        assert!(!told.success, "{told:?}");
        let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
        let mut found: Vec<&str> = told["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| problem["path"].as_str().unwrap())
            .collect();
        found.sort_unstable();
        found.dedup();
        let whole = |path: &&&str| found.iter().any(|found| found.starts_with(**path));
        assert_eq!(paths.iter().filter(whole).count(), paths.len(), "{found:?}");
        assert_eq!(found.len(), paths.len(), "{found:?}");

        let said = alone(&folder, &["config", "check"]).await.bad();
        let mut serving = folder.start("127.0.0.1:0");
        // The file's own mistakes are found however the address is overridden.
        assert!(!serving.ended().await.success());
        for path in paths.iter().filter(|path| **path != "server.listen") {
            assert!(said.contains(path), "{path}: {said}");
            assert!(serving.written().contains(path), "{path}: {}", serving.written());
        }
        assert!(!folder.data_dir().join("address").exists());
    }
}

/// Each with the path and the beginning of the reason.
const EXPRESSIONS: &[(&str, &str, &str)] = &[
    (r#"{ cel = "action == 'opened'" }"#, "", "1:1: there is no variable `action`"),
    (r#"{ component = "cel", config = "data.x = 1" }"#, "", "1:8: "),
    (
        r#"{ component = "cel", config = { expression = "data.title.like('x')" } }"#,
        ".expression",
        "1:12: there is no function `like`",
    ),
    (r#"{ cel = "size(data.labels)" }"#, "", "`size(data.labels)` gives an int, not a bool"),
    (r#"{ component = "cel", config = { text = "true" } }"#, ".text", "only `expression` stands"),
    (r#"{ component = "cel" }"#, "", "a CEL expression is text"),
];

#[tokio::test]
async fn an_expression_that_cannot_work_is_refused() {
    let mut config = String::from("agents = [{ name = \"a\" }]\n");
    for (i, (filter, ..)) in EXPRESSIONS.iter().enumerate() {
        config += &format!(
            "[[triggers]]\nname = \"t-{i}\"\nevent = \"webhook\"\nagent = \"a\"\n\
             filter = {filter}\nprompt = \"x\"\n"
        );
    }
    let folder = Folder::new(Database::sqlite(), &config).await;
    let told = alone(&folder, &["config", "check", "--json"]).await;
    assert!(!told.success, "{told:?}");
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let found = told["problems"].as_array().unwrap();
    assert_eq!(found.len(), EXPRESSIONS.len(), "{told}");
    for (i, (filter, path, reason)) in EXPRESSIONS.iter().enumerate() {
        let path = format!("triggers[{i}].filter{path}");
        let problem = found.iter().find(|problem| problem["path"] == path.as_str());
        let problem = problem.unwrap_or_else(|| panic!("{filter}: {told}"));
        assert!(problem["reason"].as_str().unwrap().starts_with(reason), "{filter}: {problem}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_toml_shows_where() {
    let folder = Folder::new(Database::sqlite(), "[server]\nlisten = \n").await;
    let said = alone(&folder, &["config", "check"]).await.bad();
    assert!(said.contains("is not a configuration"), "{said}");
    let unknown = Folder::new(Database::sqlite(), "[server]\nlissten = \"x\"\n").await;
    let said = alone(&unknown, &["config", "check"]).await.bad();
    assert!(said.contains("lissten") && said.contains("listen"), "{said}");
    let missing = alone(&folder, &["config", "check", "--config", "nowhere.toml"]).await.bad();
    assert!(missing.contains("nowhere.toml"), "{missing}");
}

/// The host does not start half open; the check says it, too.
#[tokio::test]
async fn a_secret_that_is_not_there_is_named() {
    let folder = contract_folder().await.env("GITHUB_WEBHOOK_SECRET", "");
    let mut serving = folder.start("127.0.0.1:0");
    assert!(!serving.ended().await.success());
    let said = serving.written();
    assert!(said.contains("endpoints[0].secret_ref"), "{said}");
    assert!(said.contains("GITHUB_WEBHOOK_SECRET is not set"), "{said}");
    let checked = alone(&folder, &["config", "check"]).await;
    assert!(checked.stderr.contains("GITHUB_WEBHOOK_SECRET"), "{checked:?}");
}

#[tokio::test]
async fn a_plugin_that_is_none_is_named() {
    for (bytes, wanted) in [
        (&b"(component)"[..], "is not a WebAssembly component"),
        (b"\0asm\x01\0\0\0", "is not a WebAssembly component"),
        (b"\0asm\x0d\0\x01\0", "exports none of"),
    ] {
        let config = "[[plugins]]\nname = \"mine\"\npath = \"mine.wasm\"\n";
        let folder = Folder::new(Database::sqlite(), config).await;
        std::fs::write(folder.path().join("mine.wasm"), bytes).unwrap();
        let mut serving = folder.start("127.0.0.1:0");
        assert!(!serving.ended().await.success());
        let said = serving.written();
        assert!(said.contains("`mine`") && said.contains(wanted), "{said}");
    }
    let config = "[[plugins]]\nname = \"mine\"\npath = \"nowhere.wasm\"\n";
    let folder = Folder::new(Database::sqlite(), config).await;
    let mut serving = folder.start("127.0.0.1:0");
    assert!(!serving.ended().await.success());
    assert!(serving.written().contains("nowhere.wasm"), "{}", serving.written());
}
