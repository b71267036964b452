//! Workspaces: each sees its own, and nobody else's.

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;

on_both_databases!(a_workspace_sees_only_its_own);

const CONFIG: &str = r#"
    agents = [{ name = "echo" }, { name = "echo", workspace = "acme" },
              { name = "echo", workspace = "umbrella" }]
    endpoints = [{ slug = "open", verification = "none" },
                 { slug = "open", workspace = "acme", verification = "none" },
                 { slug = "open", workspace = "umbrella", verification = "none" }]
    triggers = [
        { name = "echo", event = "webhook", agent = "echo", prompt = "global" },
        { name = "echo", event = "webhook", agent = "echo", prompt = "acme", workspace = "acme" },
        { name = "echo", event = "webhook", agent = "echo", prompt = "umbrella", workspace = "umbrella" },
    ]
"#;

async fn a_workspace_sees_only_its_own(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let mut events = vec![];
    for (path, workspace) in [("open", ""), ("acme/open", "acme"), ("umbrella/open", "umbrella")] {
        let answer = host.deliver(path, Delivery::new(&[], b"{}")).await;
        let id = answer.event_id(202);
        let event = host.decided_in(&id, workspace).await;
        assert_eq!(event["decisions"].as_array().unwrap().len(), 1, "{event}");
        assert_eq!(event["workspace_id"].as_str().unwrap_or(""), workspace);
        let run = event["decisions"][0]["run_id"].as_str().unwrap().to_owned();
        let shown = host.read(&format!("runs/{run}?workspace={workspace}")).await;
        let prompt = if workspace.is_empty() { "global" } else { workspace };
        assert_eq!(shown["prompt"], prompt);
        events.push((workspace, id, run));
    }
    for (reader, ..) in &events {
        for (owner, event, run) in &events {
            let status = if reader == owner { 200 } else { 404 };
            for path in
                [format!("events/{event}"), format!("runs/{run}"), format!("runs/{run}/logs")]
            {
                let answer = host.get(&format!("{path}?workspace={reader}")).await;
                assert_eq!(answer.status, status, "{path} of `{owner}`, read by `{reader}`");
            }
            if reader != owner {
                let cancel = format!("runs/{run}/cancel?workspace={reader}");
                assert_eq!(host.post(&cancel).await.problem(404), "not_found");
            }
        }
        let listed = host.read(&format!("events?workspace={reader}")).await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    }
    assert_eq!(host.deliver("nobody/open", Delivery::new(&[], b"{}")).await.status, 404);
}
