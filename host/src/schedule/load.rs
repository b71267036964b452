//! How much goes into one transaction: prompts may be long, and all of a transaction is in memory.

use crate::store::schedules::{Draft, JobTurn};

/// About how many bytes go into one transaction; a single item that is larger goes alone.
const LOAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// About what a run takes beside its prompt.
const RUN_BYTES: usize = 1024;

/// The bytes of a turn.
pub(super) fn of_turn(turn: &JobTurn) -> usize {
    turn.drafts.iter().map(of_draft).sum()
}

/// The bytes of a draft.
pub(super) fn of_draft(draft: &Draft) -> usize {
    RUN_BYTES + draft.run.prompt.len()
}

/// The items in their order, in loads.
pub(super) fn split<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut loads: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for item in items {
        let size = bytes(&item);
        match loads.last_mut() {
            Some(load) if size <= room => {
                room -= size;
                load.push(item);
            }
            _ => {
                room = LOAD_BYTES_MAX.saturating_sub(size);
                loads.push(vec![item]);
            }
        }
    }
    loads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_keep_the_order_and_their_size() {
        const HALF: usize = LOAD_BYTES_MAX / 2;
        for (sizes, wanted) in [
            (vec![], vec![]),
            (vec![1, 2, 3], vec![vec![1, 2, 3]]),
            (vec![HALF, HALF, 1], vec![vec![HALF, HALF], vec![1]]),
            (vec![1, 3 * HALF, 1], vec![vec![1], vec![3 * HALF], vec![1]]),
        ] {
            assert_eq!(split(sizes.clone(), |size| *size), wanted, "{sizes:?}");
        }
    }
}
