//! One worker's connection, on the host's side: what it says is stored, then answered.

use std::collections::HashSet;

use super::exit::Exit;
use super::hub::{Hub, Introduction, Place};
use super::outbox::Outbox;
use super::protocol::{HEARTBEAT_MS, Held, Served, ToHost, ToWorker, VERSION};
use crate::clock::Clock;
use crate::model::bounds::{self, AGENTS_MAX, HELD_MAX};
use crate::model::command::Hold;
use crate::model::definition::Agent;
use crate::model::id::{CommandId, WorkerId};
use crate::model::run::{LogLine, RunEvent};
use crate::model::scope::Scope;
use crate::model::worker::{Dismissal, Pass, Presence};
use crate::store::commands::{self, Fence};
use crate::store::workers::{self, Arrival, Changed};
use crate::store::{Store, StoreError, logs, run_events};

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
    /// The worker may not come in, or may not stay.
    #[error(transparent)]
    Dismissed(#[from] Dismissal),
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
    presence: Presence,
    place: Place,
    exit: Exit,
}

impl Link {
    /// Opens a connection with the worker's first message, if the pass is its own: takes from it what
    /// it does not hold any more, tells it what it lost, and gives it its place in the hub. What is
    /// to be sent to the worker comes out of the outbox, and its end means that a later connection
    /// took over.
    ///
    /// # Errors
    /// When the message does not open a connection, the worker may not come in, or the store fails.
    pub async fn open(
        store: Store,
        hub: Hub,
        clock: Clock,
        pass: Pass,
        hello: ToHost,
    ) -> Result<(Self, Outbox), LinkError> {
        let ToHost::Hello { version, worker_id, name, agents, capacity, offer, active } = hello
        else {
            return Err(LinkError::Hello);
        };
        if version != VERSION {
            return Err(LinkError::Version(version));
        }
        let arrival = Arrival {
            presence: presence(pass, worker_id.clone(), clock)?,
            name: store.kept_name(&name),
            agents: agents_of(agents)?,
            capacity: capacity.clamp(1, CAPACITY_MAX),
            offer: store.kept_offer(offer),
        };
        let active = bounds::list(active, HELD_MAX);
        let eligibility = workers::arrive(&store, arrival.clone(), clock.now()).await??;
        let Arrival { presence, name, agents, capacity, offer } = arrival;
        let introduction = Introduction {
            id: worker_id.clone(),
            name,
            agents,
            capacity: capacity as usize,
            offer,
            holds: active.iter().map(|held| held.command_id.clone()).collect::<HashSet<_>>(),
            eligibility,
            presence: presence.clone(),
            exit: Exit::default(),
        };
        let Introduction { name, agents, capacity, .. } = &introduction;
        let serves = agents.len();
        tracing::info!(worker = %worker_id, name, serves, capacity, "worker connected");
        let welcome = ToWorker::Welcome { version: VERSION, heartbeat_ms: HEARTBEAT_MS };
        let exit = introduction.exit.clone();
        let (place, outbox) = hub.enter(introduction, welcome, clock.now());
        let link = Self { store, hub, clock, worker: worker_id, presence, place, exit };
        match link.begin(active).await {
            Ok(()) => Ok((link, outbox)),
            Err(error) => {
                link.close(outbox).await;
                Err(error)
            }
        }
    }

    /// Settles what was before, now that nothing goes to an earlier connection any more. The
    /// worker's row is looked at again: whoever changed it before the worker was in the hub could
    /// not close its connection.
    async fn begin(&self, active: Vec<Held>) -> Result<(), LinkError> {
        let kept: Vec<CommandId> = active.iter().map(|held| held.command_id.clone()).collect();
        let now = self.clock.now();
        let lost = commands::release_others(&self.store, &self.worker, &kept, now).await?;
        if lost > 0 {
            tracing::warn!(
                worker = %self.worker, lost,
                "reconnected worker no longer has these commands"
            );
        }
        let standings = workers::standings(&self.store, std::slice::from_ref(&self.presence));
        for (worker, standing) in standings.await? {
            self.hub.admit(&worker, standing?);
        }
        self.renew(active).await?;
        self.hub.seat(&self.place);
        Ok(())
    }

    /// Waits until the worker may not stay.
    pub async fn dismissed(&self) -> Dismissal {
        self.exit.shown().await
    }

    /// Stores what the worker said, and answers.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub async fn hear(&self, message: ToHost) -> Result<(), LinkError> {
        match message {
            ToHost::Hello { .. } => Err(LinkError::Hello),
            ToHost::Acknowledged { held } => {
                let fence =
                    commands::acknowledge(&self.store, &self.hold(&held), self.clock.now()).await?;
                self.unless_lost(held, fence)
            }
            ToHost::Started { held } => {
                let fence =
                    commands::start(&self.store, &self.hold(&held), self.clock.now()).await?;
                self.unless_lost(held, fence)
            }
            ToHost::Logs { held, first, lines } => self.logged(held, first, lines).await,
            ToHost::Events { held, first, events } => self.noted(held, first, events).await,
            ToHost::Finished { held, ending } => {
                let (hold, now) = (self.hold(&held), self.clock.now());
                let fence = commands::finish(&self.store, &hold, ending, now).await?;
                self.settled(held, fence)
            }
            ToHost::HandBack { held } => {
                let fence =
                    commands::hand_back(&self.store, &self.hold(&held), self.clock.now()).await?;
                self.settled(held, fence)
            }
            ToHost::Heartbeat { active, capacity, offer, agents } => {
                let changed = Changed {
                    agents: agents.map(agents_of).transpose()?,
                    capacity: capacity.map(|capacity| capacity.clamp(1, CAPACITY_MAX)),
                    offer: offer.map(|offer| self.store.kept_offer(offer)),
                };
                let active = bounds::list(active, HELD_MAX);
                let ids: Vec<CommandId> =
                    active.iter().map(|held| held.command_id.clone()).collect();
                self.hub.heard(&self.place, &ids, self.clock.now());
                self.lives(changed).await?;
                self.renew(active).await
            }
            ToHost::Draining => {
                self.hub.drain(&self.place);
                Ok(workers::leave(&self.store, &self.presence).await?)
            }
        }
    }

    /// Gives the place up. What is left in the outbox goes back to the queue at once; the worker's
    /// other commands stay its own until their leases run out.
    pub async fn close(self, outbox: Outbox) {
        tracing::info!(worker = %self.worker, "worker disconnected");
        let was_its_own = self.hub.leave(&self.place);
        self.take_back(outbox.unsent()).await;
        if was_its_own
            && let Err(error) = workers::depart(&self.store, &self.presence, self.clock.now()).await
        {
            tracing::warn!(worker = %self.worker, %error, "failed to record a worker's departure");
        }
    }

    /// Puts back what the worker was to get and has not seen, as if it had never been given it.
    async fn take_back(&self, unsent: Vec<Held>) {
        for held in unsent {
            let hold = self.hold(&held);
            if let Err(error) = commands::hand_back(&self.store, &hold, self.clock.now()).await {
                // Its lease runs out.
                tracing::warn!(
                    command_id = %held.command_id, %error,
                    "failed to requeue a command"
                );
            }
            self.hub.notify();
        }
    }

    /// Notes that the worker is alive, and what has changed of it.
    async fn lives(&self, changed: Changed) -> Result<(), LinkError> {
        let (presence, now) = (&self.presence, self.clock.now());
        let eligibility = workers::heard(&self.store, presence, changed.clone(), now).await??;
        if changed != Changed::default() {
            self.hub.change(&self.place, changed);
        }
        self.hub.admit(&self.worker, eligibility);
        Ok(())
    }

    /// What the worker says it holds, as the store looks for it: in this worker's own hands.
    fn hold(&self, held: &Held) -> Hold {
        let Held { command_id, token } = held.clone();
        Hold { worker_id: self.worker.clone(), command_id, token }
    }

    fn unless_lost(&self, held: Held, fence: Fence) -> Result<(), LinkError> {
        match fence {
            Fence::Held => Ok(()),
            Fence::Lost => self.refuse(held),
        }
    }

    async fn logged(&self, held: Held, first: u64, lines: Vec<LogLine>) -> Result<(), LinkError> {
        let (hold, through) = (self.hold(&held), through(first, lines.len()));
        match logs::append(&self.store, &hold, first, lines, self.clock.now()).await? {
            Fence::Held => self.say(ToWorker::Logged { held, through }),
            Fence::Lost => self.refuse(held),
        }
    }

    async fn noted(&self, held: Held, first: u64, events: Vec<RunEvent>) -> Result<(), LinkError> {
        let (hold, through) = (self.hold(&held), through(first, events.len()));
        match run_events::append(&self.store, &hold, first, events, self.clock.now()).await? {
            Fence::Held => self.say(ToWorker::Noted { held, through }),
            Fence::Lost => self.refuse(held),
        }
    }

    async fn renew(&self, active: Vec<Held>) -> Result<(), LinkError> {
        if active.is_empty() {
            return Ok(());
        }
        let held = active.into_iter().map(|held| (held.command_id, held.token)).collect();
        let renewed = commands::renew(&self.store, &self.worker, held, self.clock.now()).await?;
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

/// The connection of a worker that says who it is, if its pass does not say otherwise.
fn presence(pass: Pass, worker_id: WorkerId, clock: Clock) -> Result<Presence, Dismissal> {
    let credential = match pass {
        Pass::Key => None,
        Pass::Credential { worker_id: own, .. } if own != worker_id => {
            return Err(Dismissal::Another);
        }
        Pass::Credential { hash, .. } => Some(hash),
    };
    Ok(Presence { worker_id, connection: hex::encode(clock.random::<16>()), credential })
}

/// The number of the last of so many pieces.
fn through(first: u64, count: usize) -> u64 {
    first.saturating_add(count as u64).saturating_sub(1)
}

fn agents_of(served: Vec<Served>) -> Result<Vec<Agent>, LinkError> {
    bounds::list(served, AGENTS_MAX).into_iter().map(agent).collect()
}

fn agent(served: Served) -> Result<Agent, LinkError> {
    let Served { workspace_id, name } = served;
    let scope = Scope::parse(&workspace_id).map_err(|_| LinkError::Workspace(workspace_id))?;
    Ok(Agent { scope, name })
}
