//! An administrator, who lets workers in, holds them back and sends them away.

use hillock::model::command::Control;
use hillock::model::id::CommandId;
use hillock::model::scope::Scope;
use hillock::model::worker::Bearer;
use hillock::store::workers::{self, Change, Refusal};

use super::world::World;

impl World {
    pub(super) async fn administer(&mut self) {
        let replica = self.any_replica();
        let place = self.dice.place(self.workers.len()).unwrap();
        let id = self.workers[place].id.clone();
        let change = match self.dice.between(0, 19) {
            0..=6 => Change::Approve,
            7 => Change::Reject,
            8 | 9 => Change::Disable,
            10..=13 => Change::Enable,
            14 => Change::Drain,
            15 | 16 => Change::Undrain,
            17 if self.dice.once_in(3) => Change::Revoke,
            18 => return self.rotate(replica, place).await,
            _ => return self.send_word(replica, place).await,
        };
        let make =
            async |store, now| workers::change(&store, &Scope::Global, &id, change, now).await;
        let made = self.write(replica, format!("{change:?} of worker {place}"), make).await;
        // One that has not come yet is not known.
        let right = matches!(made, None | Some(Ok(()) | Err(Refusal::Missing | Refusal::Revoked)));
        self.must(right, || format!("{change:?} of worker {place}: {made:?}"));
    }

    async fn rotate(&mut self, replica: usize, place: usize) {
        let credential = Bearer::credential(self.dice.bytes());
        let (id, hash) = (self.workers[place].id.clone(), credential.hash());
        let prefix = credential.prefix().to_owned();
        let rotate = async |store, now| {
            workers::rotate(&store, &Scope::Global, &id, hash, &prefix, now).await
        };
        let rotated = self.write(replica, format!("rotates worker {place}"), rotate).await;
        match rotated {
            Some(Ok(())) => self.workers[place].shows(credential),
            // Whether its credential still opens, it will see.
            Some(Err(_)) => {}
            None => self.workers[place].gone |= self.changes > 0,
        }
    }

    async fn send_word(&mut self, replica: usize, place: usize) {
        let now = self.now(replica);
        let (worker, id) =
            (self.workers[place].id.clone(), CommandId::mint(now, self.dice.bytes()));
        let control = match self.dice.once_in(2) {
            true => Control::HealthCheck,
            false => Control::ConfigUpdate { capacity: None },
        };
        let tell = async |store, now| {
            workers::tell(&store, &Scope::Global, &worker, &id, control, now).await
        };
        self.write(replica, format!("has a word with worker {place}"), tell).await;
    }
}
