//! Places for connections: who waits for whom, and who gives way.
//!
//! ```text
//!            a whole request has come
//!   waiting ─────────────────────────► served
//!      ▲   for its client        by the host │
//!      └─────────────────────────────────────┘
//!            the answer is out
//! ```
//! Everybody is let in at once. When more connections wait for their clients than there are places,
//! the one that has waited longest gives way, among those of the address that has the most: so many
//! slow clients of one address push out each other, and one that is quick is never among them, be it of
//! the same address. There is no share that an address may not exceed, since behind a proxy there is
//! only one. What is served gives way to nobody; beyond a number, what comes is told to come again,
//! but for health checks and workers, which are few and have to be heard.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The network that an address may choose its own from: nobody has one IPv6 address only.
const IPV6_NEIGHBOURS: u128 = u128::MAX << 64;

/// All places of a host.
#[derive(Debug)]
pub(super) struct Places {
    waiting_max: usize,
    served_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    /// Those that wait for their clients, by address.
    waiting: HashMap<IpAddr, Neighbours>,
    waiting_count: usize,
    served_count: usize,
}

/// The waiting connections of one address.
#[derive(Debug, Default)]
struct Neighbours {
    /// In the order in which they began to wait.
    tickets: BTreeMap<u64, Waiting>,
    /// How much of their requests has come, in bytes.
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    cut: CancellationToken,
    bytes: usize,
}

/// One connection's place, for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
    cut: CancellationToken,
    stand: Mutex<Stand>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Waiting(u64),
    Served,
    /// Served, and not counted.
    Apart,
}

impl Places {
    pub(super) fn new(waiting_max: usize, served_max: usize) -> Arc<Self> {
        Arc::new(Self { waiting_max, served_max, held: Mutex::default() })
    }

    /// A place for a connection from this address, that somebody else's may be cut for.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Arc<Place> {
        let (address, cut) = (neighbourhood(address), CancellationToken::new());
        let ticket = self.held().wait(address, cut.clone(), self.waiting_max);
        let stand = Mutex::new(Stand::Waiting(ticket));
        Arc::new(Place { places: Arc::clone(self), address, cut, stand })
    }

    /// Cuts the connection that is the first to give way; whether there is one.
    pub(super) fn cut_one(&self) -> bool {
        self.held().cut_one()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn wait(&mut self, address: IpAddr, cut: CancellationToken, waiting_max: usize) -> u64 {
        while self.waiting_count >= waiting_max && self.cut_one() {}
        let ticket = self.next;
        self.next += 1;
        self.waiting_count += 1;
        let waiting = Waiting { cut, bytes: 0 };
        self.waiting.entry(address).or_default().tickets.insert(ticket, waiting);
        ticket
    }

    fn took(&mut self, address: IpAddr, ticket: u64, bytes: usize) {
        let Some(neighbours) = self.waiting.get_mut(&address) else { return };
        if let Some(waiting) = neighbours.tickets.get_mut(&ticket) {
            waiting.bytes += bytes;
            neighbours.bytes += bytes;
        }
    }

    fn leave(&mut self, address: IpAddr, ticket: u64) {
        let Some(neighbours) = self.waiting.get_mut(&address) else { return };
        if let Some(Waiting { bytes, .. }) = neighbours.tickets.remove(&ticket) {
            neighbours.bytes -= bytes;
            self.waiting_count -= 1;
        }
        if neighbours.tickets.is_empty() {
            self.waiting.remove(&address);
        }
    }

    fn cut_one(&mut self) -> bool {
        // The oldest of all, where several have as many.
        let most = |(_, here): &(&IpAddr, &Neighbours)| {
            (here.tickets.len(), Reverse(here.tickets.keys().next().copied()))
        };
        let found = self.waiting.iter().max_by_key(most);
        self.cut(found.and_then(|(&address, here)| Some((address, *here.tickets.keys().next()?))))
    }

    /// Cuts the longest waiting of those who have sent something, at the address that has sent most.
    fn cut_one_that_fills(&mut self) -> bool {
        let found = self.waiting.iter().max_by_key(|(_, here)| here.bytes);
        self.cut(found.and_then(|(&address, here)| {
            let (&ticket, _) = here.tickets.iter().find(|(_, waiting)| waiting.bytes > 0)?;
            Some((address, ticket))
        }))
    }

    fn cut(&mut self, found: Option<(IpAddr, u64)>) -> bool {
        let Some((address, ticket)) = found else { return false };
        let waiting = self.waiting.get(&address).and_then(|here| here.tickets.get(&ticket));
        if let Some(waiting) = waiting {
            waiting.cut.cancel();
        }
        self.leave(address, ticket);
        true
    }
}

impl Place {
    /// Waits until the connection has to give way.
    pub(super) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// Whether a request may be served now that its head has come.
    pub(super) fn has_room(&self) -> bool {
        self.places.held().served_count < self.places.served_max
    }

    /// So much of a request's body has come, while its client goes on sending; `scarce` when others
    /// might get no room for theirs: then who has long been sending gives way.
    pub(super) fn took(&self, bytes: usize, scarce: bool) {
        let Stand::Waiting(ticket) = *self.stand() else { return };
        let mut held = self.places.held();
        held.took(self.address, ticket, bytes);
        if scarce {
            held.cut_one_that_fills();
        }
    }

    /// All of a request has come; `apart` when it is not to be counted.
    pub(super) fn served(&self, apart: bool) {
        let mut stand = self.stand();
        let Stand::Waiting(ticket) = *stand else { return };
        let mut held = self.places.held();
        held.leave(self.address, ticket);
        if !apart {
            held.served_count += 1;
        }
        *stand = if apart { Stand::Apart } else { Stand::Served };
    }

    /// The answer is out.
    pub(super) fn waits(&self) {
        let mut stand = self.stand();
        if matches!(*stand, Stand::Waiting(_)) {
            return;
        }
        let mut held = self.places.held();
        if *stand == Stand::Served {
            held.served_count -= 1;
        }
        let ticket = held.wait(self.address, self.cut.clone(), self.places.waiting_max);
        *stand = Stand::Waiting(ticket);
    }

    fn stand(&self) -> MutexGuard<'_, Stand> {
        self.stand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let stand = *self.stand();
        let mut held = self.places.held();
        match stand {
            Stand::Waiting(ticket) => held.leave(self.address, ticket),
            Stand::Served => held.served_count -= 1,
            Stand::Apart => {}
        }
    }
}

fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_NEIGHBOURS).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn cut(place: &Place) -> bool {
        place.cut.is_cancelled()
    }

    #[test]
    fn the_longest_waiting_of_the_address_with_the_most_gives_way() {
        let places = Places::new(4, 10);
        let (many, few) = (address("10.0.0.1"), address("10.0.0.2"));
        let oldest = places.enter(few);
        let slow: Vec<_> = (0..3).map(|_| places.enter(many)).collect();
        let fresh = places.enter(many);
        assert!(!cut(&oldest) && !cut(&fresh));
        assert_eq!(slow.iter().map(|place| cut(place)).collect::<Vec<_>>(), [true, false, false]);
        let other = places.enter(few);
        assert!(cut(&slow[1]) && !cut(&slow[2]) && !cut(&oldest) && !cut(&other));
        // Two of each: the oldest of all.
        let third = places.enter(address("10.0.0.3"));
        assert!(cut(&oldest) && !cut(&slow[2]) && !cut(&fresh) && !cut(&other) && !cut(&third));
    }

    #[test]
    fn what_is_served_gives_way_to_nobody() {
        let places = Places::new(1, 10);
        let busy = places.enter(address("10.0.0.1"));
        busy.served(false);
        let waiting = places.enter(address("10.0.0.1"));
        let fresh = places.enter(address("10.0.0.1"));
        assert!(!cut(&busy) && cut(&waiting) && !cut(&fresh));
        // Once it is answered it waits for its client again, as the last to have come.
        busy.waits();
        assert!(!cut(&busy) && cut(&fresh));
        drop(busy);
        assert!(!places.cut_one());
    }

    #[test]
    fn who_fills_the_room_gives_way_when_it_is_scarce() {
        let places = Places::new(10, 10);
        let slow: Vec<_> = (0..3).map(|_| places.enter(address("10.0.0.1"))).collect();
        let other = places.enter(address("10.0.0.2"));
        slow[1].took(100, false);
        slow[2].took(100, false);
        other.took(150, false);
        assert!(![&slow[0], &slow[1], &slow[2], &other].into_iter().any(|place| cut(place)));
        other.took(1, true);
        assert!(cut(&slow[1]) && !cut(&slow[0]) && !cut(&slow[2]) && !cut(&other));
        // What has come whole is in nobody's way.
        other.served(false);
        slow[2].took(1, true);
        assert!(cut(&slow[2]) && !cut(&other));
        assert_eq!(places.held().waiting.values().map(|here| here.bytes).sum::<usize>(), 0);
    }

    #[test]
    fn room_is_what_others_leave() {
        let places = Places::new(10, 2);
        let here: Vec<_> = (0..4).map(|_| places.enter(address("::1"))).collect();
        here[0].served(false);
        here[1].served(true);
        assert!(here[3].has_room());
        here[2].served(false);
        here[2].served(false);
        assert!(!here[3].has_room());
        here[1].waits();
        assert!(!here[3].has_room());
        here[0].waits();
        here[0].waits();
        assert!(here[3].has_room());
        drop(here);
        let held = places.held();
        assert_eq!((held.served_count, held.waiting_count, held.waiting.len()), (0, 0, 0));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        assert_eq!(neighbourhood(address("2001:db8::1")), neighbourhood(address("2001:db8::ffff")));
        assert_ne!(neighbourhood(address("2001:db8::1")), neighbourhood(address("2001:db9::1")));
        assert_eq!(neighbourhood(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }
}
