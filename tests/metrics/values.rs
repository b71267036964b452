//! What happens is counted, once, and what waits is seen.

use std::time::Duration;

use super::Scrape;
use crate::contract;
use crate::harness::components::plugins;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::{Delivery, github, github_signed};
use crate::harness::wait;

on_both_databases!(
    a_delivery_is_counted_all_the_way,
    what_waits_is_seen,
    jobs_are_counted,
    controllers_passes_are_counted,
);

async fn a_delivery_is_counted_all_the_way(database: Database) {
    let folder = contract::folder(database).await;
    let host = folder.serve().await;
    Scrape::of(&host).await.check(&[
        ("hillock_webhook_requests_total{outcome=\"accepted\"}", 0.0),
        ("hillock_runs_created_total{owner=\"trigger\"}", 0.0),
        ("hillock_runs_ended_total{status=\"failed\"}", 0.0),
    ]);

    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(200);
    let forged = github_signed("no secret", "issues", "d-2", b"{}");
    assert_eq!(host.deliver("github", forged.clone()).await.status, 401);
    assert_eq!(host.deliver("nowhere", forged).await.status, 404);
    let closed = host.deliver("github", github(Payload::IssueClosed, "d-3")).await.event_id(202);
    host.decided(&closed).await;
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "completed").await;

    let scrape = Scrape::of(&host).await;
    // Filter and template were asked once at the start whether the trigger is right.
    scrape.check(&[
        ("hillock_webhook_requests_total{outcome=\"accepted\"}", 2.0),
        ("hillock_webhook_requests_total{outcome=\"duplicate\"}", 1.0),
        ("hillock_webhook_requests_total{outcome=\"unauthorized\"}", 1.0),
        ("hillock_webhook_requests_total{outcome=\"unknown\"}", 1.0),
        ("hillock_events_total{source=\"webhook\",outcome=\"accepted\"}", 2.0),
        ("hillock_events_total{source=\"webhook\",outcome=\"duplicate\"}", 1.0),
        ("hillock_decisions_total{outcome=\"fired\"}", 1.0),
        ("hillock_decisions_total{outcome=\"filtered\"}", 1.0),
        ("hillock_runs_created_total{owner=\"trigger\"}", 1.0),
        ("hillock_runs_ended_total{status=\"completed\"}", 1.0),
        ("hillock_commands_claimed_total{type=\"run\"}", 1.0),
        ("hillock_commands_ended_total{state=\"completed\"}", 1.0),
        ("hillock_commands_lost_total{outcome=\"requeued\"}", 0.0),
        ("hillock_plugin_calls_total{world=\"webhook-source\",outcome=\"answered\"}", 5.0),
        ("hillock_plugin_calls_total{world=\"filter\",outcome=\"answered\"}", 3.0),
        ("hillock_plugin_calls_total{world=\"prompt-template\",outcome=\"answered\"}", 2.0),
        (
            "hillock_http_request_duration_seconds_count\
             {method=\"POST\",route=\"/webhooks/{last}\",status=\"2xx\"}",
            3.0,
        ),
        ("hillock_store_operation_duration_seconds_count{operation=\"accept_events\"}", 3.0),
        ("hillock_store_up", 1.0),
    ]);
    assert!(scrape.value("hillock_plugin_fuel_total{world=\"filter\"}") > Some(0.0), "{scrape:?}");
    assert!(scrape.value("hillock_store_pool_connections_max") > Some(0.0), "{scrape:?}");
    assert!(scrape.value("process_start_time_seconds") > Some(1.7e9), "{scrape:?}");
    let there = "hillock_workers{health=\"online\",approval=\"approved\",state=\"active\"}";
    wait::until("the worker to be seen", async || {
        (Scrape::of(&host).await.value(there) == Some(1.0)).then_some(())
    })
    .await;
}

async fn what_waits_is_seen(database: Database) {
    let config = contract::CONFIG.split("[[worker.agents]]").next().unwrap();
    let folder = Folder::new(database, config).await.with_clock();
    let host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    host.run_of(&event).await;
    assert_eq!(host.post("pause").await.status, 200);
    folder.advance(Duration::from_secs(120));
    let scrape = wait::until("the oldest command to be old", async || {
        let scrape = Scrape::of(&host).await;
        let age = scrape.value("hillock_queue_oldest_pending_age_seconds")?;
        (age >= 120.0).then_some(scrape)
    })
    .await;
    scrape.check(&[
        ("hillock_queue_pending_commands{priority=\"normal\"}", 1.0),
        ("hillock_queue_pending_commands{priority=\"high\"}", 0.0),
        ("hillock_queue_active_commands", 0.0),
        ("hillock_queue_pauses", 1.0),
        ("hillock_inbox_waiting_events", 0.0),
        ("hillock_workers{health=\"online\",approval=\"approved\",state=\"active\"}", 0.0),
    ]);
}

async fn jobs_are_counted(database: Database) {
    let config = "[[agents]]\nname = \"a\"\n[[jobs]]\nname = \"tick\"\nagent = \"a\"\n\
                  prompt = \"x\"\nschedule = { every = \"1m\" }\noverlap = \"allow\"\n\
                  fire_limit = \"none\"\n";
    let folder = Folder::new(database, config).await.with_clock();
    let host = folder.serve().await;
    let fired = "hillock_runs_created_total{owner=\"job\"}";
    folder.advance(Duration::from_secs(61));
    wait::until("the job to fire", async || {
        (Scrape::of(&host).await.value(fired) == Some(1.0)).then_some(())
    })
    .await;
    Scrape::of(&host).await.check(&[
        ("hillock_schedule_lag_seconds_count", 1.0),
        ("hillock_schedule_missed_slots_total", 0.0),
    ]);
    folder.advance(Duration::from_secs(600));
    wait::until("slots to be missed", async || {
        let missed = Scrape::of(&host).await.value("hillock_schedule_missed_slots_total");
        (missed >= Some(9.0)).then_some(())
    })
    .await;
}

async fn controllers_passes_are_counted(database: Database) {
    let folder = Folder::new(database, "[controllers.retention]\ninterval = \"2h\"\n").await;
    let host = folder.serve().await;
    let passes = "hillock_controller_reconcile_total{controller=\"retention\",result=\"success\"}";
    let first = wait::until("the first pass", async || {
        Scrape::of(&host).await.value(passes).filter(|passes| *passes > 0.0)
    })
    .await;
    let run = ["controller", "run", "retention", "--url", &host.url];
    let run = folder.hillock(&run).output().await.unwrap();
    assert!(run.status.success(), "{run:?}");
    Scrape::of(&host).await.check(&[
        (passes, first + 1.0),
        ("hillock_controller_duration_seconds_count{controller=\"retention\"}", first + 1.0),
        ("hillock_controller_errors_total{controller=\"retention\"}", 0.0),
        ("hillock_controller_running{controller=\"retention\"}", 0.0),
        ("hillock_controller_interval_seconds{controller=\"retention\"}", 7200.0),
    ]);
}

/// Plugins that crash and exceed limits.
#[tokio::test]
async fn misdeeds_of_plugins_are_counted() {
    let trigger = |name: &str| {
        format!(
            "[[triggers]]\nname = {name:?}\nevent = \"webhook\"\nagent = \"a\"\nprompt = \"x\"\n\
             filter = {{ component = \"hostile-filter\", config = {{ mode = {name:?} }} }}\n"
        )
    };
    let config = format!(
        "{}\n[[agents]]\nname = \"a\"\n[[endpoints]]\nslug = \"open\"\nverification = \"none\"\n{}{}",
        plugins(),
        trigger("trap"),
        trigger("stack"),
    );
    let folder = Folder::new(Database::sqlite(), &config).await;
    let host = folder.serve().await;
    let event = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    host.decided(&event).await;
    Scrape::of(&host).await.check(&[
        ("hillock_plugin_calls_total{world=\"filter\",outcome=\"trap\"}", 1.0),
        ("hillock_plugin_calls_total{world=\"filter\",outcome=\"limit\"}", 1.0),
        ("hillock_plugin_limits_exceeded_total{world=\"filter\",limit=\"stack\"}", 1.0),
        ("hillock_decisions_total{outcome=\"component_error\"}", 2.0),
    ]);
}

/// What nobody can read is not told as if it were so.
#[tokio::test]
async fn a_store_that_is_away_is_down() {
    let folder = contract::folder(Database::postgres().await).await;
    let host = folder.serve().await;
    Scrape::of(&host).await.check(&[("hillock_store_up", 1.0)]);
    folder.database.reachable(false).await;
    let scrape = wait::until("the store to be down", async || {
        let scrape = Scrape::of(&host).await;
        (scrape.value("hillock_store_up") == Some(0.0)).then_some(scrape)
    })
    .await;
    assert!(!scrape.0.contains("hillock_queue_pending_commands"), "{scrape:?}");
    folder.database.reachable(true).await;
    wait::until("the store to be up", async || {
        (Scrape::of(&host).await.value("hillock_store_up") == Some(1.0)).then_some(())
    })
    .await;
}
