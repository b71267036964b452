//! Definitions: configuration and the store in step, changes by compare-and-set, overlays, and what
//! keeps in step with a definition.

use std::path::Path;

use hillock::clock::Clock;
use hillock::config::definitions::{self as specs, Declared};
use hillock::config::{Config, Overrides};
use hillock::model::definition::{DefinitionKind, DefinitionSource};
use hillock::model::problem::Problems;
use hillock::model::scope::Scope;
use hillock::store::Store;
use hillock::store::definitions::{
    self, Change, Counts, DefinitionFilter, Refusal, Stored, Synced,
};
use serde_json::{Value, json};

use super::fixture::{at, first_page, open, scope};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    configuration_and_the_store_are_brought_into_step,
    slugs_can_be_swapped,
    what_the_api_made_is_left_alone_and_keeps_its_name,
    the_same_configuration_twice_at_once_is_taken_once,
    overlays_survive_and_go_with_the_definition,
    a_change_holds_for_the_revision_it_is_based_on,
    names_and_slugs_are_one_s_own,
    what_is_named_must_be_there_and_stays,
    another_workspace_s_definitions_do_not_exist,
    listeners_keep_in_step,
    schedules_keep_in_step,
    what_cannot_be_read_is_left_out,
    definitions_are_listed_by_what_is_asked,
);

const FOLDER: &str = "/nowhere";

fn configured(text: &str) -> Vec<Declared> {
    let path = Path::new("/nowhere/hillock.toml");
    Config::parse(text, path, &Overrides::default()).unwrap().declared
}

async fn sync(store: &Store, text: &str, secs: i64) -> Synced {
    definitions::sync(store, configured(text), at(secs)).await.unwrap().unwrap()
}

async fn revision(store: &Store) -> i64 {
    definitions::revision(store).await.unwrap()
}

fn counts(created: usize, updated: usize, unchanged: usize, deleted: usize) -> Counts {
    Counts { created, updated, unchanged, deleted }
}

fn declared(kind: DefinitionKind, id: &str, spec: Value) -> Declared {
    let mut problems = Problems::default();
    let path = kind.as_str();
    let parsed = specs::parse(kind, path, &spec, Some(id), Path::new(FOLDER), &mut problems);
    let definition = parsed.unwrap_or_else(|| panic!("{spec}: {problems}"));
    Declared { path: path.to_owned(), kind, spec, definition }
}

async fn create(store: &Store, kind: DefinitionKind, spec: Value) -> Result<Stored, Refusal> {
    let id = Clock.definition_id(kind);
    let declared = declared(kind, &id, spec);
    definitions::create(store, id, declared, at(10)).await.unwrap()
}

async fn find(store: &Store, kind: DefinitionKind, name: &str) -> Option<Stored> {
    definitions::find(store, kind, &Scope::Global, name).await.unwrap()
}

fn change(stored: &Stored, secs: i64) -> Change {
    Change {
        id: stored.id.clone(),
        scope: stored.scope.clone(),
        revision: stored.revision,
        now: at(secs),
    }
}

async fn update(store: &Store, stored: &Stored, spec: Value) -> Result<Stored, Refusal> {
    let declared = declared(stored.kind, &stored.id, spec);
    definitions::update(store, change(stored, 20), declared).await.unwrap()
}

async fn delete(store: &Store, stored: &Stored) -> Result<(), Refusal> {
    definitions::delete(store, change(stored, 20)).await.unwrap()
}

async fn switch(store: &Store, stored: &Stored, enabled: bool) -> Result<Stored, Refusal> {
    definitions::set_enabled(store, change(stored, 20), enabled).await.unwrap()
}

fn agent(name: &str) -> Value {
    json!({ "name": name })
}

fn trigger(name: &str) -> Value {
    json!({ "name": name, "event": "github.push", "agent": "a", "prompt": "x" })
}

fn job(name: &str) -> Value {
    json!({ "name": name, "schedule": { "every": "1h" }, "agent": "a", "prompt": "x" })
}

const TWO_JOBS: &str = r#"
    agents = [{ name = "a" }]
    [[jobs]]
    name = "first"
    schedule = { every = "1h" }
    agent = "a"
    prompt = "x"
    [[jobs]]
    name = "second"
    schedule = { every = "1h" }
    agent = "a"
    prompt = "x"
"#;

async fn configuration_and_the_store_are_brought_into_step(database: Database) {
    let store = open(&database).await;
    assert_eq!(sync(&store, TWO_JOBS, 0).await.counts, counts(3, 0, 0, 0));
    let first = find(&store, DefinitionKind::Job, "first").await.unwrap();
    assert_eq!((first.source, first.revision), (DefinitionSource::Config, 1));
    assert_eq!((first.created_at, first.updated_at), (at(0), at(0)));
    let seen = revision(&store).await;

    // The same again, in another order and notation.
    let same = TWO_JOBS.replace("schedule = { every = \"1h\" }", "schedule.every = \"1h\"");
    assert_eq!(sync(&store, &same, 1).await.counts, counts(0, 0, 3, 0));
    assert_eq!(revision(&store).await, seen, "nothing has changed");

    let changed = TWO_JOBS.replacen("prompt = \"x\"", "prompt = \"y\"", 1);
    assert_eq!(sync(&store, &changed, 2).await.counts, counts(0, 1, 2, 0));
    let again = find(&store, DefinitionKind::Job, "first").await.unwrap();
    assert_eq!((again.id, again.revision), (first.id.clone(), 2));
    assert_eq!((again.created_at, again.updated_at), (at(0), at(2)));
    assert_eq!(again.spec["prompt"], "y");
    assert!(revision(&store).await > seen);

    let fewer = TWO_JOBS.split("[[jobs]]").take(2).collect::<Vec<_>>().join("[[jobs]]");
    assert_eq!(sync(&store, &fewer, 3).await.counts, counts(0, 1, 1, 1));
    assert_eq!(find(&store, DefinitionKind::Job, "second").await, None);
    assert_eq!(sync(&store, TWO_JOBS, 4).await.counts, counts(1, 0, 2, 0));
    let first = find(&store, DefinitionKind::Job, "first").await.unwrap();
    assert_eq!(first.id, find(&store, DefinitionKind::Job, &first.id).await.unwrap().id);
}

async fn slugs_can_be_swapped(database: Database) {
    let store = open(&database).await;
    let config = |one: &str, other: &str| {
        let trigger = |name: &str, slug: &str| {
            format!(
                "{{ name = \"{name}\", event = \"x\", agent = \"a\", prompt = \"x\", \
                 endpoint_slug = \"{slug}\", webhook_secret_ref = \"env:S\" }}"
            )
        };
        let triggers = [trigger("one", one), trigger("other", other)].join(", ");
        format!("agents = [{{ name = \"a\" }}]\ntriggers = [{triggers}]")
    };
    assert_eq!(sync(&store, &config("x", "y"), 0).await.counts, counts(3, 0, 0, 0));
    assert_eq!(sync(&store, &config("y", "x"), 1).await.counts, counts(0, 2, 1, 0));
}

async fn what_the_api_made_is_left_alone_and_keeps_its_name(database: Database) {
    let store = open(&database).await;
    create(&store, DefinitionKind::Agent, agent("a")).await.unwrap();
    create(&store, DefinitionKind::Job, job("first")).await.unwrap();
    let hooked = json!({ "name": "own", "event": "x", "agent": "a", "prompt": "x",
                         "endpoint_slug": "mine", "webhook_secret_ref": "env:S" });
    create(&store, DefinitionKind::Trigger, hooked).await.unwrap();
    let seen = revision(&store).await;

    let config = format!(
        "{TWO_JOBS}\n[[endpoints]]\nslug = \"mine\"\nverification = \"none\"\n\
         [[endpoints]]\nslug = \"free\"\nverification = \"none\"\n"
    );
    let refused = definitions::sync(&store, configured(&config), at(1)).await.unwrap();
    let mut paths: Vec<String> = refused.unwrap_err().iter().map(ToString::to_string).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "agents[0].name: is taken by the agent `a`, which is made through the API",
            "endpoints[0].slug: is taken by the trigger `own`, which is made through the API",
            "jobs[0].name: is taken by the job `first`, which is made through the API",
        ]
    );
    assert_eq!(revision(&store).await, seen, "nothing has changed");
    assert_eq!(find(&store, DefinitionKind::Endpoint, "free").await, None);

    let free = "[[endpoints]]\nslug = \"free\"\nverification = \"none\"\n[[agents]]\nname = \"b\"";
    assert_eq!(sync(&store, free, 2).await.counts, counts(2, 0, 0, 0));
    let job = create(&store, DefinitionKind::Job, {
        let mut job = job("second");
        job["agent"] = "b".into();
        job
    });
    job.await.unwrap();
    let Synced { counts: gone, left_behind } = sync(&store, "", 3).await;
    assert_eq!(gone, counts(0, 0, 0, 2));
    let names: Vec<String> = left_behind.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["the job `second` names the agent `b`"]);
    let left = find(&store, DefinitionKind::Job, "first").await.unwrap();
    assert_eq!((left.source, left.revision), (DefinitionSource::Dynamic, 1));
}

/// Two replicas that start together.
async fn the_same_configuration_twice_at_once_is_taken_once(database: Database) {
    let (one, other) = (open(&database).await, open(&database).await);
    let syncs = (sync(&one, TWO_JOBS, 0), sync(&other, TWO_JOBS, 0));
    let (one_did, other_did) = tokio::join!(syncs.0, syncs.1);
    let mut did = [one_did.counts, other_did.counts];
    did.sort_by_key(|counts| counts.created);
    assert_eq!(did, [counts(0, 0, 3, 0), counts(3, 0, 0, 0)]);
}

async fn overlays_survive_and_go_with_the_definition(database: Database) {
    let store = open(&database).await;
    sync(&store, TWO_JOBS, 0).await;
    let first = find(&store, DefinitionKind::Job, "first").await.unwrap();
    let seen = revision(&store).await;
    let same = switch(&store, &first, true).await.unwrap();
    assert_eq!((same.overlay, same.revision), (None, 1), "it says so itself");
    assert_eq!(revision(&store).await, seen);

    let off = switch(&store, &first, false).await.unwrap();
    assert_eq!((off.overlay, off.own_enabled, off.is_enabled()), (Some(false), true, false));
    assert_eq!(off.revision, 2);
    assert!(revision(&store).await > seen);
    assert_eq!(switch(&store, &first, true).await, Err(Refusal::Stale(2)));

    let changed = TWO_JOBS.replace("prompt = \"x\"", "prompt = \"y\"");
    sync(&store, &changed, 1).await;
    let off = find(&store, DefinitionKind::Job, "first").await.unwrap();
    assert_eq!((off.overlay, off.spec["prompt"].as_str()), (Some(false), Some("y")));
    assert_eq!(database.count("schedules").await, 1, "that of the other job");

    let on = switch(&store, &off, true).await.unwrap();
    assert_eq!((on.overlay, on.is_enabled()), (None, true));
    assert_eq!(database.count("schedules").await, 2);

    switch(&store, &on, false).await.unwrap();
    sync(&store, "", 2).await;
    sync(&store, TWO_JOBS, 3).await;
    let anew = find(&store, DefinitionKind::Job, "first").await.unwrap();
    assert_eq!((anew.overlay, anew.is_enabled()), (None, true));

    // What the API has made says so itself.
    let own = create(&store, DefinitionKind::Job, job("third")).await.unwrap();
    let off = switch(&store, &own, false).await.unwrap();
    assert_eq!((off.overlay, off.own_enabled, &off.spec["enabled"]), (None, false, &json!(false)));
}

async fn a_change_holds_for_the_revision_it_is_based_on(database: Database) {
    let store = open(&database).await;
    create(&store, DefinitionKind::Agent, agent("a")).await.unwrap();
    let first = create(&store, DefinitionKind::Trigger, trigger("t")).await.unwrap();
    assert_eq!((first.source, first.revision), (DefinitionSource::Dynamic, 1));
    let mut spec = trigger("t");
    spec["prompt"] = "y".into();
    let second = update(&store, &first, spec.clone()).await.unwrap();
    assert_eq!((second.revision, &second.spec["prompt"]), (2, &json!("y")));
    assert_eq!((second.created_at, second.updated_at), (at(10), at(20)));

    assert_eq!(update(&store, &first, spec).await, Err(Refusal::Stale(2)));
    assert_eq!(delete(&store, &first).await, Err(Refusal::Stale(2)));
    assert_eq!(switch(&store, &first, false).await, Err(Refusal::Stale(2)));
    delete(&store, &second).await.unwrap();
    assert_eq!(delete(&store, &second).await, Err(Refusal::Missing));

    sync(&store, "agents = [{ name = \"c\" }]", 30).await;
    let theirs = find(&store, DefinitionKind::Agent, "c").await.unwrap();
    let read_only = Refusal::ReadOnly(DefinitionSource::Config);
    assert_eq!(delete(&store, &theirs).await, Err(read_only.clone()));
    assert_eq!(update(&store, &theirs, agent("d")).await, Err(read_only));
}

fn taken(refused: Result<Stored, Refusal>) -> Vec<String> {
    let Err(refusal @ Refusal::Taken(_)) = refused else { panic!("{refused:?}") };
    refusal.problems().map(|problem| problem.path.clone()).collect()
}

async fn names_and_slugs_are_one_s_own(database: Database) {
    let store = open(&database).await;
    for name in ["a", "b"] {
        create(&store, DefinitionKind::Agent, agent(name)).await.unwrap();
    }
    assert_eq!(taken(create(&store, DefinitionKind::Agent, agent("a")).await), ["agent.name"]);
    // Another kind, or another workspace, is another name.
    create(&store, DefinitionKind::Trigger, trigger("a")).await.unwrap();
    let elsewhere = json!({ "name": "a", "workspace": "acme" });
    create(&store, DefinitionKind::Agent, elsewhere).await.unwrap();
    let b = find(&store, DefinitionKind::Agent, "b").await.unwrap();
    assert_eq!(taken(update(&store, &b, agent("a")).await), ["agent.name"]);
    update(&store, &b, agent("c")).await.unwrap();

    let endpoint = |slug: &str| json!({ "slug": slug, "verification": "none" });
    let hooked = |name: &str, slug: &str| {
        let mut trigger = trigger(name);
        trigger["endpoint_slug"] = slug.into();
        trigger["webhook_secret_ref"] = "env:S".into();
        trigger
    };
    create(&store, DefinitionKind::Endpoint, endpoint("x")).await.unwrap();
    let path = ["trigger.endpoint_slug"];
    assert_eq!(taken(create(&store, DefinitionKind::Trigger, hooked("t", "x")).await), path);
    let own = create(&store, DefinitionKind::Trigger, hooked("t", "y")).await.unwrap();
    assert_eq!(taken(create(&store, DefinitionKind::Trigger, hooked("u", "y")).await), path);
    let both = taken(create(&store, DefinitionKind::Trigger, hooked("t", "x")).await);
    assert_eq!(both, ["trigger.name", "trigger.endpoint_slug"]);
    let refused = create(&store, DefinitionKind::Endpoint, endpoint("y")).await;
    assert_eq!(taken(refused), ["endpoint.slug"]);
    // It goes with its trigger.
    delete(&store, &own).await.unwrap();
    create(&store, DefinitionKind::Endpoint, endpoint("y")).await.unwrap();
}

async fn what_is_named_must_be_there_and_stays(database: Database) {
    let store = open(&database).await;
    let refused = create(&store, DefinitionKind::Trigger, {
        let mut trigger = trigger("t");
        trigger["endpoint"] = "e".into();
        trigger
    });
    let Err(refusal @ Refusal::Unresolved(_)) = refused.await else { panic!() };
    let reasons: Vec<String> = refusal.problems().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "trigger.agent: there is no agent `a` (global)",
            "trigger.endpoint: there is no endpoint `e` (global)",
        ]
    );
    // The agent of another workspace is none.
    let elsewhere = json!({ "name": "a", "workspace": "acme" });
    create(&store, DefinitionKind::Agent, elsewhere).await.unwrap();
    assert!(create(&store, DefinitionKind::Job, job("j")).await.is_err());

    let a = create(&store, DefinitionKind::Agent, agent("a")).await.unwrap();
    let endpoint = json!({ "slug": "e", "verification": "none" });
    let e = create(&store, DefinitionKind::Endpoint, endpoint).await.unwrap();
    let mut listening = trigger("t");
    listening["endpoint"] = "e".into();
    let t = create(&store, DefinitionKind::Trigger, listening).await.unwrap();
    let j = create(&store, DefinitionKind::Job, job("j")).await.unwrap();

    let in_use = |refused: Result<(), Refusal>| match refused {
        Err(Refusal::InUse(by)) => by.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(in_use(delete(&store, &a).await), ["job `j`", "trigger `t`"]);
    assert_eq!(in_use(delete(&store, &e).await), ["trigger `t`"]);
    assert_eq!(
        in_use(update(&store, &a, agent("b")).await.map(|_| ())),
        ["job `j`", "trigger `t`"]
    );
    delete(&store, &t).await.unwrap();
    delete(&store, &e).await.unwrap();
    assert_eq!(in_use(delete(&store, &a).await), ["job `j`"]);
    delete(&store, &j).await.unwrap();
    delete(&store, &a).await.unwrap();
}

async fn another_workspace_s_definitions_do_not_exist(database: Database) {
    let store = open(&database).await;
    let theirs = json!({ "name": "a", "workspace": "acme" });
    let stored = create(&store, DefinitionKind::Agent, theirs).await.unwrap();
    for workspace in ["", "umbrella"] {
        let elsewhere = scope(workspace);
        for id_or_name in ["a", &stored.id] {
            let kind = DefinitionKind::Agent;
            let found = definitions::find(&store, kind, &elsewhere, id_or_name).await.unwrap();
            assert_eq!(found, None);
        }
        let seen = Change { scope: elsewhere, ..change(&stored, 1) };
        let refused = definitions::delete(&store, seen).await.unwrap();
        assert_eq!(refused, Err(Refusal::Missing));
    }
    // Nor does one of another kind.
    let kind = DefinitionKind::Endpoint;
    assert_eq!(definitions::find(&store, kind, &scope("acme"), &stored.id).await.unwrap(), None);
}

async fn listeners_keep_in_step(database: Database) {
    let store = open(&database).await;
    create(&store, DefinitionKind::Agent, agent("a")).await.unwrap();
    let hook = |name: &str, points: &[&str]| json!({ "name": name, "component": "lifecycle", "points": points });
    let notices = hook("n", &["run.failed", "worker.online", "run.failed"]);
    let notices = create(&store, DefinitionKind::Hook, notices).await.unwrap();
    let asked = hook("p", &["job.pre_fire"]);
    create(&store, DefinitionKind::Hook, asked).await.unwrap();
    let runs = json!({ "name": "o", "watch": "runs" });
    create(&store, DefinitionKind::Observer, runs).await.unwrap();
    let queue = json!({ "name": "q", "watch": "queue" });
    create(&store, DefinitionKind::Observer, queue).await.unwrap();
    let t = create(&store, DefinitionKind::Trigger, trigger("t")).await.unwrap();
    for (pattern, wanted) in [
        ("listeners", 5),
        ("listeners WHERE pattern = 'notice:run.failed'", 1),
        ("listeners WHERE pattern = 'notice:worker.online'", 1),
        ("listeners WHERE pattern = 'pre:job.pre_fire'", 1),
        ("listeners WHERE pattern = 'observe:run'", 1),
        ("listeners WHERE pattern = 'github.push' AND workspace_id = ''", 1),
    ] {
        assert_eq!(database.count(pattern).await, wanted, "{pattern}");
    }
    let mut other = trigger("t");
    other["event"] = "hook.run.*".into();
    let t = update(&store, &t, other).await.unwrap();
    assert_eq!(database.count("listeners WHERE pattern = 'github.push'").await, 0);
    assert_eq!(database.count("listeners WHERE pattern = 'hook.run.*'").await, 1);
    // Switched off, it is still told: that it is off is an answer, too.
    let t = switch(&store, &t, false).await.unwrap();
    assert_eq!(database.count("listeners WHERE pattern = 'hook.run.*'").await, 1);
    delete(&store, &t).await.unwrap();
    delete(&store, &notices).await.unwrap();
    assert_eq!(database.count("listeners").await, 2);
}

async fn schedules_keep_in_step(database: Database) {
    let store = open(&database).await;
    create(&store, DefinitionKind::Agent, agent("a")).await.unwrap();
    let on = create(&store, DefinitionKind::Job, job("on")).await.unwrap();
    let mut off = job("off");
    off["enabled"] = false.into();
    let off = create(&store, DefinitionKind::Job, off).await.unwrap();
    assert_eq!(database.count("schedules").await, 1);
    let due = "schedules WHERE next_run_at IS NOT NULL AND due_at IS NOT NULL";
    assert_eq!(database.count(due).await, 1);

    let off = switch(&store, &off, true).await.unwrap();
    assert_eq!(database.count("schedules").await, 2);
    switch(&store, &off, false).await.unwrap();
    assert_eq!(database.count("schedules").await, 1);

    let mut daily = job("on");
    daily["schedule"] = json!({ "cron": "0 9 * * *", "timezone": "Europe/Berlin" });
    let on = update(&store, &on, daily).await.unwrap();
    // 09:00 in Berlin, on the day of the fixtures.
    let nine = "schedules WHERE next_run_at = 1767254400000";
    assert_eq!(database.count(nine).await, 1);
    delete(&store, &on).await.unwrap();
    assert_eq!(database.count("schedules").await, 0);
}

async fn what_cannot_be_read_is_left_out(database: Database) {
    let store = open(&database).await;
    create(&store, DefinitionKind::Agent, agent("a")).await.unwrap();
    for name in ["t", "u", "v"] {
        create(&store, DefinitionKind::Trigger, trigger(name)).await.unwrap();
    }
    create(&store, DefinitionKind::Job, job("j")).await.unwrap();
    database.execute("UPDATE definitions SET spec = '{' WHERE name = 't'").await;
    database.execute("UPDATE definitions SET spec = '{\"name\":\"u\"}' WHERE name = 'u'").await;
    let loaded = definitions::load(&store, Path::new(FOLDER)).await.unwrap();
    let names: Vec<&str> =
        loaded.definitions.triggers.iter().map(|trigger| trigger.name.as_str()).collect();
    assert_eq!(names, ["v"]);
    assert_eq!(loaded.definitions.agents.len(), 1);
    assert_eq!(loaded.revision, revision(&store).await);
}

async fn definitions_are_listed_by_what_is_asked(database: Database) {
    let store = open(&database).await;
    sync(&store, TWO_JOBS, 0).await;
    create(&store, DefinitionKind::Agent, agent("b")).await.unwrap();
    let mut third = job("third");
    third["agent"] = "b".into();
    create(&store, DefinitionKind::Job, third).await.unwrap();
    let first = find(&store, DefinitionKind::Job, "first").await.unwrap();
    switch(&store, &first, false).await.unwrap();
    let check = async |filter: DefinitionFilter, wanted: &[&str]| {
        let (kind, page) = (DefinitionKind::Job, first_page(10));
        let page = definitions::list(&store, kind, &Scope::Global, &filter, page).await.unwrap();
        let names: Vec<&str> = page.items.iter().map(|stored| stored.name.as_str()).collect();
        assert_eq!(names, wanted, "{filter:?}");
    };
    let all = DefinitionFilter::default();
    check(all.clone(), &["third", "second", "first"]).await;
    let source = |source| DefinitionFilter { source: Some(source), ..all.clone() };
    check(source(DefinitionSource::Config), &["second", "first"]).await;
    check(source(DefinitionSource::Package), &[]).await;
    let enabled = |enabled| DefinitionFilter { enabled: Some(enabled), ..all.clone() };
    check(enabled(true), &["third", "second"]).await;
    check(enabled(false), &["first"]).await;
    check(DefinitionFilter { agent: Some("b".parse().unwrap()), ..all.clone() }, &["third"]).await;

    let (kind, page) = (DefinitionKind::Job, first_page(2));
    let page = definitions::list(&store, kind, &Scope::Global, &all, page).await.unwrap();
    assert_eq!(page.items.len(), 2);
    let next = hillock::store::PageRequest::new(2, page.next_cursor.as_deref()).unwrap();
    let page = definitions::list(&store, kind, &Scope::Global, &all, next).await.unwrap();
    assert_eq!((page.items[0].name.as_str(), page.next_cursor), ("first", None));
}
