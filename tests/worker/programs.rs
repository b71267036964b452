//! What programs are given, what they write, and how they end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{PATIENT, gone, host_folder, run, start, starts, stdout, worker_folder};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::wait;

#[tokio::test]
async fn lines_stream_while_the_program_runs() {
    let (at_host, at_worker) =
        (host_folder().await, worker_folder(&format!("cat; {PATIENT}; echo oops >&2"), "").await);
    let host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    let run = run(&host).await;
    host.line(&run, "workstarted").await;
    assert_eq!(host.read(&format!("runs/{run}")).await["status"], "running");
    at_worker.write("go", "");
    let ended = host.run_with_status(&run, "completed").await;
    assert_eq!((&ended["attempt"], &ended["error"]), (&json!(1), &Value::Null));
    let mut lines = host.logs(&run).await;
    lines.sort();
    let mut wanted = stdout(&["workstarted", "done"]);
    wanted.insert(0, ("stderr".to_owned(), "oops".to_owned()));
    wanted.sort();
    assert_eq!(lines, wanted);
}

/// What is too long for a variable is in the run's folder, also where bubblewrap stands around it.
#[tokio::test]
async fn what_comes_with_a_task_reaches_its_program_whatever_its_size() {
    let script = r#"cd "$HILLOCK_CONTEXT_DIR" && wc -c < system_prompt; ls
                    echo "${HILLOCK_SYSTEM_PROMPT+set}"; pwd"#;
    let (at_host, at_worker) = (host_folder().await, worker_folder(script, "").await);
    let host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    for policy in [json!({}), json!({ "runtime_type": "process", "network_enabled": false })] {
        let task = json!({
            "agent": "agent",
            "message": "work",
            "system_prompt": "x".repeat(200_000),
            "spawned_by": { "user": "u" },
            "policy": if policy == json!({}) { Value::Null } else { policy },
        });
        let task = host.send(Method::POST, "tasks", &task).await;
        assert_eq!(task.status, 201, "{task:?}");
        let run = task.json()["run_id"].as_str().unwrap().to_owned();
        host.run_with_status(&run, "completed").await;
        let lines: Vec<String> = host.logs(&run).await.into_iter().map(|(_, line)| line).collect();
        assert!(lines.contains(&"200000".to_owned()), "{lines:?}");
        assert!(lines.contains(&"spawned_by.json".to_owned()), "{lines:?}");
        assert!(!lines.contains(&"set".to_owned()), "{lines:?}");
        assert!(!std::path::Path::new(lines.last().unwrap()).exists());
    }
}

#[tokio::test]
async fn how_a_program_ends_is_how_its_run_does() {
    for (script, error) in [
        ("exit 3", "exit status 3"),
        ("kill -9 $$", "killed by signal 9 (SIGKILL)"),
        ("sleep 60", "timed out after 300ms"),
    ] {
        let (at_host, at_worker) = (host_folder().await, worker_folder(script, "").await);
        let config = at_worker.read("hillock.toml").unwrap() + "timeout = \"300ms\"\n";
        at_worker.write("hillock.toml", &config);
        let host = at_host.serve().await;
        let _worker = start(&at_worker, &host);
        let run = run(&host).await;
        let ended = host.run_with_status(&run, "failed").await;
        assert_eq!(ended["error"], error, "{script}");
        assert!(!ended["ended_at"].is_null());
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_its_run() {
    let at_host = host_folder().await;
    let config = "[[worker.agents]]\nname = \"agent\"\ncommand = [\"/nowhere/agent\"]\n";
    let at_worker = Folder::new(Database::sqlite(), config).await;
    let host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    let run = run(&host).await;
    let ended = host.run_with_status(&run, "failed").await;
    let error = ended["error"].as_str().unwrap();
    assert!(error.starts_with("cannot start `/nowhere/agent`: "), "{error}");
}

/// No shell reads the arguments, and nothing of the worker's environment is passed on that is not
/// named.
#[tokio::test]
async fn arguments_and_environment_are_as_configured() {
    let at_host = host_folder().await;
    let config = r#"
        [[worker.agents]]
        name = "agent"
        env = ["GRANTED"]
        command = ["sh", "-c", 'printf "%s\n" "$@"; env', "sh", "$HOME `id` ; *", "two words"]
    "#;
    let at_worker = Folder::new(Database::sqlite(), config).await;
    let at_worker = at_worker.env("GRANTED", "yes").env("WITHHELD", "no");
    let host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    let run = run(&host).await;
    host.run_with_status(&run, "completed").await;
    let lines: Vec<String> = host.logs(&run).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(lines[..2], ["$HOME `id` ; *", "two words"]);
    let has = |wanted: &str| lines.iter().any(|line| line == wanted);
    assert!(has("GRANTED=yes") && has(&format!("HILLOCK_RUN_ID={run}")), "{lines:?}");
    assert!(has("HILLOCK_ATTEMPT=1"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("HILLOCK_COMMAND_ID=cmd_")), "{lines:?}");
    let leaked = ["WITHHELD", "HILLOCK_API_KEY", "GITHUB_WEBHOOK_SECRET"];
    assert!(
        !lines.iter().any(|line| leaked.iter().any(|name| line.starts_with(name))),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_canceled_program_is_killed_with_all_it_started() {
    let stubborn =
        format!("trap '' TERM; (trap '' TERM; echo $$ >> starts; sleep 600) & {PATIENT}");
    let (at_host, at_worker) =
        (host_folder().await, worker_folder(&stubborn, "cancel_grace = \"300ms\"").await);
    let host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    let run = run(&host).await;
    host.line(&run, "started").await;
    starts(&at_worker, 2).await;

    let canceled = at_host
        .hillock(&["run", "cancel", &run])
        .env("HILLOCK_URL", &host.url)
        .output()
        .await
        .unwrap();
    assert!(canceled.status.success(), "{canceled:?}");
    let said = String::from_utf8(canceled.stdout).unwrap();
    assert_eq!(said, format!("{run} is running, and was asked to stop\n"));
    host.run_with_status(&run, "canceled").await;
    gone(&run).await;
    assert_eq!(host.post(&format!("runs/{run}/cancel")).await.problem(409), "run_ended");
}

#[tokio::test]
async fn a_run_that_waits_is_canceled_at_once() {
    let at_host = host_folder().await;
    let host = at_host.serve().await;
    let run = run(&host).await;
    assert_eq!(host.post(&format!("runs/{run}/cancel")).await.json()["status"], "canceled");
    let at_worker = worker_folder("echo never", "").await;
    let _worker = start(&at_worker, &host);
    let later = super::run(&host).await;
    host.run_with_status(&later, "completed").await;
    assert_eq!(host.logs(&run).await, []);
}

/// How many runs have this status.
async fn listed(host: &Host, status: &str) -> usize {
    host.read(&format!("runs?status={status}")).await["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_worker_runs_no_more_than_its_capacity() {
    let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, "capacity = 2").await);
    let host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    let mut runs = vec![];
    for _ in 0..4 {
        runs.push(run(&host).await);
    }
    let first = starts(&at_worker, 2).await;
    // A program may have begun before its host has heard of it; the others stay where they are.
    wait::until("two runs to be under way", async || {
        (listed(&host, "running").await == 2).then_some(())
    })
    .await;
    assert_eq!(listed(&host, "scheduled").await, 2);
    assert_eq!(first, 2);
    at_worker.write("go", "");
    for run in runs {
        host.run_with_status(&run, "completed").await;
    }
}

#[tokio::test]
async fn long_output_arrives_whole_and_in_order() {
    let script = "i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo line $i; done";
    let (at_host, at_worker) = (host_folder().await, worker_folder(script, "").await);
    let host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    let run = run(&host).await;
    host.run_with_status(&run, "completed").await;
    let (mut after, mut seen) = (0, 0);
    wait::within(Duration::from_secs(30), "all lines", async || {
        let page = host.read(&format!("runs/{run}/logs?after={after}")).await;
        for line in page["logs"].as_array().unwrap() {
            seen += 1;
            assert_eq!(
                (&line["seq"], &line["text"]),
                (&json!(seen), &json!(format!("line {seen}")))
            );
        }
        after = page["next_after"].as_i64().unwrap();
        (seen == 5000).then_some(())
    })
    .await;
}
