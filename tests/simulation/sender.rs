//! Those who post deliveries: new ones, and the same again after a lost answer or for no reason.

use std::sync::Arc;

use hillock::model::definition::Replay;
use hillock::model::envelope::{Arrival, Event, Origin, Payload, Source, Verified, Way};
use hillock::model::id::{EventId, WebhookId};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::events::{self, Accepted, Delivery, Likeness, Meaning};

use super::dice::Dice;
use super::rules;
use super::world::World;

/// So many may wait before senders are asked for patience.
const WAITING_MAX: u32 = 60;

#[derive(Default)]
pub(super) struct Senders {
    sent: Vec<Sent>,
    /// Those whose sender heard nothing.
    unanswered: Vec<usize>,
}

struct Sent {
    scope: Scope,
    kind: &'static str,
    number: u64,
    identities: Vec<[u8; 32]>,
    likeness: Option<Likeness>,
    /// The event that each try would have become.
    tries: Vec<EventId>,
    /// The event that its sender was told of.
    accepted: Option<EventId>,
}

impl Senders {
    /// The events that senders were told of.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &EventId> {
        self.sent.iter().filter_map(|sent| sent.accepted.as_ref())
    }

    /// One that was not sent before, or one that was.
    fn choose(&mut self, dice: &mut Dice, full: bool) -> Option<usize> {
        if !self.unanswered.is_empty() && dice.once_in(2) {
            let place = dice.place(self.unanswered.len())?;
            return Some(self.unanswered.swap_remove(place));
        }
        if full || dice.once_in(6) {
            let places: Vec<usize> = (0..self.sent.len()).collect();
            return dice.pick_late(&places, 200);
        }
        let mut identities = vec![dice.bytes()];
        if dice.once_in(3) {
            identities.push(dice.bytes());
        }
        self.sent.push(Sent {
            scope: dice.pick(&rules::scopes())?,
            kind: dice.pick(&rules::KINDS)?,
            number: self.sent.len() as u64,
            identities,
            likeness: dice.once_in(2).then(|| likeness(dice)),
            tries: vec![],
            accepted: None,
        });
        Some(self.sent.len() - 1)
    }
}

impl Sent {
    fn event(&mut self, now: Time, dice: &mut Dice) -> Arc<Event> {
        let id = EventId::mint(now, dice.bytes());
        self.tries.push(id.clone());
        Arc::new(Event {
            id,
            scope: self.scope.clone(),
            kind: self.kind.parse().unwrap(),
            source: Source::Webhook,
            way: Way::Endpoint(Arrival {
                webhook_id: WebhookId::derive(&self.scope, "hooks"),
                slug: "hooks".parse().unwrap(),
            }),
            occurred_at: now,
            received_at: now,
            origin: origin(),
            verified: Some(Verified {
                scheme: "generic".to_owned(),
                key_ref: "env:SECRET".to_owned(),
                at: now,
            }),
            depth: 0,
            causes: vec![],
            traceparent: None,
            body: format!(r#"{{"number":{}}}"#, self.number).into_bytes().into(),
            payload: Payload::Body,
        })
    }
}

/// One of few, so that many read alike.
fn likeness(dice: &mut Dice) -> Likeness {
    let text = u8::try_from(dice.between(1, 40)).unwrap();
    let replay = if dice.once_in(3) { Replay::Refuse } else { Replay::Mark };
    Likeness { hash: [text; 32], former: [0; 32], meaning: Meaning::Replay(replay) }
}

pub(super) fn origin() -> Origin {
    Origin {
        component: "generic".parse().unwrap(),
        version: "0.1.0".to_owned(),
        digest: "sha256:00".to_owned(),
    }
}

impl World {
    /// A sender posts a few deliveries at once.
    pub(super) async fn post(&mut self) {
        let replica = self.any_replica();
        let now = self.now(replica);
        let full = self.book.waiting > WAITING_MAX;
        let (mut posted, mut deliveries) = (vec![], vec![]);
        for _ in 0..self.dice.between(1, 2) {
            let Some(place) = self.senders.choose(&mut self.dice, full) else { continue };
            let sent = &mut self.senders.sent[place];
            let event = sent.event(now, &mut self.dice);
            posted.push((place, Arc::clone(&event)));
            deliveries.push(Delivery {
                event,
                identities: sent.identities.clone(),
                likeness: sent.likeness.clone(),
            });
        }
        let what =
            format!("accepts {:?}", posted.iter().map(|it| it.1.id.as_str()).collect::<Vec<_>>());
        let accept = async |store, _| events::accept(&store, deliveries).await;
        match self.write(replica, what, accept).await {
            Some(accepted) => self.told_of(replica, &posted, accepted),
            None => self.senders.unanswered.extend(posted.iter().map(|(place, _)| *place)),
        }
        for (place, _) in posted {
            let sent = &self.senders.sent[place];
            let kept = sent.tries.iter().filter(|id| self.book.events.contains_key(id.as_str()));
            let kept = kept.count();
            self.must(kept <= 1, || format!("delivery {place} is {kept} events"));
        }
    }

    /// A sender hears that its delivery reads like another: one that is there, and not its own.
    fn refused_as_alike(&mut self, place: usize, id: &EventId) {
        let there = self.book.events.contains_key(id.as_str());
        self.must(there, || format!("delivery {place} reads like {id}, which is not there"));
        let sent = &self.senders.sent[place];
        let refuses = matches!(
            &sent.likeness,
            Some(Likeness { meaning: Meaning::Replay(Replay::Refuse), .. })
        );
        let own = sent.tries.contains(id);
        self.must(refuses && !own, || format!("delivery {place} was refused for {id}"));
        let alike = |other: &Sent| {
            let hashes = [other, sent].map(|one| one.likeness.as_ref().map(|one| one.hash));
            other.tries.contains(id) && other.scope == sent.scope && hashes[0] == hashes[1]
        };
        let alike = self.senders.sent.iter().any(alike);
        self.must(alike, || format!("delivery {place} does not read like {id}"));
        self.ledger.duplicates_refused += 1;
    }

    /// Senders hear what became of their deliveries.
    fn told_of(&mut self, replica: usize, posted: &[(usize, Arc<Event>)], answers: Vec<Accepted>) {
        for ((place, event), answer) in posted.iter().zip(answers) {
            let id = match &answer {
                Accepted::New(id) => {
                    self.must(*id == event.id, || format!("{} became {id}", event.id));
                    self.replicas[replica].memory.inbox.push_back(Arc::clone(event));
                    id
                }
                Accepted::Duplicate(id) => {
                    self.ledger.duplicates_refused += 1;
                    id
                }
                Accepted::Refused(id) => {
                    self.refused_as_alike(*place, id);
                    continue;
                }
            };
            let there = self.book.events.contains_key(id.as_str());
            self.must(there, || format!("{id} was accepted, and is not there"));
            let sent = &mut self.senders.sent[*place];
            let own = sent.tries.contains(id);
            match sent.accepted.replace(id.clone()) {
                None => self.ledger.accepted += 1,
                Some(before) => {
                    // One that was removed is recognised no more.
                    let same = before == *id || self.book.gone.events.contains(before.as_str());
                    self.must(same, || format!("delivery {place} was {before}, is {id}"));
                }
            }
            self.must(own, || format!("delivery {place} is taken for {id}, another's"));
        }
    }
}
