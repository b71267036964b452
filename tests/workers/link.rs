//! A worker's end of a connection, spoken by hand.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hillock::clock::Clock;
use hillock::dispatch::protocol::{Held, PATH, Served, ToHost, ToWorker, VERSION};
use hillock::model::command::Token;
use hillock::model::id::WorkerId;
use hillock::model::routing::Offer;
use hillock::model::run::Ending;
use hillock::model::worker::Eligibility;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::Member;
use crate::harness::host::Host;

const DEADLINE: Duration = Duration::from_secs(30);

/// What a worker says of itself.
#[derive(Clone)]
pub(super) struct Introduction {
    pub(super) id: WorkerId,
    pub(super) agents: Vec<Served>,
    pub(super) capacity: u32,
    pub(super) active: Vec<Held>,
}

impl Introduction {
    /// A new worker for the global agent of this name.
    pub(super) fn new(agent: &str) -> Self {
        let agents = vec![served("", agent)];
        Self { id: Clock.worker_id(), agents, capacity: 1, active: vec![] }
    }

    /// The same worker under the identifier that it registered as.
    pub(super) fn of(self, member: &Member) -> Self {
        Self { id: member.id.parse().unwrap(), ..self }
    }
}

pub(super) fn served(workspace: &str, name: &str) -> Served {
    Served { workspace_id: workspace.to_owned(), name: name.parse().unwrap() }
}

pub(super) struct Link(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Link {
    /// A connection on which nothing was said, or the status of the refusal.
    pub(super) async fn open(host: &Host, bearer: &str) -> Result<Self, u16> {
        let url = format!("ws://{}{PATH}", host.address());
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {bearer}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A connection that has introduced itself, welcome or not.
    pub(super) async fn greeted(host: &Host, bearer: &str, as_whom: &Introduction) -> Self {
        let mut link = Self::open(host, bearer).await.unwrap();
        let Introduction { id, agents, capacity, active } = as_whom.clone();
        link.say(&ToHost::Hello {
            version: VERSION,
            worker_id: id,
            name: "by hand".to_owned(),
            agents,
            capacity,
            offer: Offer::default(),
            active,
        })
        .await;
        link
    }

    /// A worker that is welcome.
    pub(super) async fn welcome(host: &Host, bearer: &str, as_whom: &Introduction) -> Self {
        let mut link = Self::greeted(host, bearer, as_whom).await;
        let heard = link.hear().await;
        assert!(matches!(heard, Ok(ToWorker::Welcome { .. })), "{heard:?}");
        link
    }

    pub(super) async fn say(&mut self, message: &ToHost) {
        let text = serde_json::to_string(message).unwrap();
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// What the host says next, but for whether it gives work, or why it closes the connection.
    pub(super) async fn hear(&mut self) -> Result<ToWorker, String> {
        loop {
            match self.hear_all().await {
                Ok(ToWorker::Eligibility { .. }) => {}
                heard => return heard,
            }
        }
    }

    /// Whether the host gives work from now on, which it says next.
    pub(super) async fn eligibility(&mut self) -> Eligibility {
        match self.hear_all().await {
            Ok(ToWorker::Eligibility { eligibility }) => eligibility,
            other => panic!("{other:?}"),
        }
    }

    async fn hear_all(&mut self) -> Result<ToWorker, String> {
        let hearing = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => {
                        return Ok(serde_json::from_str(&text).unwrap());
                    }
                    Some(Ok(Message::Close(frame))) => {
                        return Err(frame.map_or_else(String::new, |f| f.reason.to_string()));
                    }
                    Some(Ok(_)) => {}
                    None | Some(Err(_)) => return Err("without a word".to_owned()),
                }
            }
        };
        tokio::time::timeout(DEADLINE, hearing).await.expect("the host says something")
    }

    /// Waits for a command.
    pub(super) async fn order(&mut self) -> Held {
        match self.hear().await {
            Ok(ToWorker::Run { held, .. }) => held,
            other => panic!("{other:?}"),
        }
    }

    /// Why the host closes the connection, with nothing else to say.
    pub(super) async fn end(&mut self) -> String {
        match self.hear().await {
            Err(reason) => reason,
            Ok(message) => panic!("{message:?}"),
        }
    }

    /// Says that it is alive.
    pub(super) async fn beat(&mut self, active: Vec<Held>) {
        self.say(&ToHost::Heartbeat { active, capacity: None, offer: None, agents: None }).await;
    }

    /// Holds that the host has sent nothing so far: the answer to something new is the first thing
    /// that is heard.
    pub(super) async fn nothing_so_far(&mut self) {
        let forged = Held { command_id: Clock.command_id(), token: Token::mint([9; 32]) };
        self.beat(vec![forged.clone()]).await;
        match self.hear().await {
            Ok(ToWorker::Refused { held }) => assert_eq!(held, forged),
            other => panic!("{other:?}"),
        }
    }

    /// Ends a command well.
    pub(super) async fn finish(&mut self, held: &Held) {
        self.say(&ToHost::Acknowledged { held: held.clone() }).await;
        self.say(&ToHost::Started { held: held.clone() }).await;
        self.say(&ToHost::Finished { held: held.clone(), ending: Ending::Completed }).await;
        match self.hear().await {
            Ok(ToWorker::Settled { held: settled }) => assert_eq!(settled, *held),
            other => panic!("{other:?}"),
        }
    }
}

/// A worker for the agent `witness`: when it has a new run, the host has looked at everything that
/// was queued before.
pub(super) struct Witness(Link);

impl Witness {
    pub(super) async fn new(host: &Host) -> Self {
        Self(Link::welcome(host, &host.key, &Introduction::new("witness")).await)
    }

    /// Returns when the host has handed out all it could of what is queued now.
    pub(super) async fn saw_all(&mut self, host: &Host) {
        super::run(host, "witness").await;
        let held = self.0.order().await;
        self.0.finish(&held).await;
    }
}
