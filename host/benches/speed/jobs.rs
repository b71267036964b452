//! A tick of the scheduler, by how many jobs are stored and how many of them are due.

use std::time::Instant;

use hillock::clock::Clock;
use hillock::schedule;
use hillock::store::Store;

use crate::place::Place;
use crate::spread;

const FEW: u32 = 1_000;
const MANY: u32 = 100_000;
const DUE: u32 = 100;
const DUE_AT_ONCE: u32 = 1_000;
const ROUNDS: usize = 15;
const AT_ONCE_MS_MAX: f64 = 1000.0;

pub(crate) async fn measure() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let file = |name: &str| Place::Sqlite(folder.path().join(name).display().to_string());
    compare("SQLite", file("few.db"), file("many.db")).await;
    let Ok(server) = std::env::var("HILLOCK_TEST_POSTGRES") else {
        return println!("PostgreSQL: not measured, HILLOCK_TEST_POSTGRES is not set");
    };
    let few = Place::postgres(&server, "hillock_speed_few").await;
    let many = Place::postgres(&server, "hillock_speed_many").await;
    compare("PostgreSQL, 1 ms away", few, many).await;
}

/// Ticks in turn, so that a machine that changes its speed changes it for both.
async fn compare(title: &str, few: Place, many: Place) {
    let (few, many) = (Jobs::define(few, FEW).await, Jobs::define(many, MANY).await);
    let (mut ratios, mut with_few, mut with_many) = (vec![], vec![], vec![]);
    few.tick(DUE).await;
    many.tick(DUE).await;
    for _ in 0..ROUNDS {
        let (one, other) = (few.tick(DUE).await, many.tick(DUE).await);
        ratios.push(other / one);
        with_few.push(one);
        with_many.push(other);
    }
    println!("{title}: a tick with {DUE} of {FEW} jobs due: {} ms", spread(with_few));
    println!("{title}: a tick with {DUE} of {MANY} jobs due: {} ms", spread(with_many));
    println!("{title}: the one with {MANY} takes {} of the other", spread(ratios));
    let mut at_once = vec![];
    for _ in 0..5 {
        at_once.push(many.tick(DUE_AT_ONCE).await);
    }
    println!(
        "{title}: {DUE_AT_ONCE} due at once: {} ms (at most {AT_ONCE_MS_MAX})",
        spread(at_once)
    );
}

struct Jobs {
    place: Place,
    store: Store,
}

impl Jobs {
    async fn define(place: Place, count: u32) -> Self {
        let store = Store::open(&place.url()).await.expect("a store");
        let id = id(&place);
        place
            .execute(format!(
                r#"INSERT INTO definitions (id, kind, workspace_id, name, source, enabled, spec,
                                            revision, created_at, updated_at)
                   WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                   SELECT {id}, 'job', '', 'job-' || i, 'dynamic', 1,
                          '{{"name":"job-' || i || '","agent":"a","prompt":"Look after it.",' ||
                          '"fire_limit":{{"max":1000}},' ||
                          '"schedule":{{"cron":"0 * * * *","timezone":"Europe/Berlin"}}}}', 1, 0, 0
                     FROM n;
                   INSERT INTO schedules (job_id, workspace_id, next_run_at, due_at, anchored_at,
                                          schedule_hash, catch_up_policy, misfire_grace_seconds,
                                          consecutive_resume_failures, misfire_count)
                   SELECT id, '', 9999999999999, 9999999999999, 0, '', 'skip_missed', 60, 0, 0
                     FROM definitions;
                   ANALYZE"#
            ))
            .await;
        Self { place, store }
    }

    /// Makes so many jobs due, and says how many milliseconds it takes until they have fired.
    async fn tick(&self, due: u32) -> f64 {
        let (now, id) = (Clock.now(), id(&self.place));
        let ms = now.as_millis();
        self.place
            .execute(format!(
                "UPDATE runs SET status = 'completed', ended_at = created_at; \
                 UPDATE schedules SET next_run_at = {ms}, due_at = {ms} \
                  WHERE job_id IN (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL \
                                                           SELECT i + 1 FROM n WHERE i < {due}) \
                                   SELECT {id} FROM n)"
            ))
            .await;
        let begin = Instant::now();
        let mut fired = 0;
        while fired < due as usize {
            let tick = schedule::tick(&self.store, Clock, &schedule::Gate::default(), now)
                .await
                .expect("a tick");
            assert_eq!((tick.skipped, tick.missed), (0, 0));
            assert!(tick.fired > 0, "{fired} of {due} jobs have fired");
            fired += tick.fired;
        }
        assert_eq!(fired, due as usize);
        begin.elapsed().as_secs_f64() * 1000.0
    }
}

/// The identifier of job number `i`.
fn id(place: &Place) -> &'static str {
    match place {
        Place::Sqlite(_) => "'job_' || printf('%032d', i)",
        Place::Postgres { .. } => "'job_' || lpad(i::text, 32, '0')",
    }
}
