//! What becomes of a job's fires, given what of it has not ended and what its limit leaves.

use super::Draft;
use crate::model::definition::{FireLimit, Overlap};
use crate::model::id::RunId;
use crate::model::time::Time;

/// How much a fire limit leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Room {
    /// How many runs may still be made now.
    pub(in crate::store) left: u32,
    /// When there is room again once these are made.
    pub(in crate::store) retry_at: Time,
}

/// What the fires of one job meet.
#[derive(Debug)]
pub(super) struct Circumstances<'c> {
    /// What to do about runs that have not ended.
    pub(super) overlap: Overlap,
    /// Whether the fires make up for missed slots, or fill in past ones.
    pub(super) chained: bool,
    /// The job's runs that have not ended, oldest first.
    pub(super) under_way: &'c [RunId],
    /// The job's limit and what it leaves, if it has one.
    pub(super) room: Option<(FireLimit, Room)>,
}

/// What becomes of a fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It becomes a run, which does not begin before that other one has ended.
    Runs {
        /// The other run.
        after: Option<RunId>,
    },
    /// Its run is canceled from the start.
    Canceled {
        /// Why.
        reason: String,
    },
}

impl Fate {
    pub(super) fn runs(&self) -> bool {
        matches!(self, Self::Runs { .. })
    }

    /// The run that has to end before this one begins.
    pub(super) fn after(&self) -> Option<&RunId> {
        match self {
            Self::Runs { after } => after.as_ref(),
            Self::Canceled { .. } => None,
        }
    }
}

/// What becomes of each fire of a job, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ruling {
    /// A fate for each.
    pub(super) fates: Vec<Fate>,
    /// Whether the runs that have not ended are to be canceled for them.
    pub(super) replaces: bool,
    /// When there is room again under the limit, if some fire met it.
    pub(super) retry_at: Option<Time>,
}

impl Ruling {
    pub(super) fn on(drafts: &[&Draft], circumstances: &Circumstances<'_>) -> Self {
        let mut ruling = Self::default();
        let mut left = circumstances.room.map(|(_, room)| room.left);
        let mut newest = circumstances.under_way.last().cloned();
        for draft in drafts {
            let fate = match draft.refused.clone().or_else(|| circumstances.skips()) {
                Some(reason) => Fate::Canceled { reason },
                None if left == Some(0) => ruling.limit(circumstances),
                None => {
                    left = left.map(|left| left - 1);
                    let waits = circumstances.overlap != Overlap::Allow;
                    let after = newest.filter(|_| waits);
                    newest = Some(draft.run.id.clone());
                    Fate::Runs { after }
                }
            };
            ruling.fates.push(fate);
        }
        ruling.replaces = ruling.fates.iter().any(Fate::runs) && circumstances.replaces();
        ruling
    }

    fn limit(&mut self, circumstances: &Circumstances<'_>) -> Fate {
        let Some((limit, room)) = circumstances.room else { return Fate::Runs { after: None } };
        self.retry_at = Some(room.retry_at);
        let FireLimit { max, window, .. } = limit;
        let window = humantime::format_duration(window);
        let reason = format!("fire limit: {max} runs in {window}; retry_at {}", room.retry_at);
        Fate::Canceled { reason }
    }
}

impl Circumstances<'_> {
    /// Why the overlap policy lets nothing fire, if it does.
    fn skips(&self) -> Option<String> {
        let newest = self.under_way.last().filter(|_| !self.chained)?;
        match self.overlap {
            Overlap::Skip => Some(format!("overlap: {newest} has not ended")),
            Overlap::Queue if self.under_way.len() > 1 => {
                Some(format!("overlap: {newest} waits already"))
            }
            Overlap::Allow | Overlap::Queue | Overlap::Replace => None,
        }
    }

    fn replaces(&self) -> bool {
        self.overlap == Overlap::Replace && !self.chained && !self.under_way.is_empty()
    }
}

#[cfg(test)]
mod tests;
