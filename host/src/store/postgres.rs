//! PostgreSQL: a pool, and a transaction for each write.

use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection as _, PgPool, Postgres};
use url::Url;

use super::sql::Tx;
use super::view::View;
use super::write::{Write, WriteError};
use super::{StoreError, migrations, tally};
use crate::environment;
use crate::metrics::Metrics;

/// How many connections a host keeps at most.
const CONNECTIONS_MAX: u32 = 16;
/// How long a call waits for a connection before the store counts as down.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a transaction that met a conflict is tried.
const TRIES_MAX: u32 = 5;
/// Who has waited for a rival's lock sees what that has committed, whatever the database or the role
/// has for its default.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// One instant for all of it.
const BEGIN_VIEW: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub(super) async fn open(url: &str) -> Result<PgPool, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|source| StoreError::Open { place: "its URL".to_owned(), source })?
        .disable_statement_logging();
    let options = with_password(options, url);
    let place = place(&options);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(|source| StoreError::Open { place, source })?;
    migrations::postgres(&pool).await?;
    Ok(pool)
}

/// The password of the environment, which is not where libraries look for it.
pub(super) fn with_password(options: PgConnectOptions, url: &str) -> PgConnectOptions {
    let in_url = Url::parse(url).is_ok_and(|url| {
        url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
    });
    match environment::var("PGPASSWORD") {
        Some(password) if !in_url => options.password(&password),
        _ => options,
    }
}

pub(super) fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or("(default)");
    format!("postgres://{}:{}/{database}", options.get_host(), options.get_port())
}

pub(super) async fn write<W: Write>(
    pool: &PgPool,
    write: &W,
    metrics: &Metrics,
) -> Result<W::Output, StoreError> {
    let mut tries = 1;
    loop {
        match once(pool, write, metrics).await {
            Err(error) if error.is_conflict() && tries < TRIES_MAX => tries += 1,
            result => return result.map_err(|error| error.into_store_error(W::NAME)),
        }
    }
}

async fn once<W: Write>(
    pool: &PgPool,
    write: &W,
    metrics: &Metrics,
) -> Result<W::Output, WriteError> {
    let mut lent = Lent::by(pool).await?;
    let mut transaction = lent.connection.begin_with(BEGIN_WRITE).await?;
    lent.begun = true;
    let (output, tally) = tally::kept(write.apply(&mut Tx::Postgres(&mut transaction))).await;
    let output = output?;
    transaction.commit().await?;
    tally.count(metrics);
    Ok(output)
}

/// Reads what belongs together.
pub(super) async fn view<V: View>(pool: &PgPool, view: V) -> Result<V::Output, WriteError> {
    let mut lent = Lent::by(pool).await?;
    let mut transaction = lent.connection.begin_with(BEGIN_VIEW).await?;
    lent.begun = true;
    let output = view.look(&mut Tx::Postgres(&mut transaction)).await?;
    transaction.rollback().await?;
    Ok(output)
}

/// A connection for one transaction. When its caller gives up while the transaction begins, sqlx puts
/// it back with the transaction open, and the next one to have it would see an instant long gone: such
/// a connection is closed. From then on sqlx rolls back what is given up.
struct Lent {
    connection: PoolConnection<Postgres>,
    begun: bool,
}

impl Lent {
    async fn by(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: pool.acquire().await?, begun: false })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.begun {
            self.connection.close_on_drop();
        }
    }
}
