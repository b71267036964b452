//! Jobs through the built program, whose clock the test leads.

use std::time::Duration;

use hillock::model::time::Time;
use reqwest::Method;
use serde_json::{Value, json};

use super::fixture::spec;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::process::Process;
use crate::harness::{on_both_databases, wait};

on_both_databases!(
    a_job_fires_and_its_run_completes,
    a_kill_between_claim_and_dispatch_neither_loses_nor_doubles,
    the_api_knows_jobs,
);

const HOUR_MS: i64 = 3_600_000;
const WORKER: &str = "[[worker.agents]]\nname = \"worker\"\ncommand = [\"cat\"]\n";
const AGENT: &str = "[[agents]]\nname = \"worker\"\n";

async fn a_job_fires_and_its_run_completes(database: Database) {
    let folder = folder(database, &[AGENT, WORKER].concat()).await;
    let host = folder.serve().await;
    let job = hourly(&host, "nightly", json!({})).await;
    assert!(runs(&host, "nightly").await.is_empty());
    lead(&folder, HOUR_MS);
    let run = one_run(&host, "nightly").await;
    assert_eq!((&run["job"], &run["job_id"]), (&json!("nightly"), &json!(job)));
    let run = host.run_with_status(run["id"].as_str().unwrap(), "completed").await;
    assert_eq!(run["prompt"], "work");
    // Each further hour, one more.
    lead(&folder, 2 * HOUR_MS);
    wait::until("the second run to complete", async || {
        let runs = runs(&host, "nightly").await;
        let done = runs.iter().filter(|run| run["status"] == "completed").count();
        (done == 2).then_some(())
    })
    .await;
}

/// Nobody is there who could take the run when the host dies.
async fn a_kill_between_claim_and_dispatch_neither_loses_nor_doubles(database: Database) {
    let folder = folder(database, AGENT).await;
    let mut host = folder.serve().await;
    hourly(&host, "nightly", json!({})).await;
    lead(&folder, HOUR_MS);
    let run = one_run(&host, "nightly").await;
    host.process.kill().await;

    let host = folder.serve().await;
    let worker = worker_folder(WORKER).await;
    let _working = start_worker(&worker, &host);
    let id = run["id"].as_str().unwrap();
    host.run_with_status(id, "completed").await;
    let runs = runs(&host, "nightly").await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!((&runs[0]["id"], &runs[0]["attempt"]), (&json!(id), &json!(1)));
}

/// Two hosts on one PostgreSQL, both led, both ticking: each slot once.
#[tokio::test]
async fn two_hosts_share_the_slots() {
    let folder = folder(Database::postgres().await, AGENT).await;
    let other = Folder::new(Database::sqlite(), AGENT)
        .await
        .env("HILLOCK_CLOCK_FILE", folder.path().join("lead").to_str().unwrap());
    let one = folder.serve().await;
    let two = serve_on_database_of(&other, &folder).await;
    for n in 0..10 {
        hourly(&one, &format!("job-{n}"), json!({ "overlap": "allow" })).await;
    }
    const HOURS: i64 = 8;
    for hour in 1..=HOURS {
        lead(&folder, hour * HOUR_MS);
        wait::until("all jobs to have fired", async || {
            let runs = one.items("runs").await;
            (runs.len() as i64 >= 10 * hour).then_some(())
        })
        .await;
    }
    let runs = two.items("runs").await;
    let mut fires: Vec<&str> = runs.iter().map(|run| run["fire_id"].as_str().unwrap()).collect();
    fires.sort_unstable();
    fires.dedup();
    assert_eq!((runs.len() as i64, fires.len() as i64), (10 * HOURS, 10 * HOURS));
}

async fn the_api_knows_jobs(database: Database) {
    let folder = folder(database, AGENT).await;
    let fields = json!({ "jitter": "5m", "fire_limit": { "max": 2, "window": "1h" } });
    let host = folder.serve().await;
    let id = hourly(&host, "nightly", fields).await;

    let schedule = host.read("jobs/nightly/schedule").await;
    assert_eq!((&schedule["job_id"], &schedule["enabled"]), (&json!(id), &json!(true)));
    for field in [
        "next_run_at",
        "last_run_at",
        "last_scheduled_at",
        "last_fire_id",
        "schedule_hash",
        "catch_up_policy",
        "misfire_grace_seconds",
        "consecutive_resume_failures",
        "last_misfire_at",
        "misfire_count",
    ] {
        assert!(schedule["state"].get(field).is_some(), "{field} in {schedule}");
    }
    let preview = host.read(&format!("jobs/{id}/preview?count=7")).await;
    let next = preview["next"].as_array().unwrap();
    assert_eq!((next.len(), &preview["mode"]), (7, &json!("every")));
    let instant = |value: &Value| value.as_str().unwrap().parse::<Time>().unwrap();
    let offset = Duration::from_millis(preview["jitter_offset_ms"].as_u64().unwrap());
    assert_eq!(instant(&next[0]["due_at"]), instant(&next[0]["scheduled_at"]) + offset);
    assert_eq!(next[0]["scheduled_at"], schedule["state"]["next_run_at"]);
    assert_eq!(host.read("jobs/nightly/preview").await["next"].as_array().unwrap().len(), 5);
    for count in ["0", "1001", "many"] {
        let answer = host.get(&format!("jobs/nightly/preview?count={count}")).await;
        assert_eq!(answer.problem(400), "invalid_parameter", "{count}");
    }

    let fired = host.post("jobs/nightly/trigger").await;
    assert_eq!((fired.status, &fired.json()["fire_id"]), (202, &Value::Null));
    assert_eq!(host.post("jobs/nightly/trigger").await.status, 202);
    let limited = host.post("jobs/nightly/trigger").await;
    assert_eq!(limited.problem(429), "fire_limited");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    let history = host.read("jobs/nightly/runs?status=scheduled").await;
    assert_eq!(history["items"].as_array().unwrap().len(), 2);

    for (body, path) in [
        (json!({}), "from"),
        (json!({ "from": "2026-01-01T00:00:00Z" }), "to"),
        (json!({ "from": "noon", "to": "2026-01-01T00:00:00Z" }), "from"),
        (json!({ "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" }), "to"),
        (json!({ "from": "2026-01-01T00:00:00Z", "to": "9999-01-01T00:00:00Z" }), "to"),
        (json!({ "from": 1, "to": "2026-01-01T00:00:00Z" }), "from"),
    ] {
        let answer = backfill(&host, "nightly", &body).await;
        assert_eq!(answer.problem(422), "invalid", "{body}");
        assert_eq!(answer.json()["problems"][0]["path"], path, "{body}");
    }
    // Nothing was on this grid before the job was there.
    let past = json!({ "from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z" });
    let answer = backfill(&host, "nightly", &past).await;
    assert_eq!((answer.status, &answer.json()["fired"]), (202, &json!(0)));
    for path in ["schedule", "preview", "runs"] {
        assert_eq!(host.get(&format!("jobs/none/{path}")).await.problem(404), "not_found");
        let elsewhere = host.get(&format!("jobs/nightly/{path}?workspace=acme")).await;
        assert_eq!(elsewhere.problem(404), "not_found");
    }
    assert_eq!(host.post("jobs/none/trigger").await.problem(404), "not_found");
    command_line(&folder, &host).await;
}

async fn command_line(folder: &Folder, host: &Host) {
    let output = async |args: &[&str]| {
        let mut command = folder.hillock(args);
        let output = command.env("HILLOCK_URL", &host.url).output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = output(&["job", "preview", "nightly", "--count", "3"]).await;
    assert_eq!(text.lines().count(), 4, "{text}");
    let json: Value =
        serde_json::from_str(&output(&["job", "preview", "nightly", "--json"]).await).unwrap();
    assert_eq!(json["next"].as_array().unwrap().len(), 5);
    let text = output(&["job", "history", "nightly"]).await;
    assert_eq!(text.lines().count(), 3, "{text}");
    let backfill = ["--from", "2020-01-01T00:00:00Z", "--to", "2020-02-01T00:00:00Z"];
    let text = output(&[&["job", "backfill", "nightly"][..], &backfill].concat()).await;
    assert_eq!(text, "0 fired, 0 had their run already\n");
    let mut limited = folder.hillock(&["job", "trigger", "nightly"]);
    let limited = limited.env("HILLOCK_URL", &host.url).output().await.unwrap();
    let said = String::from_utf8(limited.stderr).unwrap();
    assert!(!limited.status.success() && said.contains("fire limit"), "{said}");
}

async fn backfill(host: &Host, job: &str, body: &Value) -> crate::harness::client::Answer {
    let url = format!("{}/api/v1/jobs/{job}/backfill", host.url);
    crate::harness::client::Answer::of(host.http.post(url).bearer_auth(&host.key).json(body)).await
}

/// A folder whose host's clock is led by the file `lead` in it.
async fn folder(database: Database, config: &str) -> Folder {
    let folder = Folder::new(database, config).await;
    let path = folder.path().join("lead").to_str().unwrap().to_owned();
    lead(&folder, 0);
    folder.env("HILLOCK_CLOCK_FILE", &path)
}

async fn worker_folder(config: &str) -> Folder {
    Folder::new(Database::sqlite(), config).await
}

fn start_worker(folder: &Folder, host: &Host) -> Process {
    let mut command = folder.hillock(&["worker", "--config", "hillock.toml"]);
    command.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key);
    Process::start(command, &folder.path().join("worker.log"))
}

async fn serve_on_database_of(folder: &Folder, other: &Folder) -> Host {
    let mut command = folder.hillock(&["serve", "--config", "hillock.toml"]);
    command.env("HILLOCK_LISTEN", "127.0.0.1:0").env("HILLOCK_STORE_URL", other.database.url());
    Host::ready(folder, Process::start(command, &folder.path().join("serve.log"))).await
}

/// Puts the host's clock ahead of the machine's by so many milliseconds.
fn lead(folder: &Folder, ms: i64) {
    let file = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
    std::fs::write(file.path(), ms.to_string()).unwrap();
    file.persist(folder.path().join("lead")).unwrap();
}

/// A job that fires each hour from now on. Gives its identifier.
async fn hourly(host: &Host, name: &str, fields: Value) -> String {
    let spec = spec(name, json!({ "every": "1h" }), fields);
    let answer = host.send(Method::POST, "jobs", &spec).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn runs(host: &Host, job: &str) -> Vec<Value> {
    host.read(&format!("jobs/{job}/runs")).await["items"].as_array().unwrap().clone()
}

async fn one_run(host: &Host, job: &str) -> Value {
    wait::until("a run of the job", async || runs(host, job).await.into_iter().next()).await
}
