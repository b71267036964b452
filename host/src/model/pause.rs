//! Pauses: nothing more of a workspace, or of the whole host, is handed to workers. What has been
//! handed out goes on, and whatever comes is accepted and waits.

use std::fmt;

use super::scope::{Reach, Scope};
use super::time::Time;

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1024;

/// A pause that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Whose runs wait.
    pub reach: Reach,
    /// Since when.
    pub since: Time,
    /// Why, as whoever paused it says.
    pub reason: Option<String>,
}

impl Pause {
    /// Whether what belongs there waits for its end.
    pub fn covers(&self, scope: &Scope) -> bool {
        match &self.reach {
            Reach::One(one) => one == scope,
            Reach::All => true,
        }
    }
}

/// In words, with what ends it.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reach, since, reason } = self;
        f.write_str(reach.pick("", "the whole host is "))?;
        write!(f, "paused since {since}")?;
        if let Some(reason) = reason {
            write!(f, ": {reason}")?;
        }
        write!(f, "; `{}` lets it go on", way_out(reach))
    }
}

/// The command that ends a pause.
pub fn way_out(reach: &Reach) -> String {
    match reach {
        Reach::One(Scope::Global) => "hillock resume".to_owned(),
        Reach::One(Scope::Workspace(name)) => format!("hillock resume --workspace {name}"),
        Reach::All => "hillock resume --all-workspaces".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_ends_it() {
        let acme = Scope::Workspace("acme".parse().unwrap());
        let check = |reach: Reach, reason: Option<&str>, wanted: &str| {
            let pause = Pause { reach, since: Time::EPOCH, reason: reason.map(str::to_owned) };
            assert_eq!(pause.to_string(), wanted);
        };
        check(
            Reach::One(Scope::Global),
            Some("no credit"),
            "paused since 1970-01-01T00:00:00.000Z: no credit; `hillock resume` lets it go on",
        );
        check(
            Reach::One(acme),
            None,
            "paused since 1970-01-01T00:00:00.000Z; `hillock resume --workspace acme` lets it go on",
        );
        check(
            Reach::All,
            None,
            "the whole host is paused since 1970-01-01T00:00:00.000Z; \
             `hillock resume --all-workspaces` lets it go on",
        );
    }

    #[test]
    fn a_workspaces_is_its_own_and_the_hosts_is_everybodys() {
        let scopes = [Scope::Global, Scope::Workspace("acme".parse().unwrap())];
        let covered = |reach: &Reach| {
            let pause = Pause { reach: reach.clone(), since: Time::EPOCH, reason: None };
            [0, 1].map(|i: usize| pause.covers(&scopes[i]))
        };
        assert_eq!(covered(&Reach::One(Scope::Global)), [true, false]);
        assert_eq!(covered(&Reach::One(scopes[1].clone())), [false, true]);
        assert_eq!(covered(&Reach::All), [true, true]);
    }
}
