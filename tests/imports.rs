//! Who imports whom: data goes down the layers, never back up (ARCHITECTURE.md).
//!
//! Every `crate::…` and `super::…` path in `host/src` that leads to a top-level module is an arrow;
//! one that the table does not allow fails the test, and so does a crate used where it must not be.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// What each top-level module may import beside what is [`FREE`].
const TABLE: [(&str, &[&str]); 23] = [
    ("model", &[]),
    ("catalog", &[]),
    ("admission", &["store"]),
    ("clock", &[]),
    ("config", &[]),
    ("environment", &[]),
    ("metrics", &[]),
    ("telemetry", &[]),
    ("trace", &[]),
    ("store", &[]),
    ("sandbox", &[]),
    ("egress", &[]),
    ("ingress", &["store", "sandbox", "egress"]),
    ("pre_fire", &["sandbox"]),
    ("activation", &["store", "admission", "sandbox", "pre_fire"]),
    ("dispatch", &["store"]),
    ("schedule", &["store", "sandbox", "pre_fire"]),
    ("worker", &["dispatch"]),
    ("controllers", &["store", "activation", "dispatch", "ingress", "schedule"]),
    (
        "api",
        &[
            "store",
            "admission",
            "sandbox",
            "ingress",
            "activation",
            "dispatch",
            "schedule",
            "controllers",
        ],
    ),
    ("app", EVERYTHING),
    ("cli", EVERYTHING),
    ("main", EVERYTHING),
];
const EVERYTHING: &[&str] = &[
    "store",
    "admission",
    "sandbox",
    "egress",
    "ingress",
    "pre_fire",
    "activation",
    "dispatch",
    "schedule",
    "worker",
    "controllers",
    "api",
    "app",
    "cli",
    "telemetry",
];
/// Free to all but `model`, which imports nothing of ours.
const FREE: [&str; 7] = ["model", "catalog", "clock", "config", "environment", "metrics", "trace"];

/// Crates, and the only modules that may name them.
const CONFINED: [(&str, &[&str]); 4] = [
    ("sqlx", &["store"]),
    ("wasmtime", &["sandbox"]),
    ("wasmtime_wasi", &["sandbox"]),
    // What guests may reach is decided in one place; the command line asks its own host, and spans
    // go to the operator's collector.
    ("reqwest", &["egress", "cli", "telemetry"]),
];
/// What `model`, which does no I/O, may not name.
const IMPURE: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "tokio::",
    "reqwest::",
    "axum::",
    "SystemTime",
];

/// An import that goes up, or a crate out of its place.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    module: String,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.module, self.line, self.what)
    }
}

#[test]
fn imports_go_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    collect(&source, &mut files);
    assert!(files.len() > 50, "the files of {} were found", source.display());
    let mut faults = vec![];
    let mut modules = BTreeSet::new();
    for file in &files {
        let path = module_path(file.strip_prefix(&source).unwrap());
        let Some(top) = path.first() else { continue };
        modules.insert(top.clone());
        faults.extend(self::faults(&path, &fs::read_to_string(file).unwrap()));
    }
    let unknown: Vec<_> = modules.iter().filter(|module| row(module).is_none()).collect();
    assert!(unknown.is_empty(), "the table has no row for {unknown:?}");
    let list: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert!(list.is_empty(), "imports that go up:\n{}", list.join("\n"));
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The module that a file is: `store/sql.rs` is `store`, `sql`; `lib.rs` is the root.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod" || last == "lib") {
        path.pop();
    }
    path
}

fn row(module: &str) -> Option<&'static [&'static str]> {
    TABLE.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed)
}

fn faults(module: &[String], text: &str) -> Vec<Fault> {
    let mut faults = vec![];
    let top = module[0].as_str();
    for (number, line) in statements(text) {
        let mut add = |what: String| {
            faults.push(Fault { module: module.join("::"), line: number, what });
        };
        for target in targets(&line, module.len()) {
            if !allows(top, &target, &line) {
                add(format!("imports `{target}`"));
            }
        }
        for (confined, home) in CONFINED {
            if names(&line, &format!("{confined}::")) && !home.contains(&top) {
                add(format!("names `{confined}`"));
            }
        }
        for impure in IMPURE {
            if top == "model" && names(&line, impure) {
                add(format!("names `{impure}`"));
            }
        }
    }
    faults
}

/// The code without its comments, each `use` on one line, with the number it begins on.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = vec![];
    let mut open = false;
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("//") {
            continue;
        }
        match found.last_mut() {
            Some((_, last)) if open => last.push_str(line),
            _ => {
                found.push((i + 1, line.to_owned()));
                open = line.starts_with("use ") || line.starts_with("pub use ");
            }
        }
        open = open && !line.contains(';');
    }
    found
}

/// The top-level modules that a statement of a module at this depth leads to.
fn targets(line: &str, depth: usize) -> BTreeSet<String> {
    let mut targets = BTreeSet::new();
    let to_root = "super::".repeat(depth);
    for root in ["crate::", to_root.as_str()] {
        for (i, _) in line.match_indices(root) {
            if line[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            targets.extend(heads(&line[i + root.len()..]));
        }
    }
    targets.retain(|target| row(target).is_some());
    targets
}

/// The first segments of what follows a root: one, or those of a list in braces.
fn heads(rest: &str) -> Vec<String> {
    let word = |text: &str| {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(list) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let mut heads = vec![word(list)];
    let mut depth = 1;
    for (i, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(word(&list[i + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn allows(module: &str, target: &str, line: &str) -> bool {
    if module == target {
        return true;
    }
    if module == "worker" && target == "dispatch" {
        return line.contains("dispatch::protocol");
    }
    let free = module != "model" && FREE.contains(&target);
    free || row(module).is_some_and(|allowed| allowed.contains(&target))
}

/// Whether a line of code names this, as a word of its own.
fn names(line: &str, wanted: &str) -> bool {
    line.match_indices(wanted)
        .any(|(i, _)| !line[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"'))
}

/// The test that can fail.
#[test]
fn arrows_that_go_up_are_found() {
    let check = |module: &str, text: &str, wanted: &[(usize, &str)]| {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        let found = faults(&module, text);
        let found: Vec<_> = found.iter().map(|fault| (fault.line, fault.what.as_str())).collect();
        assert_eq!(found, wanted, "{text}");
    };
    check("store::runs", "use crate::model::run::Run;\nuse super::sql::Tx;", &[]);
    check("store::runs", "use crate::api::Api;", &[(1, "imports `api`")]);
    check("store", "use super::sandbox::Sandbox;", &[(1, "imports `sandbox`")]);
    check("store::runs", "use super::super::cli;", &[(1, "imports `cli`")]);
    check(
        "dispatch::queue",
        "// crate::cli is fine here\nuse crate::{\n    model::id::{RunId, TaskId},\n    app::Host,\n};",
        &[(2, "imports `app`")],
    );
    check(
        "dispatch::queue",
        "fn f() { crate::controllers::run() }",
        &[(1, "imports `controllers`")],
    );
    check("worker::link", "use crate::dispatch::protocol::Held;", &[]);
    check("worker::link", "use crate::dispatch::hub::Hub;", &[(1, "imports `dispatch`")]);
    check("model::run", "use crate::clock::Clock;", &[(1, "imports `clock`")]);
    check("model::run", "use std::fs;\nuse std::fmt;", &[(1, "names `std::fs`")]);
    check("api::runs", "use sqlx::Row;", &[(1, "names `sqlx`")]);
    check("store::sql", "use sqlx::Row;", &[]);
    check("ingress::poll", "use reqwest::Client;", &[(1, "names `reqwest`")]);
    check("ingress::poll", "use crate::egress::Egress;", &[]);
    check("sandbox::imports", "use crate::egress::Egress;", &[(1, "imports `egress`")]);
    check("app", "let engine = wasmtime::Engine::default();", &[(1, "names `wasmtime`")]);
    check("api::runs", "let text = \"sqlx::Row\"; // my_sqlx::Row", &[]);
}
