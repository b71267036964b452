//! Where the signals of hooks, observers and extensions become events: stamped by the host, and of
//! kinds that their makers may make.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::model::envelope::{Event, Origin, Payload, Producer, Source, Way};
use crate::model::name::{Kind, Name};
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::sandbox::Signal;
use crate::store::events::Delivery;
use crate::trace;

/// What all events of one call have in common.
#[derive(Clone, Debug)]
pub(super) struct Mint {
    /// What kind of definition made them.
    pub(super) source: Source,
    /// Which one.
    pub(super) producer: Producer,
    /// Whose it is.
    pub(super) scope: Scope,
    /// Its component.
    pub(super) origin: Origin,
    /// When what they tell of happened, unless they say otherwise.
    pub(super) at: Time,
    /// How many runs lie between them and the outside world.
    pub(super) depth: u32,
    /// The runs that led to them.
    pub(super) causes: Vec<String>,
    /// What the call is recognised by: an event that says nothing of itself is recognised by it.
    pub(super) call: String,
}

/// A source made an event that is not its to make.
#[derive(Debug, thiserror::Error)]
#[error("the {by} `{producer}` may not make `{kind}` events")]
pub(super) struct Forged {
    by: &'static str,
    producer: Name,
    kind: Kind,
}

impl Mint {
    /// The events that a call's signals mean.
    ///
    /// # Errors
    /// When one of them is not the source's to make; then there are none.
    pub(super) fn deliveries(
        &self,
        clock: Clock,
        signals: Vec<Signal>,
    ) -> Result<Vec<Delivery>, Forged> {
        let each = signals.into_iter().enumerate();
        each.map(|(index, signal)| self.delivery(clock, index, signal)).collect()
    }

    fn delivery(&self, clock: Clock, index: usize, signal: Signal) -> Result<Delivery, Forged> {
        let Producer { name, .. } = &self.producer;
        if !self.source.may_mint(name.as_str(), &signal.kind) {
            let Signal { kind, .. } = signal;
            return Err(Forged { by: self.source.as_str(), producer: name.clone(), kind });
        }
        let identity = self.identity(index, signal.dedupe.as_deref());
        let event = Event {
            id: clock.event_id(),
            scope: self.scope.clone(),
            kind: signal.kind,
            source: self.source,
            way: Way::Producer(self.producer.clone()),
            occurred_at: signal.occurred_at.unwrap_or(self.at),
            received_at: clock.now(),
            origin: self.origin.clone(),
            verified: None,
            depth: self.depth,
            causes: self.causes.clone(),
            traceparent: Some(trace::here(clock).to_string()),
            body: signal.data,
            payload: Payload::Body,
        };
        Ok(Delivery { event: Arc::new(event), identities: vec![identity], likeness: None })
    }

    fn identity(&self, index: usize, own: Option<&str>) -> [u8; 32] {
        let text = match own {
            Some(own) => format!("own {own}"),
            None => format!("call {} {index}", self.call),
        };
        Sha256::digest(text).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mint(source: Source, name: &str) -> Mint {
        let component = "rss".parse().unwrap();
        let (version, digest) = ("0.1.0".to_owned(), "sha256:00".to_owned());
        Mint {
            source,
            producer: Producer { id: "ext_1".to_owned(), name: name.parse().unwrap() },
            scope: Scope::Global,
            origin: Origin { component, version, digest },
            at: Time::EPOCH,
            depth: 2,
            causes: vec!["run_1".to_owned()],
            call: "call".to_owned(),
        }
    }

    fn signal(kind: &str, dedupe: Option<&str>) -> Signal {
        let dedupe = dedupe.map(str::to_owned);
        let kind = kind.parse().unwrap();
        Signal { kind, data: "{}".into(), dedupe, occurred_at: Time::from_millis(7) }
    }

    #[test]
    fn one_event_of_anothers_kind_refuses_the_whole_call() {
        for (source, name, kind, refusal) in [
            (Source::Extension, "news", "ext.news.item", None),
            (
                Source::Extension,
                "news",
                "ext.other.item",
                Some("the extension `news` may not make `ext.other.item` events"),
            ),
            (
                Source::Observer,
                "pages",
                "hook.run.failed",
                Some("the observer `pages` may not make `hook.run.failed` events"),
            ),
            (
                Source::Hook,
                "audit",
                "file.created",
                Some("the hook `audit` may not make `file.created` events"),
            ),
        ] {
            let own = match source {
                Source::Extension => "ext.news.item",
                Source::Observer => "file.created",
                _ => "hook.run.failed",
            };
            let signals = vec![signal(own, None), signal(kind, None)];
            let made = mint(source, name).deliveries(Clock, signals);
            let error = made.map(|made| made.len()).map_err(|error| error.to_string());
            assert_eq!(error, refusal.map_or(Ok(2), |refusal| Err(refusal.to_owned())), "{kind}");
        }
    }

    #[test]
    fn the_host_stamps_what_a_guest_cannot_say() {
        let mint = mint(Source::Extension, "news");
        let made = mint.deliveries(Clock, vec![signal("ext.news.item", None)]).unwrap();
        let event = &made[0].event;
        assert_eq!((event.depth, &event.causes[..]), (2, &["run_1".to_owned()][..]));
        assert_eq!(event.producer(), Some(&mint.producer));
        assert_eq!(Some(event.occurred_at), Time::from_millis(7));
        assert!(event.verified.is_none() && event.received_at > event.occurred_at);
    }

    #[test]
    fn an_event_is_recognised_by_its_own_word_or_by_its_call() {
        let one = mint(Source::Extension, "news");
        let other = Mint { call: "another".to_owned(), ..one.clone() };
        let same = |a: (&Mint, usize, Option<&str>), b: (&Mint, usize, Option<&str>)| {
            a.0.identity(a.1, a.2) == b.0.identity(b.1, b.2)
        };
        assert!(same((&one, 0, Some("x")), (&other, 1, Some("x"))));
        assert!(!same((&one, 0, Some("x")), (&one, 0, Some("y"))));
        assert!(same((&one, 0, None), (&one, 0, None)));
        assert!(!same((&one, 0, None), (&one, 1, None)));
        assert!(!same((&one, 0, None), (&other, 0, None)));
        assert!(!same((&one, 0, None), (&one, 0, Some("call call 0"))));
    }
}
