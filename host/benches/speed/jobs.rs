//! A tick of the scheduler, by how many jobs are stored and how many of them are due.

use std::time::{Duration, Instant};

use hillock::clock::Clock;
use hillock::schedule;
use hillock::store::Store;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::spread;

const FEW: u32 = 1_000;
const MANY: u32 = 100_000;
const DUE: u32 = 100;
const DUE_AT_ONCE: u32 = 1_000;
const ROUNDS: usize = 15;
/// How long the way to a PostgreSQL on another machine takes, there and back.
const ROUND_TRIP: Duration = Duration::from_millis(1);
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

/// Where a database is, for who prepares it and for the host.
enum Place {
    Sqlite(String),
    Postgres { near: String, far: String },
}

struct Jobs {
    place: Place,
    store: Store,
}

impl Jobs {
    async fn define(place: Place, count: u32) -> Self {
        let store = Store::open(&place.url()).await.expect("a store");
        let id = place.id();
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
        let (now, id) = (Clock.now(), self.place.id());
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

impl Place {
    async fn postgres(server: &str, name: &str) -> Self {
        let admin: sqlx::postgres::PgConnectOptions = server.parse().expect("a URL");
        let mut connection = admin.connect().await.expect("a server");
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name}"),
        ] {
            let statement = sqlx::raw_sql(AssertSqlSafe(statement));
            statement.execute(&mut connection).await.expect("a database");
        }
        connection.close().await.expect("an end");
        let mut near: reqwest::Url = server.parse().expect("a URL");
        near.set_path(name);
        let mut far = near.clone();
        let address = (near.host_str().expect("a host"), near.port().unwrap_or(5432));
        far.set_port(Some(delay(format!("{}:{}", address.0, address.1)).await)).expect("a port");
        Self::Postgres { near: near.into(), far: far.into() }
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite://{file}"),
            Self::Postgres { far, .. } => far.clone(),
        }
    }

    /// The identifier of job number `i`.
    fn id(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "'job_' || printf('%032d', i)",
            Self::Postgres { .. } => "'job_' || lpad(i::text, 32, '0')",
        }
    }

    async fn execute(&self, statements: String) {
        let statements = sqlx::raw_sql(AssertSqlSafe(statements));
        match self {
            Self::Sqlite(file) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let mut connection = options.connect().await.expect("a file");
                statements.execute(&mut connection).await.expect("statements");
                connection.close().await.expect("an end");
            }
            Self::Postgres { near, .. } => {
                let options: sqlx::postgres::PgConnectOptions = near.parse().expect("a URL");
                let mut connection = options.connect().await.expect("a server");
                statements.execute(&mut connection).await.expect("statements");
                connection.close().await.expect("an end");
            }
        }
    }
}

/// The port of a way to `server` that takes [`ROUND_TRIP`] longer.
async fn delay(server: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    #[expect(clippy::disallowed_methods, reason = "it ends with the program")]
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, server.clone()));
        }
    });
    port
}

async fn pass(client: TcpStream, server: String) {
    let server = TcpStream::connect(server).await.expect("a server");
    client.set_nodelay(true).and(server.set_nodelay(true)).expect("sockets");
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            tokio::time::sleep(ROUND_TRIP).await;
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = requests => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}
