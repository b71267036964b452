//! Databases to measure on.

use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long the way to a PostgreSQL on another machine takes, there and back.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// Where a database is, for who prepares it and for the host.
pub(crate) enum Place {
    Sqlite(String),
    Postgres { near: String, far: String },
}

impl Place {
    pub(crate) async fn postgres(server: &str, name: &str) -> Self {
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

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("sqlite://{file}"),
            Self::Postgres { far, .. } => far.clone(),
        }
    }

    pub(crate) async fn execute(&self, statements: String) {
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
