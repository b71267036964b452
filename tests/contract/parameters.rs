//! Parameters: every route knows its own, and says what is wrong with them in words, all at once.

use reqwest::Method;
use serde_json::{Value, json};

use super::folder;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::routes::routes;

#[tokio::test]
async fn no_route_takes_a_parameter_that_it_does_not_know() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let all = routes(&["delete", "get", "patch", "post", "put"]);
    assert!(all.len() > 80, "{all:?}");
    for (method, route) in all {
        let path = route.strip_prefix("/api/v1/").unwrap().replace("{id}", "x");
        let method: Method = method.parse().unwrap();
        let request = host.request(method.clone(), &format!("{path}?workspaec=acme"));
        let answer = Answer::of(request.json(&json!({}))).await;
        assert_eq!(answer.problem(400), "invalid_parameter", "{method} {route}");
        let [(name, reason)] = &problems(&answer)[..] else { panic!("{answer:?}") };
        assert_eq!(name, "workspaec", "{method} {route}");
        let guess = "is unknown; did you mean `workspace`?";
        let no_workspace = "is unknown; there are no parameters here";
        assert!([guess, no_workspace].contains(&reason.as_str()), "{method} {route}: {reason}");
    }
}

#[tokio::test]
async fn a_page_has_a_size_that_it_may_have() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    for path in [
        "agents",
        "audit",
        "commands",
        "endpoints",
        "events",
        "extensions",
        "hooks",
        "jobs",
        "jobs/x/runs",
        "observers",
        "runs",
        "sessions",
        "tasks",
        "triggers",
        "workers",
        "workers/tokens",
    ] {
        for limit in ["0", "201", "-1", "1.5", "many", "99999999999"] {
            let answer = host.get(&format!("{path}?limit={limit}")).await;
            assert_eq!(answer.problem(400), "invalid_parameter", "{path}?limit={limit}");
            let reason = format!("`{limit}` is not a whole number from 1 to 200");
            assert_eq!(problems(&answer), [("limit".to_owned(), reason)], "{path}");
        }
        let status = if path == "jobs/x/runs" { 404 } else { 200 };
        for limit in ["1", "200", ""] {
            let answer = host.get(&format!("{path}?limit={limit}")).await;
            assert_eq!(answer.status, status, "{path}?limit={limit}: {answer:?}");
        }
    }
    for (query, reason) in [
        ("limit=0", "`0` is not a whole number from 1 to 1000"),
        ("limit=1001", "`1001` is not a whole number from 1 to 1000"),
        ("after=x", "`x` is not a whole number, 0 or more"),
    ] {
        let answer = host.get(&format!("runs/x/logs?{query}")).await;
        assert_eq!(problems(&answer)[0].1, reason, "{query}");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_once() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    for (path, wanted) in [
        (
            "events?limit=0&kind=No%20Kind&cursor=zz&endpont=x&workspace=No%20Name",
            &["kind", "workspace", "limit", "cursor", "endpont"][..],
        ),
        ("runs?status=lost&trigger=t&job=j&limit=x", &["job", "status", "limit"]),
        ("audit?since=now&until=then&action=a&limit=5000", &["since", "until", "action", "limit"]),
        ("tasks?archived=maybe&status=x&limit=1&limit=2", &["status", "archived", "limit"]),
        ("triggers?enabled=yes&source=me", &["source", "enabled"]),
    ] {
        check(&host, path, wanted).await;
    }
    let answer = host.post("controllers/inbox/run?dry_run=perhaps").await;
    let wrong = ("dry_run".to_owned(), "`perhaps` is not true or false".to_owned());
    assert_eq!(problems(&answer), [wrong]);
}

async fn check(host: &Host, path: &str, wanted: &[&str]) {
    let answer = host.get(path).await;
    assert_eq!(answer.problem(400), "invalid_parameter", "{path}");
    let problems = problems(&answer);
    let names: Vec<&str> = problems.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, wanted, "{path}");
    for (name, reason) in problems {
        for parsers in ["invalid digit", "deserialize", "expected", "provided string"] {
            assert!(!reason.contains(parsers), "{name}: {reason}");
        }
    }
}

fn problems(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let problems = answer.json()["problems"].clone();
    let problems = problems.as_array().unwrap_or_else(|| panic!("{answer:?}")).iter();
    problems.map(|one| (text(&one["path"]), text(&one["reason"]))).collect()
}
