//! Chance, all of it from one seed.

use rand::distr::{Distribution, StandardUniform};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};

pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: u32) -> bool {
        self.0.random_range(0..times) == 0
    }

    /// From `least` to `most`, both among them.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.random_range(least..=most)
    }

    /// A place among so many; none among none.
    pub(super) fn place(&mut self, among: usize) -> Option<usize> {
        (among > 0).then(|| self.0.random_range(0..among))
    }

    pub(super) fn pick<T: Clone>(&mut self, among: &[T]) -> Option<T> {
        self.place(among.len()).map(|place| among[place].clone())
    }

    /// One of the latest so many.
    pub(super) fn pick_late<T: Clone>(&mut self, among: &[T], latest: usize) -> Option<T> {
        self.pick(&among[among.len().saturating_sub(latest)..])
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N]
    where
        StandardUniform: Distribution<[u8; N]>,
    {
        self.0.random()
    }
}
