//! One worker's connection, on the host's side: what it says is stored, then answered.

use std::collections::HashSet;

use tokio::sync::mpsc;

use super::hub::{Hub, Introduction, Place};
use super::protocol::{HEARTBEAT_MS, Held, Served, ToHost, ToWorker, VERSION};
use crate::clock::Clock;
use crate::model::definition::{Agent, Point};
use crate::model::id::{CommandId, WorkerId};
use crate::model::run::LogLine;
use crate::model::scope::Scope;
use crate::store::commands::{self, Fence};
use crate::store::notices::{self, Notice};
use crate::store::{Store, StoreError, logs};

/// The most commands one worker takes at once.
const CAPACITY_MAX: u32 = 1000;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The first message was not `hello`, or a later one was.
    #[error("a connection begins with one hello")]
    Hello,
    /// The worker speaks another version.
    #[error("this host speaks version {VERSION} of the worker protocol, not {0}")]
    Version(u32),
    /// An agent's workspace is not one.
    #[error("`{0}` is not a workspace")]
    Workspace(String),
    /// The worker does not read what it is sent.
    #[error("the worker does not keep up")]
    Slow,
    /// The store failed. The worker says again what was not answered.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A worker's connection.
#[derive(Debug)]
pub struct Link {
    store: Store,
    hub: Hub,
    clock: Clock,
    worker: WorkerId,
    name: String,
    place: Place,
}

impl Link {
    /// Opens a connection with the worker's first message: takes from it what it does not hold any
    /// more, tells it what it lost, and gives it its place in the hub. What is to be sent to the
    /// worker comes out of the receiver, and its end means that a later connection took over.
    ///
    /// # Errors
    /// When the message does not open a connection, or the store fails.
    pub async fn open(
        store: Store,
        hub: Hub,
        clock: Clock,
        hello: ToHost,
    ) -> Result<(Self, mpsc::Receiver<ToWorker>), LinkError> {
        let ToHost::Hello { version, worker_id, name, agents, capacity, active } = hello else {
            return Err(LinkError::Hello);
        };
        if version != VERSION {
            return Err(LinkError::Version(version));
        }
        let introduction = Introduction {
            id: worker_id.clone(),
            name,
            agents: agents.into_iter().map(agent).collect::<Result<_, _>>()?,
            capacity: capacity.clamp(1, CAPACITY_MAX) as usize,
            holds: active.iter().map(|held| held.command_id.clone()).collect::<HashSet<_>>(),
        };
        let kept: Vec<CommandId> = introduction.holds.iter().cloned().collect();
        let lost = commands::release_others(&store, &worker_id, &kept, clock.now()).await?;
        let Introduction { name, agents, capacity, .. } = &introduction;
        let serves = agents.len();
        tracing::info!(worker = %worker_id, name, serves, capacity, lost, "worker connected");
        let welcome = ToWorker::Welcome { version: VERSION, heartbeat_ms: HEARTBEAT_MS };
        let name = name.clone();
        let (place, messages) = hub.enter(introduction, welcome);
        let link = Self { store, hub, clock, worker: worker_id, name, place };
        link.tell(Point::WorkerOnline).await?;
        match link.renew(active).await {
            Ok(()) => Ok((link, messages)),
            Err(error) => {
                link.close().await;
                Err(error)
            }
        }
    }

    /// Stores what the worker said, and answers.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub async fn hear(&self, message: ToHost) -> Result<(), LinkError> {
        match message {
            ToHost::Hello { .. } => Err(LinkError::Hello),
            ToHost::Started { held } => self.started(held).await,
            ToHost::Logs { held, first, lines } => self.logged(held, first, lines).await,
            ToHost::Finished { held, ending } => {
                let (Held { command_id, token }, now) = (&held, self.clock.now());
                let fence = commands::finish(&self.store, command_id, token, ending, now).await?;
                self.settled(held, fence)
            }
            ToHost::HandBack { held } => {
                let (Held { command_id, token }, now) = (&held, self.clock.now());
                let fence = commands::hand_back(&self.store, command_id, token, now).await?;
                self.settled(held, fence)
            }
            ToHost::Heartbeat { active } => self.renew(active).await,
            ToHost::Draining => {
                self.hub.drain(&self.place);
                Ok(())
            }
        }
    }

    /// Gives the place up; the worker's commands stay its own until their leases run out.
    pub async fn close(self) {
        tracing::info!(worker = %self.worker, "worker disconnected");
        if self.hub.leave(&self.place)
            && let Err(error) = self.tell(Point::WorkerOffline).await
        {
            tracing::warn!(worker = %self.worker, %error, "nobody was told that it is gone");
        }
    }

    /// Keeps a notice of the worker's coming or going.
    async fn tell(&self, point: Point) -> Result<(), StoreError> {
        let data = serde_json::json!({ "id": self.worker, "name": self.name });
        let notice = Notice {
            id: self.clock.notice_id(),
            scope: Scope::Global,
            point,
            data: data.to_string(),
            depth: 0,
            causes: Vec::new(),
            at: self.clock.now(),
        };
        notices::post(&self.store, notice).await
    }

    async fn started(&self, held: Held) -> Result<(), LinkError> {
        let Held { command_id, token } = &held;
        match commands::start(&self.store, command_id, token, self.clock.now()).await? {
            Fence::Held => Ok(()),
            Fence::Lost => self.refuse(held),
        }
    }

    async fn logged(&self, held: Held, first: u64, lines: Vec<LogLine>) -> Result<(), LinkError> {
        let Held { command_id, token } = &held;
        let through = first.saturating_add(lines.len() as u64).saturating_sub(1);
        match logs::append(&self.store, command_id, token, first, lines).await? {
            Fence::Held => self.say(ToWorker::Logged { held, through }),
            Fence::Lost => self.refuse(held),
        }
    }

    async fn renew(&self, active: Vec<Held>) -> Result<(), LinkError> {
        let held = active.into_iter().map(|held| (held.command_id, held.token)).collect();
        let renewed = commands::renew(&self.store, held, self.clock.now()).await?;
        for (command_id, token) in renewed.lost {
            self.refuse(Held { command_id, token })?;
        }
        for command_id in renewed.canceling {
            self.say(ToWorker::Cancel { command_id })?;
        }
        Ok(())
    }

    fn settled(&self, held: Held, fence: Fence) -> Result<(), LinkError> {
        match fence {
            Fence::Held => {
                self.hub.settle(&self.place, &held.command_id);
                self.say(ToWorker::Settled { held })
            }
            Fence::Lost => self.refuse(held),
        }
    }

    fn refuse(&self, held: Held) -> Result<(), LinkError> {
        self.hub.settle(&self.place, &held.command_id);
        self.say(ToWorker::Refused { held })
    }

    fn say(&self, message: ToWorker) -> Result<(), LinkError> {
        self.hub.send(&self.worker, message).map_err(|_| LinkError::Slow)
    }
}

fn agent(served: Served) -> Result<Agent, LinkError> {
    let Served { workspace_id, name } = served;
    let scope = Scope::parse(&workspace_id).map_err(|_| LinkError::Workspace(workspace_id))?;
    Ok(Agent { scope, name })
}
