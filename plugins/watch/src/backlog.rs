//! Which agents have a backlog, and when that changes.

use std::collections::BTreeSet;

/// How many must wait for a backlog to begin and to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thresholds {
    /// With more than this it begins.
    pub(crate) above: u64,
    /// With no more than this it ends.
    pub(crate) below: u64,
}

/// The agents that have one; kept as text, an agent a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog(BTreeSet<String>);

impl Backlog {
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().map(str::to_owned).collect())
    }

    pub(crate) fn to_text(&self) -> String {
        self.0.iter().map(|agent| format!("{agent}\n")).collect()
    }

    /// The kind of the event, when the number of those that wait for an agent crosses a threshold.
    pub(crate) fn cross(
        &mut self,
        Thresholds { above, below }: Thresholds,
        agent: &str,
        waiting: u64,
    ) -> Option<&'static str> {
        let changed = match waiting {
            waiting if waiting > above => self.0.insert(agent.to_owned()),
            waiting if waiting <= below => self.0.remove(agent),
            _ => false,
        };
        let kind = if waiting > above { "queue.backlog" } else { "queue.cleared" };
        changed.then_some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the numbers say one after the other, each with the state read back from its text.
    fn said(above: u64, below: u64, numbers: &[u64]) -> Vec<Option<&'static str>> {
        let mut text = String::new();
        let crossed = numbers.iter().map(|&waiting| {
            let mut backlog = Backlog::parse(&text);
            let kind = backlog.cross(Thresholds { above, below }, "triager", waiting);
            text = backlog.to_text();
            kind
        });
        crossed.collect()
    }

    #[test]
    fn one_crossing_is_one_event() {
        let (backlog, cleared) = (Some("queue.backlog"), Some("queue.cleared"));
        for (above, below, numbers, events) in [
            (10, 5, &[0, 10, 11, 12, 11][..], &[None, None, backlog, None, None][..]),
            (10, 5, &[11, 6, 11, 5, 5], &[backlog, None, None, cleared, None]),
            (10, 5, &[11, 0, 11], &[backlog, cleared, backlog]),
            (10, 10, &[11, 10, 11], &[backlog, cleared, backlog]),
            (0, 0, &[0, 1, 0], &[None, backlog, cleared]),
            (10, 5, &[6, 5, 0], &[None, None, None]),
        ] {
            assert_eq!(said(above, below, numbers), events, "{above}/{below} {numbers:?}");
        }
    }

    #[test]
    fn agents_have_sides_of_their_own() {
        let mut backlog = Backlog::parse("a\nb\n");
        let thresholds = Thresholds { above: 2, below: 1 };
        assert_eq!(backlog.cross(thresholds, "a", 3), None);
        assert_eq!(backlog.cross(thresholds, "c", 3), Some("queue.backlog"));
        assert_eq!(backlog.cross(thresholds, "b", 1), Some("queue.cleared"));
        assert_eq!(backlog.to_text(), "a\nc\n");
        assert_eq!(Backlog::parse(""), Backlog::default());
        assert_eq!(Backlog::default().to_text(), "");
    }
}
