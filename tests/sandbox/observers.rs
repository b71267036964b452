//! Observers that misbehave, and what they remember.

use std::collections::BTreeMap;

use hillock::sandbox::{Observation, SandboxError, Signal, State, Subject};

use super::{acme, at, check_error, mode, name, report, strict};
use crate::hostile::MISDEEDS;

async fn observe(with: &str, state: State) -> Result<(Vec<Signal>, State), SandboxError> {
    let observation = Observation {
        id: "file:1".to_owned(),
        subject: Subject::File,
        at: at(),
        data: "{}".to_owned(),
        config: mode(with),
    };
    strict().observe(&name("hostile-observer"), &acme(), observation, state).await
}

#[tokio::test]
async fn every_limit_names_itself() {
    for (misdeed, wanted) in MISDEEDS.iter().chain(&[("host-calls", "host call limit")]) {
        check_error(observe(misdeed, State::new()).await, misdeed, wanted);
    }
}

#[tokio::test]
async fn a_state_has_an_end() {
    for (with, wanted) in [
        ("keys", "state limit (64 keys)"),
        ("key", "state limit (128 bytes in a key)"),
        ("value", "state limit (16384 bytes in a value)"),
        ("large", "state limit (262144 bytes)"),
    ] {
        check_error(observe(with, State::new()).await, with, wanted);
    }
}

/// An instance is used again, and yet each call has the state that it is given and no other.
#[tokio::test]
async fn a_state_goes_in_and_comes_out() {
    let state = |count: &str| BTreeMap::from([("count".to_owned(), count.to_owned())]);
    for (before, after) in [(State::new(), "1"), (state("41"), "42"), (State::new(), "1")] {
        let (signals, kept) = observe("remember", before).await.unwrap();
        assert_eq!(report(&signals), format!("count={after}"));
        assert_eq!(kept, state(after));
    }
    assert_eq!(observe("ok", state("7")).await.unwrap(), (Vec::new(), state("7")));
    assert_eq!(observe("forget", state("7")).await.unwrap(), (Vec::new(), State::new()));
    check_error(observe("remember-trap", state("7")).await, "trap", "crashed");
}

#[tokio::test]
async fn an_observer_keeps_to_its_subject() {
    check_error(observe("forge", State::new()).await, "forge", "kinds below `file`");
}
