//! The simulation tests itself: what breaks an invariant on purpose is seen.

use crate::harness::database::Database;
use crate::harness::on_both_databases;

use super::audit;
use super::world::World;

on_both_databases!(what_breaks_an_invariant_is_seen, what_cannot_be_is_refused);

/// A life in which there is something of everything to break.
const SEED: u64 = 7;

struct Mutation {
    what: &'static str,
    sql: &'static str,
    /// What the book says of the change, if it is its to say.
    seen: Option<&'static str>,
    /// What the audit says of the store.
    found: Option<&'static str>,
}

const MUTATIONS: [Mutation; 16] = [
    Mutation {
        what: "a run that has ended goes on",
        sql: "UPDATE runs SET status = 'running', ended_at = NULL
               WHERE id = (SELECT min(id) FROM runs WHERE status = 'completed')",
        seen: Some("had ended"),
        found: Some("a run and its attempts say the same"),
    },
    Mutation {
        what: "a run that has ended gets another result",
        sql: "UPDATE runs SET result = '\"another\"'
               WHERE id = (SELECT min(id) FROM runs WHERE status = 'completed')",
        seen: Some("had ended"),
        found: None,
    },
    Mutation {
        what: "a command that has ended ends otherwise",
        sql: "UPDATE commands SET state = 'failed'
               WHERE id = (SELECT min(id) FROM commands WHERE state = 'completed')",
        seen: Some("and now is"),
        found: None,
    },
    Mutation {
        what: "a token is overwritten",
        sql: "UPDATE commands SET token_hash = (SELECT token_hash FROM commands
                                                 WHERE state = 'completed' ORDER BY id LIMIT 1)
               WHERE id = (SELECT min(id) FROM commands WHERE state = 'running')",
        seen: Some("its token was changed"),
        found: Some("no token is two commands'"),
    },
    Mutation {
        what: "what is out has no worker",
        sql: "UPDATE commands SET worker_id = NULL
               WHERE id = (SELECT min(id) FROM commands WHERE state = 'running')",
        seen: Some("is out, and has"),
        found: Some("what is out has a worker"),
    },
    Mutation {
        what: "an attempt ends, and its run does not",
        sql: "UPDATE commands SET state = 'completed', lease_expires_at = NULL, ended_at = 1
               WHERE id = (SELECT min(id) FROM commands
                            WHERE state = 'running' AND type = 'run' AND session_id IS NULL)",
        seen: Some("and its attempts are"),
        found: Some("a run and its attempts say the same"),
    },
    Mutation {
        what: "a session is another's",
        sql: "UPDATE sessions SET lease_command_id = 'cmd_another'
               WHERE id = (SELECT min(id) FROM sessions WHERE lease_command_id IS NOT NULL)",
        seen: Some("was held by"),
        found: Some("a session is held by the command that is out of it"),
    },
    Mutation {
        what: "a task ends before its run",
        sql: "UPDATE tasks SET status = 'error', ended_at = 1
               WHERE id = (SELECT min(id) FROM tasks WHERE status IN ('running', 'queued'))",
        seen: Some("and its present run is"),
        found: None,
    },
    Mutation {
        what: "an event is lost",
        sql: "DELETE FROM decisions WHERE event_id = (SELECT min(id) FROM events);
              DELETE FROM events WHERE id = (SELECT min(id) FROM events)",
        seen: Some("is lost"),
        found: None,
    },
    Mutation {
        what: "a run is lost",
        sql: "DELETE FROM runs WHERE id = (SELECT min(run_id) FROM decisions
                                            WHERE outcome = 'fired')",
        seen: Some("is lost"),
        found: Some("what was decided to fire has its run"),
    },
    Mutation {
        what: "a decision is made anew",
        sql: "UPDATE decisions SET outcome = 'filtered'
               WHERE event_id = (SELECT min(event_id) FROM decisions WHERE outcome = 'fired')
                 AND outcome = 'fired'",
        seen: Some("was decided as"),
        found: None,
    },
    Mutation {
        what: "what is held is forgotten",
        sql: "DELETE FROM gatherings",
        seen: None,
        found: Some("what is held is in a gathering"),
    },
    Mutation {
        what: "a command goes out too often",
        sql: "UPDATE commands SET dispatch_attempts = 4
               WHERE id = (SELECT min(id) FROM commands WHERE state = 'running')",
        seen: Some("went out 4 times"),
        found: Some("nothing goes out more than three times"),
    },
    Mutation {
        what: "a run is taken to another workspace",
        sql: "UPDATE runs SET workspace_id = 'elsewhere'
               WHERE id = (SELECT min(id) FROM runs WHERE status = 'completed')",
        seen: Some("had ended"),
        found: Some("all of a run is in its workspace"),
    },
    Mutation {
        what: "a schedule goes back",
        sql: "UPDATE schedules SET next_run_at = next_run_at - 1",
        seen: Some("went back"),
        found: None,
    },
    Mutation {
        what: "a run that has ended tells more",
        sql: "INSERT INTO run_logs (run_id, seq, at, stream, text)
              SELECT min(id), 1000, 1, 'stdout', 'late' FROM runs WHERE status = 'completed'",
        seen: Some("was told of a run that has ended"),
        found: None,
    },
];

async fn what_breaks_an_invariant_is_seen(database: Database) {
    let mut world = lived(&database).await;
    for Mutation { what, sql, seen, found } in MUTATIONS {
        world.eye.execute("BEGIN").await.unwrap();
        world.eye.execute(sql).await.unwrap();
        let foreseen = world.foresee().await;
        let audited = audit::never(&mut world.eye, &world.book).await;
        let compared = audit::check(&mut world.eye, &world.book).await;
        world.eye.execute("ROLLBACK").await.unwrap();
        for (said, wanted) in [(&foreseen, seen), (&audited, found)] {
            let Some(wanted) = wanted else { continue };
            let said = said.as_ref().expect_err(what);
            assert!(said.contains(wanted), "{what}: wanted `{wanted}`, got {said}");
        }
        assert!(foreseen.is_err() || compared.is_err(), "{what}");
    }
    assert_eq!(world.foresee().await, Ok(()), "all of it was undone");
    world.audit().await;
}

/// What the tables themselves refuse.
async fn what_cannot_be_is_refused(database: Database) {
    let mut world = lived(&database).await;
    let copy = |what: &str, of: &str| {
        format!(
            "INSERT INTO runs (id, workspace_id, owner_kind, owner_id, owner_name, event_id, fire_id,
                               agent, prompt, untrusted_content, priority, retry, depth, causes,
                               stages, status, attempt, created_at)
             SELECT 'run_copy', workspace_id, owner_kind, owner_id, owner_name, {what}, agent,
                    prompt, untrusted_content, priority, retry, depth, causes, stages, 'scheduled',
                    0, created_at
               FROM runs WHERE {of} IS NOT NULL ORDER BY id LIMIT 1"
        )
    };
    for (what, sql) in [
        ("another run of an event and a trigger", copy("event_id, NULL", "event_id")),
        ("another run of a fire", copy("NULL, fire_id", "fire_id")),
        (
            "another command out of a session",
            "UPDATE commands SET session_id = (SELECT min(session_id) FROM commands
                                                WHERE lease_expires_at IS NOT NULL)
              WHERE lease_expires_at IS NOT NULL"
                .to_owned(),
        ),
        (
            "a lease of what is not out",
            "UPDATE commands SET lease_expires_at = 1 WHERE state = 'completed'".to_owned(),
        ),
    ] {
        assert!(world.eye.execute(&sql).await.is_err(), "{what}");
    }
    // The same, of none.
    world.eye.execute(&copy("NULL, NULL", "event_id")).await.unwrap();
}

async fn lived(database: &Database) -> World {
    let mut world = World::begin(database, SEED).await;
    let running =
        "SELECT id FROM commands WHERE state = 'running' AND type = 'run' AND session_id IS NULL";
    while world.ledger.steps < 1_500 || world.eye.rows(running).await.is_empty() {
        world.step().await;
    }
    world
}
