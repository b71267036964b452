//! Methods: where one is not allowed, those are named that are (RFC 9110, section 15.5.6).

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use super::folder;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::routes::routes;

const METHODS: [&str; 6] = ["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"];

#[tokio::test]
async fn whoever_uses_the_wrong_method_hears_the_right_ones() {
    let folder = folder(Database::sqlite()).await;
    let host = folder.serve().await;
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (method, path) in routes(&["delete", "get", "patch", "post", "put"]) {
        allowed.entry(path.replace("{id}", "x")).or_default().insert(method);
    }
    for (path, method) in [
        ("/webhooks/github", "POST"),
        ("/webhooks/nope", "POST"),
        ("/webhooks/acme/github", "POST"),
        ("/api/v1/workers/protocol.json", "GET"),
        ("/livez", "GET"),
        ("/readyz", "GET"),
        ("/metrics", "GET"),
    ] {
        allowed.entry(path.to_owned()).or_default().insert(method.to_owned());
    }
    for (path, allowed) in allowed {
        for method in METHODS.iter().filter(|method| !allowed.contains(**method)) {
            let method: Method = method.parse().unwrap();
            let request = host.http.request(method.clone(), format!("{}{path}", host.url));
            let answer = Answer::of(request.bearer_auth(&host.key)).await;
            assert_eq!(answer.problem(405), "method_not_allowed", "{method} {path}");
            let said = answer.headers["allow"].to_str().unwrap();
            // Where there is a GET, there is a HEAD.
            let said = said.split(',').map(|method| method.trim().to_owned());
            let said: BTreeSet<String> = said.filter(|method| method != "HEAD").collect();
            assert_eq!(said, allowed, "{method} {path}");
        }
        if !allowed.contains("GET") {
            let answer = Answer::of(host.http.head(format!("{}{path}", host.url))).await;
            assert!(answer.headers.contains_key("allow") || answer.status == 401, "HEAD {path}");
        }
    }
}
