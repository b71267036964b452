//! Workers: they connect, do what they are given, and say so; they also hang, die, come back late,
//! say things twice, and lie.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use hillock::model::command::{Charge, Claim, Control, Hold, Token};
use hillock::model::definition::Agent;
use hillock::model::id::{BootstrapId, CommandId, WorkerId};
use hillock::model::policy::{Enforces, HostKind, RuntimeType, Security, WorkspaceAccess};
use hillock::model::queue::Queue;
use hillock::model::routing::Offer;
use hillock::model::run::{Ending, LogLine, RunEvent, Stream};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::model::worker::{Bearer, Dismissal, Presence};
use hillock::store::commands::{self, Fence};
use hillock::store::workers::{self, Admission, Arrival, Changed, NewToken, NewWorker};
use hillock::store::{logs, run_events};
use serde_json::json;

use super::book::Standing;
use super::dice::Dice;
use super::replica::Link;
use super::rules;
use super::world::World;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many of its past commands a worker remembers.
const REMEMBERED: usize = 12;

pub(super) struct Worker {
    pub(super) id: WorkerId,
    /// None for one that comes with an API key.
    credential: Option<Bearer>,
    registered: bool,
    pub(super) capacity: u32,
    /// Whether it can enforce policies.
    enforces: bool,
    link: Option<(usize, String)>,
    /// It hangs until then.
    silent_until: Time,
    next_beat: Time,
    hands: Vec<Hand>,
    words: Vec<Word>,
    /// What it had, and might speak of again.
    past: VecDeque<(CommandId, Token)>,
    pub(super) gone: bool,
}

/// A command in a worker's hands.
#[derive(Clone)]
struct Hand {
    id: CommandId,
    token: Token,
    step: Step,
    lines: u64,
    events: u64,
    to_stop: bool,
    /// How it has ended, once it has said so.
    ending: Option<Ending>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Received,
    Acknowledged,
    Started,
}

/// A word to a worker.
#[derive(Clone)]
struct Word {
    id: CommandId,
    token: Token,
    control: Control,
}

/// What a worker says of a command.
#[derive(Clone, Debug)]
enum Saying {
    Acknowledged,
    Started,
    Lines { first: u64, count: u64 },
    Event { first: u64, kind: &'static str },
    Finished(Ending),
    HandedBack,
}

impl Worker {
    pub(super) fn new(place: usize, now: Time, dice: &mut Dice) -> Self {
        let by_key = place.is_multiple_of(2);
        Self {
            id: WorkerId::mint(now, dice.bytes()),
            credential: (!by_key).then(|| Bearer::credential(dice.bytes())),
            registered: by_key,
            capacity: 2 + u32::try_from(place).unwrap(),
            enforces: place < 3,
            link: None,
            silent_until: now,
            next_beat: now,
            hands: vec![],
            words: vec![],
            past: VecDeque::new(),
            gone: false,
        }
    }

    /// One that can do anything and does.
    pub(super) fn healthy(now: Time, dice: &mut Dice) -> Self {
        Self { capacity: 8, ..Self::new(0, now, dice) }
    }

    pub(super) fn may_take(&self, queue: &Queue) -> bool {
        self.offer().unmet(&queue.routing, queue.policy.as_ref()).is_none()
    }

    pub(super) fn listens_on(&self, replica: usize, connection: &str) -> bool {
        self.link.as_ref().is_some_and(|(at, mark)| *at == replica && mark == connection)
    }

    pub(super) fn take(&mut self, claim: Claim) {
        let Claim { id, token, charge, .. } = claim;
        match charge {
            Charge::Control(control) => self.words.push(Word { id, token, control }),
            Charge::Run(_) => self.hands.push(Hand {
                id,
                token,
                step: Step::Received,
                lines: 0,
                events: 0,
                to_stop: false,
                ending: None,
            }),
        }
    }

    /// Whether it has anything to do.
    pub(super) fn is_busy(&self) -> bool {
        !self.hands.is_empty() || !self.words.is_empty()
    }

    pub(super) fn sent_away(&mut self, replica: usize, why: &Dismissal) {
        if self.link.as_ref().is_some_and(|(at, _)| *at == replica) {
            self.link = None;
        }
        if super::host::is_final(why) {
            self.gone = true;
        }
    }

    pub(super) fn shows(&mut self, credential: Bearer) {
        self.credential = Some(credential);
    }

    fn offer(&self) -> Offer {
        let enforces = Enforces {
            host: BTreeSet::from([HostKind::Sandbox]),
            security: Security::ALL.iter().map(|(it, _)| *it).collect(),
            runtime_type: BTreeSet::from([RuntimeType::Process]),
            workspace_access: WorkspaceAccess::ALL.iter().map(|(it, _)| *it).collect(),
            interactive: true,
            ..Enforces::default()
        };
        let enforces = if self.enforces { enforces } else { Enforces::default() };
        Offer { enforces, ..Offer::default() }
    }

    fn arrival(&self, presence: &Presence) -> Arrival {
        let of = |scope: Scope| {
            rules::AGENTS.map(|name| Agent { scope: scope.clone(), name: name.parse().unwrap() })
        };
        Arrival {
            presence: presence.clone(),
            name: "worker".to_owned(),
            agents: rules::scopes().into_iter().flat_map(of).collect(),
            capacity: self.capacity,
            offer: self.offer(),
        }
    }

    /// What it has, by its own word.
    fn held(&self) -> Vec<(CommandId, Token)> {
        self.hands.iter().map(|hand| (hand.id.clone(), hand.token.clone())).collect()
    }

    fn drop_hand(&mut self, id: &CommandId, token: &Token) {
        self.hands.retain(|hand| (&hand.id, &hand.token) != (id, token));
        self.past.push_back((id.clone(), token.clone()));
        if self.past.len() > REMEMBERED {
            self.past.pop_front();
        }
    }
}

impl World {
    /// A worker does the next thing, good or bad.
    pub(super) async fn work(&mut self, place: usize) {
        let worker = &mut self.workers[place];
        if worker.gone {
            *worker = Worker::new(place, self.truth, &mut self.dice);
        }
        if self.truth < worker.silent_until {
            return;
        }
        if self.dice.once_in(200) {
            worker.silent_until = self.truth + Duration::from_secs(self.dice.between(5, 150));
            return self.note(format!("worker {place} hangs"));
        }
        if self.dice.once_in(250) {
            let worker = &mut self.workers[place];
            (worker.hands, worker.words, worker.link) = (vec![], vec![], None);
            return self.note(format!("worker {place} dies, and begins anew"));
        }
        if self.dice.once_in(40) {
            return self.lie(place).await;
        }
        self.go_on(place).await;
    }

    /// A worker does what is right.
    pub(super) async fn go_on(&mut self, place: usize) {
        let worker = &self.workers[place];
        let linked = worker.link.as_ref().is_some_and(|(at, mark)| {
            let link = self.replicas[*at].memory.links.get(&place);
            link.is_some_and(|link| link.presence.connection == *mark)
        });
        if !linked {
            return self.connect(place).await;
        }
        if self.truth >= worker.next_beat {
            return self.beat(place).await;
        }
        if !worker.words.is_empty() && (worker.hands.is_empty() || self.dice.once_in(2)) {
            return self.heed(place).await;
        }
        let Some(hand) = self.dice.place(self.workers[place].hands.len()) else { return };
        self.progress(place, hand).await;
    }

    async fn register(&mut self, replica: usize, place: usize) {
        let now = self.now(replica);
        let token = Bearer::bootstrap(self.dice.bytes());
        let approves = !self.dice.once_in(3);
        let new = NewToken {
            id: BootstrapId::mint(now, self.dice.bytes()),
            hash: token.hash(),
            prefix: token.prefix().to_owned(),
            scope: Scope::Global,
            uses: 1,
            approves,
            created_at: now,
            expires_at: now + Duration::from_secs(600),
        };
        let create = async |store, _| workers::create_token(&store, new).await;
        if self.write(replica, "makes a bootstrap token".to_owned(), create).await.is_none() {
            return;
        }
        let worker = &self.workers[place];
        let credential = worker.credential.clone().unwrap();
        let new = NewWorker {
            id: worker.id.clone(),
            name: format!("worker {place}"),
            credential_hash: credential.hash(),
            credential_prefix: credential.prefix().to_owned(),
        };
        let admission = Admission::Token(token.hash());
        let again = (new.clone(), admission.clone());
        let register = async |store, now| workers::register(&store, new, admission, now).await;
        let registered = self.write(replica, format!("registers worker {place}"), register).await;
        if let Some(approval) = registered {
            self.must(approval.is_some(), || format!("worker {place} was not let in"));
            self.workers[place].registered = true;
            // The token was for one.
            let (new, admission) =
                (NewWorker { id: WorkerId::mint(now, self.dice.bytes()), ..again.0 }, again.1);
            let twice = async |store, now| workers::register(&store, new, admission, now).await;
            let second = self.write(replica, "registers another by it".to_owned(), twice).await;
            self.must(second.is_none_or(|it| it.is_none()), || "a token was used twice".to_owned());
        } else {
            // Whether it is registered, it cannot know: it begins anew.
            self.workers[place] = Worker::new(place, self.truth, &mut self.dice);
        }
    }

    async fn connect(&mut self, place: usize) {
        let replica = self.any_replica();
        if !self.workers[place].registered {
            return self.register(replica, place).await;
        }
        let worker = &self.workers[place];
        let presence = Presence {
            worker_id: worker.id.clone(),
            connection: hex::encode(self.dice.bytes::<8>()),
            credential: worker.credential.as_ref().map(Bearer::hash),
        };
        let (arrival, held) = (worker.arrival(&presence), worker.held());
        let arrive = async |store, now| workers::arrive(&store, arrival, now).await;
        match self.write(replica, format!("lets worker {place} in"), arrive).await {
            Some(Ok(eligibility)) => {
                self.close(replica, place).await;
                let holds = held.iter().map(|(id, _)| id.clone()).collect();
                let mark = presence.connection.clone();
                let link = Link { presence, eligibility, seated: false, holds };
                self.replicas[replica].memory.links.insert(place, link);
                self.workers[place].link = Some((replica, mark));
                self.settle_in(replica, place, held).await;
            }
            Some(Err(why)) => self.workers[place].sent_away(replica, &why),
            None => {}
        }
    }

    /// What the worker has not comes back, and it hears what it has not any more.
    async fn settle_in(&mut self, replica: usize, place: usize, held: Vec<(CommandId, Token)>) {
        let id = self.workers[place].id.clone();
        let kept: Vec<CommandId> = held.into_iter().map(|(id, _)| id).collect();
        let release = async |store, now| commands::release_others(&store, &id, &kept, now).await;
        let done = self.write(replica, format!("settles worker {place}"), release).await;
        if done.is_none() || !self.renew(replica, place).await {
            self.workers[place].link = None;
            return;
        }
        let worker = &mut self.workers[place];
        worker.next_beat = self.truth + HEARTBEAT;
        // Words that were on their way are out of its hands, too.
        worker.words.clear();
        if let Some(link) = self.replicas[replica].memory.links.get_mut(&place) {
            link.seated = true;
        }
    }

    async fn beat(&mut self, place: usize) {
        let Some((replica, _)) = self.workers[place].link.clone() else { return };
        let presence = self.replicas[replica].memory.links[&place].presence.clone();
        let heard =
            async |store, now| workers::heard(&store, &presence, Changed::default(), now).await;
        match self.write(replica, format!("hears worker {place}"), heard).await {
            Some(Ok(eligibility)) => {
                let held = self.workers[place].held();
                let memory = &mut self.replicas[replica].memory;
                let on_its_way =
                    memory.outbox.iter().filter(|it| it.worker_id == presence.worker_id);
                let holds = held.iter().map(|(id, _)| id.clone());
                let holds = holds.chain(on_its_way.map(|claim| claim.id.clone())).collect();
                if let Some(link) = memory.links.get_mut(&place) {
                    (link.eligibility, link.holds) = (eligibility, holds);
                }
                self.renew(replica, place).await;
                self.workers[place].next_beat = self.truth + HEARTBEAT;
            }
            Some(Err(why)) => {
                self.workers[place].sent_away(replica, &why);
                self.replicas[replica].memory.links.remove(&place);
            }
            None => {}
        }
    }

    /// Renews the leases of what a worker has; whether it heard the answer.
    async fn renew(&mut self, replica: usize, place: usize) -> bool {
        let (held, now) = (self.workers[place].held(), self.now(replica));
        let own = self.workers[place].id.clone();
        if held.is_empty() {
            return true;
        }
        let standing = |(id, token): &(CommandId, Token)| self.book.standing(&own, id, token, now);
        let stale: Vec<_> =
            held.iter().filter(|it| standing(it) == Standing::Stale).cloned().collect();
        let asked = held.clone();
        let renew = async |store, now| commands::renew(&store, &own, asked, now).await;
        let renewed = self.write(replica, format!("renews for worker {place}"), renew).await;
        let Some(renewed) = renewed else { return false };
        let right = renewed.lost == stale;
        self.must(right, || format!("{stale:?} were lost, and it heard {:?}", renewed.lost));
        self.ledger.late_refused += stale.len() as u64;
        let worker = &mut self.workers[place];
        for (id, token) in &renewed.lost {
            worker.drop_hand(id, token);
        }
        for hand in &mut worker.hands {
            hand.to_stop |= renewed.canceling.contains(&hand.id);
        }
        true
    }

    /// A worker does what a word tells it.
    async fn heed(&mut self, place: usize) {
        let Some((replica, _)) = self.workers[place].link.clone() else { return };
        let worker = &mut self.workers[place];
        let Some(which) = self.dice.place(worker.words.len()) else { return };
        let Word { id, token, control } = worker.words.swap_remove(which);
        if !self.healthy && self.dice.once_in(12) {
            return;
        }
        let ending = match control {
            Control::Cancel { command_id } => {
                let hand = worker.hands.iter_mut().find(|hand| hand.id == command_id);
                hand.into_iter().for_each(|hand| hand.to_stop = true);
                Ending::Completed
            }
            Control::Input { command_id, .. } => {
                let works = |hand: &Hand| hand.id == command_id && hand.step == Step::Started;
                match worker.hands.iter().any(works) {
                    true => Ending::Completed,
                    false => Ending::failed("no such program"),
                }
            }
            Control::HealthCheck | Control::ConfigUpdate { .. } => Ending::Completed,
        };
        self.say(replica, place, &id, &token, Saying::Acknowledged).await;
        self.say(replica, place, &id, &token, Saying::Finished(ending)).await;
    }

    async fn progress(&mut self, place: usize, which: usize) {
        let Some((replica, _)) = self.workers[place].link.clone() else { return };
        let hand = self.workers[place].hands[which].clone();
        let saying = self.next_saying(&hand);
        if let Saying::Finished(ending) = &saying {
            self.workers[place].hands[which].ending = Some(ending.clone());
        }
        let fence = self.say(replica, place, &hand.id, &hand.token, saying.clone()).await;
        let Some(fence) = fence else { return };
        let ends = matches!(saying, Saying::Finished(_) | Saying::HandedBack);
        if fence == Fence::Lost || ends {
            self.workers[place].drop_hand(&hand.id, &hand.token);
            if let Some(link) = self.replicas[replica].memory.links.get_mut(&place) {
                link.holds.retain(|id| *id != hand.id);
            }
            return;
        }
        let hand = &mut self.workers[place].hands[which];
        match saying {
            Saying::Acknowledged => hand.step = Step::Acknowledged,
            Saying::Started => hand.step = Step::Started,
            Saying::Lines { count, .. } => hand.lines += count,
            Saying::Event { .. } => hand.events += 1,
            Saying::Finished(_) | Saying::HandedBack => {}
        }
    }

    fn next_saying(&mut self, hand: &Hand) -> Saying {
        if let Some(ending) = &hand.ending {
            return Saying::Finished(ending.clone());
        }
        let dice = &mut self.dice;
        if self.healthy {
            return match (hand.step, hand.to_stop) {
                (_, true) => Saying::Finished(Ending::Canceled),
                (Step::Started, false) => Saying::Finished(Ending::Completed),
                (Step::Acknowledged, false) => Saying::Started,
                (Step::Received, false) => Saying::Acknowledged,
            };
        }
        match (hand.step, dice.between(0, 99)) {
            (Step::Received, 0..=3) => Saying::HandedBack,
            (Step::Received, 4..=9) => Saying::Finished(Ending::failed("no such program")),
            (Step::Received, _) => Saying::Acknowledged,
            (Step::Acknowledged, 0..=2) => Saying::HandedBack,
            (Step::Acknowledged, _) => Saying::Started,
            (Step::Started, 0..=89) if hand.to_stop => Saying::Finished(Ending::Canceled),
            (Step::Started, 0..=24) => {
                Saying::Lines { first: hand.lines + 1, count: dice.between(1, 3) }
            }
            (Step::Started, 25..=44) => {
                let kind = dice.pick(&["waiting_for_input", "result", "note"]).unwrap();
                Saying::Event { first: hand.events + 1, kind }
            }
            (Step::Started, 45..=80) => Saying::Finished(Ending::Completed),
            (Step::Started, 81..=96) => {
                let retry_after_ms = dice.once_in(6).then_some(1_500);
                let error = "exit status 1".to_owned();
                Saying::Finished(Ending::Failed { error, retry_after_ms })
            }
            (Step::Started, _) => Saying::HandedBack,
        }
    }

    /// A worker says what it has no right to say.
    async fn lie(&mut self, place: usize) {
        let Some((replica, _)) = self.workers[place].link.clone() else { return };
        let past: Vec<_> = self.workers[place].past.iter().cloned().collect();
        let others: Vec<_> = self.workers.iter().flat_map(Worker::held).collect();
        let lie = match self.dice.between(0, 4) {
            0 => {
                let id = self.dice.pick_late(&self.book.command_ids, 40);
                id.map(|id| (id.parse().unwrap(), Token::mint(self.dice.bytes())))
            }
            1 => {
                let id = self.dice.pick_late(&self.book.command_ids, 40);
                let own = self.dice.pick(&self.workers[place].held());
                id.zip(own).map(|(id, (_, token))| (id.parse().unwrap(), token))
            }
            // What another worker holds, or this one.
            2 => self.dice.pick(&others),
            _ => self.dice.pick(&past),
        };
        let Some((id, token)) = lie else { return };
        // What it holds after all, it says when it is due.
        if self.workers[place].held().contains(&(id.clone(), token.clone())) {
            return;
        }
        let saying = match self.dice.between(0, 6) {
            0 => Saying::Acknowledged,
            1 => Saying::Started,
            2 => Saying::Lines { first: 1, count: 2 },
            3 => Saying::Event { first: 1, kind: "waiting_for_input" },
            4 => Saying::HandedBack,
            5 => Saying::Finished(Ending::failed("a lie")),
            _ => Saying::Finished(Ending::Completed),
        };
        self.say(replica, place, &id, &token, saying).await;
    }

    async fn say(
        &mut self,
        replica: usize,
        place: usize,
        id: &CommandId,
        token: &Token,
        saying: Saying,
    ) -> Option<Fence> {
        let at = self.now(replica);
        let worker_id = self.workers[place].id.clone();
        let standing = self.book.standing(&worker_id, id, token, at);
        let what = format!("worker {place} of {id}: {saying:?}, {standing:?}");
        let hold = Hold { worker_id, command_id: id.clone(), token: token.clone() };
        let say = async |store, now| match saying {
            Saying::Acknowledged => commands::acknowledge(&store, &hold, now).await,
            Saying::Started => commands::start(&store, &hold, now).await,
            Saying::Finished(ending) => commands::finish(&store, &hold, ending, now).await,
            Saying::HandedBack => commands::hand_back(&store, &hold, now).await,
            Saying::Lines { first, count } => {
                let line = LogLine { at, stream: Stream::Stdout, text: "a line".to_owned() };
                let lines = vec![line; usize::try_from(count).unwrap()];
                logs::append(&store, &hold, first, lines, now).await
            }
            Saying::Event { first, kind } => {
                let data = json!({ "type": kind, "prompt": "how?", "data": 1 });
                let event = RunEvent { at, kind: kind.parse().unwrap(), data };
                run_events::append(&store, &hold, first, vec![event], now).await
            }
        };
        let fence = self.write(replica, what, say).await;
        self.judge(standing, fence, id);
        fence
    }

    /// Only the current token's words change anything.
    pub(super) fn judge(&mut self, standing: Standing, fence: Option<Fence>, id: &CommandId) {
        let changes = self.changes;
        match standing {
            Standing::Current => {
                self.must(fence != Some(Fence::Lost), || format!("{id} was refused to its holder"));
            }
            // What needs to be acknowledged first is refused, and changes nothing.
            Standing::Unseen => {
                let refused = fence == Some(Fence::Lost);
                self.must(!refused || changes == 0, || format!("{id} was refused, and changed"));
            }
            Standing::Ended => {
                self.must(changes == 0, || format!("{id} had ended, and {changes} rows changed"));
            }
            Standing::Stale => {
                self.must(changes == 0, || format!("{id} by a stale token: {changes} changes"));
                self.must(fence != Some(Fence::Held), || format!("{id}: a stale token was held"));
                self.ledger.late_refused += 1;
            }
        }
    }
}
