//! A way to a server that a test can cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Passes on what is said to an address and back, until it is cut.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    connections: Arc<Mutex<JoinSet<()>>>,
    _listening: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<JoinSet<()>>>::default();
        let mut listening = JoinSet::new();
        let open = Arc::clone(&connections);
        listening.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                while open.try_join_next().is_some() {}
                open.spawn(pass_on(client, server.clone()));
            }
        });
        Self { address, connections, _listening: listening }
    }

    /// Cuts every connection; the next ones go through.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

async fn pass_on(mut client: TcpStream, server: String) {
    if let Ok(mut server) = TcpStream::connect(server).await {
        drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
    }
}
