//! `hillock config check`, and what `hillock serve` says of a file that is wrong: everything at
//! once, each with its path.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use super::{Said, alone, ask, contract_folder};
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

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
    assert!(said.contains("store.uri: is unknown; did you mean `url`?"), "{said}");
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
    let table = Folder::new(Database::sqlite(), "[servr]\nlisten = \"x\"\n").await;
    let said = alone(&table, &["config", "check"]).await.bad();
    assert!(said.contains("servr: is unknown; did you mean `server`?"), "{said}");
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
    // What a host refuses, the check refuses, unless it is for another machine.
    let checked = alone(&folder, &["config", "check"]).await.bad();
    assert!(checked.contains("GITHUB_WEBHOOK_SECRET"), "{checked}");
    let elsewhere = alone(&folder, &["config", "check", "--elsewhere"]).await;
    assert!(
        elsewhere.success && elsewhere.stderr.contains("GITHUB_WEBHOOK_SECRET"),
        "{elsewhere:?}"
    );
}

/// One fault hides no other: not within a definition, not in another stage, not in another file.
#[tokio::test]
async fn one_fault_hides_no_other() {
    let config = r#"
        agents = [{ name = "a", concurrency = 0 }]
        [server]
        lissten = "x"
        drain_grace = "soon"
        [queue.workspaces.acme]
        active_max = 0
        colour = "red"
        [[plugins]]
        name = "mine"
        path = "nowhere.wasm"
        [[endpoints]]
        slug = "e"
        source = "gihtub"
        body_max = 0
        verification = "none"
        [[triggers]]
        name = "t"
        event = "webhook"
        agent = "a"
        priority = "urgent"
        retry = { base_delay = "x" }
        filter = { "date.action" = "opened" }
        prompt = "{{#if}}"
        [[triggers]]
        name = "u"
        event = "webhook"
        agent = "nobody"
        endpoint = "none"
        enabled = "yes"
        filter = { component = "mine" }
        prompt = "x"
        [[triggers]]
        prompt = "{{dta.x}}"
        [[jobs]]
        name = "j"
        agent = "nobody"
        prompt = "x"
        schedule = { cron = "bad" }
        [[worker.agents]]
        nam = "a"
        command = ["no-such-program"]
    "#;
    let folder = Folder::new(Database::sqlite(), config).await;
    fs::create_dir(folder.path().join("automations.d")).unwrap();
    folder.write("automations.d/broken.toml", "[[jobs");
    folder.write("automations.d/more.toml", "[[agents]]\nname = \"B\"\n[[trigers]]\n");
    let told = alone(&folder, &["config", "check", "--json"]).await;
    let found = problems(&told);
    let mut wanted = vec![
        "agents[0].concurrency",
        "automations.d/broken.toml",
        "automations.d/more.toml: agents[0].name",
        "automations.d/more.toml: trigers",
        "endpoints[0].body_max",
        "endpoints[0].source",
        "jobs[0].schedule.cron",
        "plugins[0].path",
        "queue.workspaces.acme.active_max",
        "queue.workspaces.acme.colour",
        "server.drain_grace",
        "server.lissten",
        "triggers[0].filter.date.action",
        "triggers[0].priority",
        "triggers[0].prompt.1:1",
        "triggers[0].retry.base_delay",
        "triggers[1].enabled",
        "triggers[2].agent",
        "triggers[2].event",
        "triggers[2].name",
        "triggers[2].prompt.1:1",
        "worker.agents[0].nam",
        "worker.agents[0].name",
    ];
    assert_eq!(paths(&found), wanted, "{told:?}");
    let reason = |path: &str| {
        found.iter().find(|one| one["path"] == path).unwrap()["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("endpoints[0].source").ends_with("did you mean `github`?"));
    assert!(reason("automations.d/more.toml: trigers").ends_with("did you mean `triggers`?"));
    assert!(reason("automations.d/broken.toml").starts_with("is not TOML: line 1, "));

    // With every file read, what is named is looked for, too.
    fs::remove_file(folder.path().join("automations.d/broken.toml")).unwrap();
    let told = alone(&folder, &["config", "check", "--json"]).await;
    wanted.retain(|path| *path != "automations.d/broken.toml");
    wanted.extend(["jobs[0].agent", "triggers[1].agent", "triggers[1].endpoint"]);
    wanted.sort_unstable();
    assert_eq!(paths(&problems(&told)), wanted, "{told:?}");
}

fn problems(told: &Said) -> Vec<serde_json::Value> {
    assert!(!told.success, "{told:?}");
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    told["problems"].as_array().unwrap().clone()
}

fn paths(problems: &[serde_json::Value]) -> Vec<&str> {
    let mut paths: Vec<&str> = problems.iter().map(|one| one["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    paths
}

/// What editors, copies and mounts leave behind is no configuration.
#[tokio::test]
async fn files_that_nobody_wrote_are_passed_over() {
    let folder = Folder::new(Database::sqlite(), "agents = [{ name = \"a\" }]").await;
    let automations = folder.path().join("automations.d");
    fs::create_dir_all(automations.join("..2026")).unwrap();
    let job =
        "[[jobs]]\nname = \"j\"\nagent = \"a\"\nprompt = \"x\"\nschedule = { every = \"1h\" }\n";
    folder.write("automations.d/..2026/j.toml", job);
    // As Kubernetes mounts a ConfigMap.
    symlink("..2026", automations.join("..data")).unwrap();
    symlink("..data/j.toml", automations.join("j.toml")).unwrap();
    symlink("user@host.123:456", automations.join(".#j.toml")).unwrap();
    symlink("nowhere.toml", automations.join("gone.toml")).unwrap();
    fs::write(automations.join("._j.toml"), b"\0\x05\x16\x07\0\x02").unwrap();
    for name in [".j.toml", ".j.toml.swp", "j.toml~", "#j.toml#", "j.toml.bak"] {
        folder.write(&format!("automations.d/{name}"), "[[jobs");
    }
    fs::create_dir(automations.join("old.toml")).unwrap();
    folder.write("automations.d/README.md", "[[jobs");
    let said = alone(&folder, &["config", "check"]).await;
    assert!(said.success && said.stdout.contains("1 agent, 1 job\n"), "{said:?}");
    let warned =
        |name: &str| said.stderr.contains(&format!("automations.d/{name}: is passed over"));
    for name in
        [".#j.toml", "gone.toml", "._j.toml", ".j.toml", ".j.toml.swp", "j.toml~", "#j.toml#"]
    {
        assert!(warned(name), "{name}: {said:?}");
    }
    assert!(warned("j.toml.bak") && warned("old.toml") && !warned("j.toml"), "{said:?}");
    assert!(!said.stderr.contains("README") && !said.stderr.contains("..data"), "{said:?}");
    let host = folder.serve().await;
    assert!(host.process.written().contains("automations.d/j.toml~: is passed over"));
    assert_eq!(host.items("jobs").await.len(), 1);
    let reloaded = host.post("config/reload").await.json();
    assert!(reloaded["warnings"].as_array().unwrap().len() >= 9, "{reloaded}");
}

/// A pipe would be waited for, and a device would be read for ever.
#[tokio::test]
async fn what_is_no_file_is_not_read() {
    let endpoint = "[[endpoints]]\nslug = \"e\"\nsource = \"github\"\n";
    for (config, path) in [
        ("[[plugins]]\nname = \"p\"\npath = \"@\"\n".to_owned(), "plugins[0].path"),
        ("[egress]\nca_file = \"@\"\n".to_owned(), "egress.ca_file"),
        (format!("{endpoint}secret_ref = \"file:@\"\n"), "endpoints[0].secret_ref"),
        (format!("{endpoint}secret_ref = \"trim:file:@\"\n"), "endpoints[0].secret_ref"),
    ] {
        for place in ["pipe", "/dev/zero", "."] {
            let folder = Folder::new(Database::sqlite(), &config.replace('@', place)).await;
            mkfifo(&folder.path().join("pipe"), Mode::S_IRWXU).unwrap();
            let told = alone(&folder, &["config", "check", "--json"]).await;
            let found = problems(&told);
            assert_eq!(paths(&found), [path], "{told:?}");
            assert!(found[0]["reason"].as_str().unwrap().contains("and not a file"), "{told:?}");
            let mut serving = folder.start("127.0.0.1:0");
            assert!(!serving.ended().await.success());
            assert!(serving.written().contains("and not a file"), "{}", serving.written());
        }
    }
    let folder = Folder::new(Database::sqlite(), "").await;
    fs::create_dir(folder.path().join("automations.d")).unwrap();
    mkfifo(&folder.path().join("automations.d/pipe.toml"), Mode::S_IRWXU).unwrap();
    let told = alone(&folder, &["config", "check", "--json"]).await;
    assert_eq!(paths(&problems(&told)), ["automations.d/pipe.toml"]);
    for place in ["automations.d/pipe.toml", "/dev/zero", "."] {
        let said = alone(&folder, &["config", "check", "--config", place]).await.bad();
        assert!(said.contains("and not a file"), "{said}");
    }
}

/// A secret that is not what its sender signs with is told of, wherever somebody looks.
#[tokio::test]
async fn a_secret_that_verifies_nothing_is_told_of() {
    let config = r#"
        endpoints = [
            { slug = "line", source = "github", secret_ref = "env:LINE" },
            { slug = "trimmed", source = "github", secret_ref = "trim:env:LINE" },
            { slug = "mark", source = "generic", secret_ref = "file:mark.txt" },
            { slug = "standard", source = "standard-webhooks", secret_refs = ["env:STANDARD", "env:GITHUB_WEBHOOK_SECRET"] },
        ]
    "#;
    let folder = Folder::new(Database::sqlite(), config)
        .await
        .env("LINE", &format!("{SECRET}\r\n"))
        .env("STANDARD", "whsec_not base64 at all");
    folder.write("mark.txt", "\u{feff}a-secret-of-some-length\n");
    let told = alone(&folder, &["config", "check", "--json"]).await.json();
    let warnings = told["warnings"].to_string();
    for wanted in [
        "env:LINE: the secret ends with a line end",
        "file:",
        "mark.txt: the secret begins with a byte order mark",
        "env:STANDARD: after whsec_, the secret is not base64",
        "env:GITHUB_WEBHOOK_SECRET: the secret begins with neither whsec_ nor whpk_",
    ] {
        assert!(warnings.contains(wanted), "{wanted}: {warnings}");
    }
    assert_eq!(told["warnings"].as_array().unwrap().len(), 4, "{warnings}");

    let host = folder.serve().await;
    let log = host.process.written();
    assert!(log.contains("endpoint `line` (global).secret_ref: env:LINE"), "{log}");
    assert!(!log.contains("endpoint `trimmed`") && !log.contains(SECRET), "{log}");
    // One verifies, and the other does not.
    for (slug, status) in [("line", 401), ("trimmed", 202)] {
        assert_eq!(host.deliver(slug, github(Payload::IssueClosed, slug)).await.status, status);
    }
    let shown = host.read("endpoints/line").await;
    assert!(shown["warnings"][0]["reason"].as_str().unwrap().contains("line end"), "{shown}");
    let spec = json!({ "slug": "made", "source": "github", "secret_ref": "env:LINE" });
    let made = host.send(reqwest::Method::POST, "endpoints", &spec).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.json()["warnings"][0]["path"], "endpoint.secret_ref");
    let create = ["endpoint", "create", "more", "--source", "github", "--secret-ref", "env:LINE"];
    let said = ask(&folder, &host, &create).await;
    assert!(said.success && said.stderr.contains("warning: endpoint.secret_ref: "), "{said:?}");
    assert!(host.read("endpoints/trimmed").await["warnings"].is_null());
    let reloaded = host.post("config/reload").await.json();
    assert_eq!(reloaded["warnings"].as_array().unwrap().len(), 4, "{reloaded}");
}

/// What can work and most probably is a slip.
#[tokio::test]
async fn a_slip_is_warned_of() {
    let folder = contract_folder().await;
    let file = folder.read("hillock.toml").unwrap();
    let more = "[[agents]]\nname = \"other\"\n[[triggers]]\nname = \"t\"\nevent = \"gihtub.push\"\n\
                agent = \"other\"\nprompt = \"x\"\n";
    folder.write("hillock.toml", &(file.clone() + more));
    let told = alone(&folder, &["config", "check", "--json"]).await.json();
    let warnings = told["warnings"].as_array().unwrap();
    assert_eq!(paths(warnings), ["agents[1].name", "triggers[1].event"]);
    let reason = warnings[0]["reason"].as_str().unwrap();
    assert!(reason.ends_with("makes `gihtub.push`; did you mean `github`?"), "{told}");

    folder.write("hillock.toml", &file.replace("\"sh\"", "\"/no/such/program\""));
    let told = alone(&folder, &["config", "check", "--json"]).await;
    assert_eq!(paths(&problems(&told)), ["worker.agents[0].command"]);
    let told = alone(&folder, &["config", "check", "--elsewhere", "--json"]).await.json();
    assert_eq!(paths(told["warnings"].as_array().unwrap()), ["worker.agents[0].command"]);
}

/// What the machine would refuse whenever the program begins.
#[tokio::test]
async fn a_program_that_could_never_begin_is_refused() {
    let config = format!(
        "agents = [{{ name = \"a\" }}, {{ name = \"b\" }}, {{ name = \"c\" }}]\n\
         [[worker.agents]]\nname = \"c\"\ncommand = [\"cat\"{}]\n\
         [[worker.agents]]\nname = \"a\"\ncommand = [\"cat\", \"x\\u0000y\", \"{}\", \"{}\"]\n\
         env = [\"GOOD\", \"NAME=value\", \"\"]\n\
         [[worker.agents]]\nname = \"b\"\ncommand = [\"cat\"]\ndir = \"x\\u0000y\"\n",
        format!(", \"{}\"", "x".repeat(131_071)).repeat(8),
        "x".repeat(131_071),
        "x".repeat(131_072),
    );
    let folder = Folder::new(Database::sqlite(), &config).await;
    for command in [&["config", "check", "--json"][..], &["config", "check"]] {
        let told = alone(&folder, command).await;
        assert!(!told.success, "{told:?}");
        for (path, reason) in [
            ("worker.agents[0].command", "is longer than 1048576 bytes altogether"),
            ("worker.agents[1].command[1]", "holds a NUL character"),
            ("worker.agents[1].command[3]", "is longer than 131071 bytes"),
            ("worker.agents[1].env[1]", "is not the name of a variable"),
            ("worker.agents[1].env[2]", "is not the name of a variable"),
            ("worker.agents[2].dir", "holds a NUL character"),
        ] {
            let said = format!("{}{}", told.stdout, told.stderr);
            assert!(said.contains(path) && said.contains(reason), "{path}: {said:.2000}");
        }
    }
    let told = problems(&alone(&folder, &["config", "check", "--json"]).await);
    assert!(!paths(&told).contains(&"worker.agents[1].command[2]"), "as long as it may be");
}

/// A check compiles what is named and nothing else.
#[tokio::test]
async fn a_check_is_quick() {
    let folder = contract_folder().await;
    fs::remove_dir_all(folder.data_dir().join("cache")).unwrap();
    folder.write("hillock.toml", "[[endpoints]]\nslug = \"e\"\nverification = \"none\"\n");
    alone(&folder, &["config", "check"]).await.good();
    let compiled = fs::read_dir(folder.data_dir().join("cache/components")).unwrap().count();
    assert_eq!(compiled, 1);
}

/// The smallest of what is built in has more memory than that.
#[tokio::test]
async fn a_component_that_is_too_large_for_the_engine_is_named() {
    let folder = Folder::new(Database::sqlite(), "[sandbox]\nmemory_bytes = 1_048_576\n").await;
    let mut serving = folder.start("127.0.0.1:0");
    assert!(!serving.ended().await.success());
    let said = serving.written();
    for wanted in
        ["the component `", "needs more than it may have: ", "0x100000", "sandbox.memory_bytes"]
    {
        assert!(said.contains(wanted), "{said}");
    }
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
