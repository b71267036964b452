//! Attempts that fail, and those that follow them.

use std::time::Duration;

use super::{folder, run};
use crate::harness::database::Database;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    a_run_is_tried_until_it_completes,
    a_program_says_when_to_try_again,
    a_policy_says_how_often_a_run_is_tried,
);

/// Fails until it has been started three times.
const THIRD_TIME: &str = "echo $HILLOCK_ATTEMPT >> attempts; [ $(wc -l < attempts) -ge 3 ]";

async fn a_run_is_tried_until_it_completes(database: Database) {
    let more = "[[triggers]]\nname = \"all\"\nevent = \"webhook\"\nagent = \"agent\"\n\
                prompt = \"work\"\nretry = { max_retries = 5, base_delay = \"10ms\" }\n";
    let folder = folder(database, THIRD_TIME, more).await;
    let host = folder.serve().await;
    let run = run(&host).await;
    let ended = host.run_with_status(&run, "completed").await;
    assert_eq!((ended["attempt"].as_u64(), ended["error"].as_str()), (Some(3), None));
    assert_eq!(folder.read("attempts").unwrap(), "1\n2\n3\n");
}

async fn a_program_says_when_to_try_again(database: Database) {
    let script = "echo '{\"retry_after\": 3600}'; [ $HILLOCK_ATTEMPT = 2 ]";
    let more = "[[triggers]]\nname = \"all\"\nevent = \"webhook\"\nagent = \"agent\"\n\
                prompt = \"work\"\nretry = \"backoff\"\n";
    let folder = folder(database, script, more).await.with_clock();
    let host = folder.serve().await;
    let run = run(&host).await;
    let waiting = wait::until("the run to wait", async || {
        let run = host.read(&format!("runs/{run}")).await;
        run["due_at"].is_string().then_some(run)
    })
    .await;
    assert_eq!(
        (&waiting["status"], &waiting["error"]),
        (&"scheduled".into(), &"exit status 1".into())
    );
    folder.lead(Duration::from_secs(3600));
    assert_eq!(host.run_with_status(&run, "completed").await["attempt"], 2);
}

/// Of a trigger and of a job, unless they say it themselves.
async fn a_policy_says_how_often_a_run_is_tried(database: Database) {
    let policy = "policy = { runtime_type = \"process\", retry = { attempts = 3, delay_ms = 10 } }";
    let more = format!(
        "[[triggers]]\nname = \"all\"\nevent = \"webhook\"\nagent = \"agent\"\n\
         prompt = \"work\"\n{policy}\n\
         [[jobs]]\nname = \"yearly\"\nschedule = {{ cron = \"0 0 1 1 *\" }}\n\
         agent = \"agent\"\nprompt = \"work\"\n{policy}\n\
         [[jobs]]\nname = \"once\"\nschedule = {{ cron = \"0 0 1 1 *\" }}\n\
         agent = \"agent\"\nprompt = \"work\"\nretry = \"none\"\n{policy}\n"
    );
    let folder = folder(database, "[ $HILLOCK_ATTEMPT = 3 ]", &more).await;
    let host = folder.serve().await;
    let fired = async |job: &str| {
        let fired = host.post(&format!("jobs/{job}/trigger")).await.json();
        fired["id"].as_str().unwrap_or_else(|| panic!("{fired}")).to_owned()
    };
    // One after the other: a class that fails five times in a row is left alone for a while.
    for (job, status, attempt) in
        [("", "completed", 3), ("yearly", "completed", 3), ("once", "failed", 1)]
    {
        let id = if job.is_empty() { run(&host).await } else { fired(job).await };
        assert_eq!(host.run_with_status(&id, status).await["attempt"], attempt, "{job}");
    }
}
