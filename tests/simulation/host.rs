//! What a replica does by itself: each look and each deed is a step of its own, so that others act
//! in between, and a crash forgets what was looked at.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hillock::clock::Clock;
use hillock::controllers;
use hillock::model::command::{Claim, Hold, Token};
use hillock::model::definition::Definitions;
use hillock::model::envelope::{Event, Payload, Producer, Source, Way};
use hillock::model::id::{CommandId, EventId, RunId, TaskId};
use hillock::model::queue::{Breaker, Queue};
use hillock::model::worker::{Dismissal, Eligibility};
use hillock::schedule;
use hillock::store::commands::{self, ClaimableQueue, Claimant};
use hillock::store::events::{self, Accepted, Delivery};
use hillock::store::gatherings::{self, Flush};
use hillock::store::{notices, orphans, queues, schedules, sessions, workers};
use sha2::{Digest as _, Sha256};

use super::book::Standing;
use super::replica::Link;
use super::rules::{self, Limits};
use super::sender;
use super::world::World;

/// How many a look finds at most.
const LOOK: u32 = 8;
/// How many commands one claim gives out.
const CLAIMS: usize = 4;
/// How many rows of the audit go at once.
const AUDIT_BATCH: u32 = 50;

impl World {
    pub(super) async fn look_into_inbox(&mut self, replica: usize) {
        let none = BTreeSet::new();
        let look = async |store, now| events::waiting(&store, 0, now, &none, LOOK).await;
        let waiting = self.read(replica, look).await;
        let inbox = &mut self.replicas[replica].memory.inbox;
        inbox.clear();
        inbox.extend(waiting.into_iter().map(|(_, event)| event.unwrap()));
    }

    pub(super) async fn activate(&mut self, replica: usize) {
        let Some(event) = self.replicas[replica].memory.inbox.pop_front() else { return };
        let now = self.now(replica);
        let activation = rules::activation(&event, now, &mut self.dice);
        let known = self.book.events.get(event.id.as_str()) == Some(&true);
        let activate = async |store, _| events::activate(&store, activation).await;
        let done = self.write(replica, format!("activates {}", event.id), activate).await;
        if known {
            self.ledger.duplicates_refused += 1;
            let repeated = matches!(done, Some(Some(_))) || self.changes > 0;
            self.must(!repeated, || format!("{} was activated a second time", event.id));
        }
    }

    pub(super) async fn look_at_gatherings(&mut self, replica: usize) {
        let complete = async |store, now| gatherings::complete(&store, now, LOOK).await;
        let found = self.writes(replica, "looks at gatherings".to_owned(), complete).await;
        self.replicas[replica].memory.gatherings = found.unwrap_or_default().into();
    }

    pub(super) async fn flush(&mut self, replica: usize) {
        let Some(gathering) = self.replicas[replica].memory.gatherings.pop_front() else { return };
        let id = gathering.id.clone();
        let last =
            self.read(replica, async |store, _| events::last_gathered(&store, &id).await).await;
        // Another replica may have flushed it.
        let Some(last) = last else { return };
        let now = self.now(replica);
        let (trigger, last) = (&gathering.trigger_id, last.unwrap());
        let outcome = rules::flushed(trigger, &last, now, &mut self.dice);
        let flush = Flush { gathering, outcome, at: now };
        let flush = async |store, _| gatherings::flush(&store, flush).await;
        if let Some(None) = self.write(replica, format!("flushes {id}"), flush).await {
            self.ledger.duplicates_refused += 1;
            let changes = self.changes;
            self.must(changes == 0, || format!("{id} was flushed a second time"));
        }
    }

    pub(super) async fn look_at_schedules(&mut self, replica: usize) {
        let due = async |store, now| schedules::due(&store, now, LOOK).await;
        let due = self.read(replica, due).await;
        let now = self.now(replica);
        let turns = schedule::turns(due, &Definitions::default(), Clock, now).await;
        let (mut turns, deferred) = turns.unwrap();
        self.must(deferred.is_empty(), || format!("a job cannot be read: {deferred:?}"));
        // Drafts come with identifiers of the machine's own chance.
        for draft in turns.iter_mut().flat_map(|turn| &mut turn.drafts) {
            draft.run.id = RunId::mint(now, self.dice.bytes());
            draft.command_id = CommandId::mint(now, self.dice.bytes());
            if let Some(delegation) = &mut draft.delegation {
                delegation.task_id = TaskId::mint(now, self.dice.bytes());
                delegation.task_run_id = RunId::mint(now, self.dice.bytes());
            }
        }
        self.replicas[replica].memory.turns = turns;
    }

    pub(super) async fn claim_slots(&mut self, replica: usize) {
        let turns = std::mem::take(&mut self.replicas[replica].memory.turns);
        if turns.is_empty() {
            return;
        }
        let jobs: Vec<String> = turns.iter().map(|turn| turn.job.name.to_string()).collect();
        let count = jobs.len();
        let claim = async |store, now| schedules::claim(&store, turns, now).await;
        let claimed = self.write(replica, format!("claims the slots of {jobs:?}"), claim).await;
        if let Some(claimed) = claimed {
            self.ledger.duplicates_refused += (count - claimed.won) as u64;
        }
    }

    pub(super) async fn look_at_notices(&mut self, replica: usize) {
        let look = async |store, _| notices::waiting(&store, LOOK).await;
        let found = self.read(replica, look).await;
        self.replicas[replica].memory.notices = found.into();
    }

    /// A point of the host's own life becomes an event.
    pub(super) async fn settle_notice(&mut self, replica: usize) {
        let Some(notice) = self.replicas[replica].memory.notices.pop_front() else { return };
        let now = self.now(replica);
        let event = Arc::new(Event {
            id: EventId::mint(now, self.dice.bytes()),
            scope: notice.scope.clone(),
            kind: format!("hook.{}", notice.point).parse().unwrap(),
            source: Source::Hook,
            way: Way::Producer(Producer {
                id: "hok_00000000000000000000000000000000".to_owned(),
                name: "lifecycle".parse().unwrap(),
            }),
            occurred_at: notice.at,
            received_at: now,
            origin: sender::origin(),
            verified: None,
            depth: notice.depth,
            causes: notice.causes.clone(),
            traceparent: None,
            body: notice.data.clone().into_bytes().into(),
            payload: Payload::Body,
        });
        let identities = vec![Sha256::digest(notice.id.as_str()).into()];
        let deliveries = [Delivery { event: Arc::clone(&event), identities, likeness: None }];
        let id = notice.id.clone();
        let settle = async |store, _| notices::settle(&store, &id, &deliveries, vec![]).await;
        match self.write(replica, format!("settles {}", notice.id), settle).await {
            Some(Some(accepted)) => {
                let new = matches!(&accepted[..], [Accepted::New(_)]);
                self.must(new, || format!("{} was settled before: {accepted:?}", notice.id));
                self.replicas[replica].memory.inbox.push_back(event);
            }
            Some(None) => self.ledger.duplicates_refused += 1,
            None => {}
        }
    }

    /// Claims what waits for the workers that are connected to the replica.
    pub(super) async fn hand_out(&mut self, replica: usize) {
        self.claim_words(replica).await;
        let queues = self.read(replica, async |store, _| queues::waited_on(&store).await).await;
        let lots: Vec<ClaimableQueue> = queues.into_iter().map(lot).collect();
        let seats = self.seats(replica, &lots);
        if seats.is_empty() {
            return;
        }
        let tokens = self.tokens();
        let claim = async |store, now| {
            commands::claim(&store, seats, &lots, tokens, Limits::HOST, now).await
        };
        let claims = self.write(replica, "hands out".to_owned(), claim).await.unwrap_or_default();
        let now = self.now(replica);
        for claim in claims {
            let standing = self.book.standing(&claim.worker_id, &claim.id, &claim.token, now);
            let (id, unseen) = (claim.id.clone(), standing == Standing::Unseen);
            self.must(unseen, || format!("{id} was claimed, and its token is {standing:?}"));
            let memory = &mut self.replicas[replica].memory;
            let link =
                memory.links.values_mut().find(|it| it.presence.worker_id == claim.worker_id);
            link.unwrap().holds.push(id);
            memory.outbox.push_back(claim);
        }
    }

    async fn claim_words(&mut self, replica: usize) {
        let addressees =
            self.read(replica, async |store, _| commands::addressees(&store).await).await;
        for worker in addressees {
            let links = &self.replicas[replica].memory.links;
            if !links.values().any(|link| link.presence.worker_id == worker) {
                continue;
            }
            let tokens = self.tokens();
            let claim =
                async |store, now| commands::claim_control(&store, &worker, tokens, now).await;
            let words = self.write(replica, format!("claims words to {worker}"), claim).await;
            self.replicas[replica].memory.outbox.extend(words.unwrap_or_default());
        }
    }

    fn tokens(&mut self) -> Vec<Token> {
        (0..CLAIMS).map(|_| Token::mint(self.dice.bytes())).collect()
    }

    fn seats(&self, replica: usize, lots: &[ClaimableQueue]) -> Vec<Claimant> {
        let links = self.replicas[replica].memory.links.iter();
        let open =
            links.filter(|(_, link)| link.eligibility == Eligibility::Eligible && link.seated);
        let seat = |(place, link): (&usize, &Link)| {
            let worker = &self.workers[*place];
            let own = (0..lots.len()).filter(|lot| worker.may_take(&lots[*lot].queue)).collect();
            Claimant {
                worker_id: link.presence.worker_id.clone(),
                lots: own,
                capacity: worker.capacity,
                active: link.holds.len() as u32,
                degraded: false,
            }
        };
        open.map(seat).filter(|seat| !seat.lots.is_empty() && seat.active < seat.capacity).collect()
    }

    /// Sends what was claimed first.
    pub(super) async fn deliver(&mut self, replica: usize) {
        let memory = &mut self.replicas[replica].memory;
        let Some(claim) = memory.outbox.pop_front() else { return };
        let place = memory.links.iter().find(|(_, it)| it.presence.worker_id == claim.worker_id);
        let Some((place, link)) = place else {
            return self.take_back(replica, hold_of(claim)).await;
        };
        let (place, connection) = (*place, link.presence.connection.clone());
        let arrives = self.workers[place].listens_on(replica, &connection);
        let what = if arrives { "gets" } else { "misses" };
        self.note(format!("  worker {place} {what} {}", claim.id));
        if arrives {
            self.workers[place].take(claim);
        }
    }

    /// What a connection was to get and has not goes back to the queue.
    pub(super) async fn take_back(&mut self, replica: usize, hold: Hold) {
        let Hold { worker_id, command_id: id, token } = &hold;
        let standing = self.book.standing(worker_id, id, token, self.now(replica));
        let back = async |store, now| commands::hand_back(&store, &hold, now).await;
        let fence = self.write(replica, format!("takes back {id}"), back).await;
        self.judge(standing, fence, id);
    }

    /// Notices which connections are gone, and whose worker may not stay.
    pub(super) async fn attend(&mut self, replica: usize) {
        let links = &self.replicas[replica].memory.links;
        let Some(place) = self.dice.pick(&links.keys().copied().collect::<Vec<_>>()) else {
            return;
        };
        let presence = links[&place].presence.clone();
        if !self.workers[place].listens_on(replica, &presence.connection) {
            return self.close(replica, place).await;
        }
        let shown = std::slice::from_ref(&presence);
        let look = async |store, _| workers::standings(&store, shown).await;
        let standings = self.read(replica, look).await;
        match standings.into_iter().next().unwrap().1 {
            Ok(eligibility) => {
                let link = self.replicas[replica].memory.links.get_mut(&place);
                link.unwrap().eligibility = eligibility;
            }
            Err(why) => {
                self.replicas[replica].memory.links.remove(&place);
                self.workers[place].sent_away(replica, &why);
                let release = async |store, now| {
                    commands::release_others(&store, &presence.worker_id, &[], now).await
                };
                if is_final(&why) {
                    self.write(replica, format!("lets worker {place} go"), release).await;
                }
            }
        }
    }

    pub(super) async fn close(&mut self, replica: usize, place: usize) {
        let memory = &mut self.replicas[replica].memory;
        let Some(link) = memory.links.remove(&place) else { return };
        let own = |claim: &Claim| claim.worker_id == link.presence.worker_id;
        let unsent: VecDeque<Claim>;
        (unsent, memory.outbox) = memory.outbox.drain(..).partition(own);
        for claim in unsent {
            self.take_back(replica, hold_of(claim)).await;
        }
        let presence = link.presence;
        let depart = async |store, now| workers::depart(&store, &presence, now).await;
        self.write(replica, format!("notes that worker {place} is gone"), depart).await;
    }

    /// One of the controllers that put stored state right.
    pub(super) async fn put_right(&mut self, replica: usize) {
        match self.dice.between(0, 10) {
            10 => self.keep_time(replica).await,
            0 | 1 => self.release_leases(replica).await,
            2 => self.recover(replica).await,
            3 | 4 => self.reconcile(replica).await,
            5 => self.sweep(replica).await,
            6 => self.look_for_orphans(replica).await,
            7 => self.clean_up_tokens(replica).await,
            8 => self.retain_audit(replica).await,
            _ => self.retain(replica).await,
        }
    }

    /// What a wrong clock has left in the future.
    pub(super) async fn keep_time(&mut self, replica: usize) {
        let right = async |store, now| controllers::put_right(&store, now).await;
        self.writes(replica, "puts right what is ahead".to_owned(), right).await;
    }

    pub(super) async fn release_leases(&mut self, replica: usize) {
        let release = async |store, now| commands::release_expired(&store, now).await;
        self.write(replica, "releases leases".to_owned(), release).await;
    }

    pub(super) async fn recover(&mut self, replica: usize) {
        let recover = async |store, now| controllers::recover(&store, now, true).await;
        self.writes(replica, "recovers commands".to_owned(), recover).await;
    }

    pub(super) async fn reconcile(&mut self, replica: usize) {
        let reconcile = async |store, now| sessions::reconcile(&store, now).await;
        self.writes(replica, "reconciles sessions".to_owned(), reconcile).await;
    }

    pub(super) async fn sweep(&mut self, replica: usize) {
        let sweep = async |store, now| workers::sweep(&store, now).await;
        self.write(replica, "looks for silent workers".to_owned(), sweep).await;
    }

    /// A run and its command are made, and end, together: there are none.
    async fn look_for_orphans(&mut self, replica: usize) {
        let look = async |store, now| orphans::end(&store, 0, now).await;
        let looked = self.writes(replica, "looks for orphaned runs".to_owned(), look).await;
        let changes = self.changes;
        let ended = looked.is_some_and(|look| look.ended > 0);
        self.must(!ended && changes == 0, || "a run had nothing to carry it on".to_owned());
    }

    async fn clean_up_tokens(&mut self, replica: usize) {
        let clean = async |store, now| controllers::token_cleanup(&store, now, false).await;
        self.writes(replica, "cleans up tokens".to_owned(), clean).await;
    }

    async fn retain_audit(&mut self, replica: usize) {
        let retain = async |store, now| {
            controllers::audit_retention(&store, rules::KEPT, AUDIT_BATCH, now, false).await
        };
        self.writes(replica, "removes old rows of the audit".to_owned(), retain).await;
        let changes = self.changes;
        self.must(changes == 0, || "the audit's retention changed something else".to_owned());
    }

    async fn retain(&mut self, replica: usize) {
        let keep = rules::retention();
        self.book.due = Some(self.now(replica) - rules::KEPT);
        let retain = async |store, now| controllers::retention(&store, &keep, now, false).await;
        self.writes(replica, "removes what ended long ago".to_owned(), retain).await;
        self.book.due = None;
    }

    pub(super) fn crash(&mut self, replica: usize) {
        self.ledger.crashes += 1;
        self.note(format!("replica {replica} crashes"));
        self.replicas[replica].crash(&mut self.dice);
    }
}

pub(super) fn is_final(why: &Dismissal) -> bool {
    matches!(why, Dismissal::Rejected | Dismissal::Revoked)
}

fn lot(queue: Queue) -> ClaimableQueue {
    ClaimableQueue {
        queue,
        class_max: Some(Limits::CLASS),
        lane_max: Some(Limits::LANE),
        workspace_max: None,
        bonus: 0,
        breaker: Breaker::default(),
    }
}

fn hold_of(claim: Claim) -> Hold {
    Hold { worker_id: claim.worker_id, command_id: claim.id, token: claim.token }
}
