use std::time::Duration;

use super::*;
use crate::model::content::Content;
use crate::model::definition::{Over, Priority, Retry};
use crate::model::id::{CommandId, JobId};
use crate::model::run::{NewRun, Owner, Stages, Terms};
use crate::model::scope::Scope;

/// How many fires there are, how many runs are under way, how much room there is, and what becomes
/// of them: `go` at once, `after` run number n (fires are numbered on from those under way), or why
/// not. `!` stands where what is under way is replaced.
type Row = (Overlap, bool, usize, usize, Option<u32>, &'static str);
const TICK: bool = false;
const CHAIN: bool = true;

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (Overlap::Allow,   TICK,  1, 0, None,    "go"),
    (Overlap::Allow,   TICK,  1, 5, None,    "go"),
    (Overlap::Allow,   CHAIN, 3, 2, None,    "go, go, go"),
    (Overlap::Skip,    TICK,  1, 0, None,    "go"),
    (Overlap::Skip,    TICK,  1, 1, None,    "overlap"),
    (Overlap::Skip,    TICK,  1, 3, None,    "overlap"),
    (Overlap::Skip,    CHAIN, 3, 0, None,    "go, after 0, after 1"),
    (Overlap::Skip,    CHAIN, 2, 2, None,    "after 1, after 2"),
    (Overlap::Queue,   TICK,  1, 0, None,    "go"),
    (Overlap::Queue,   TICK,  1, 1, None,    "after 0"),
    (Overlap::Queue,   TICK,  1, 2, None,    "overlap"),
    (Overlap::Queue,   CHAIN, 2, 2, None,    "after 1, after 2"),
    (Overlap::Replace, TICK,  1, 0, None,    "go"),
    (Overlap::Replace, TICK,  1, 1, None,    "after 0!"),
    (Overlap::Replace, TICK,  1, 2, None,    "after 1!"),
    (Overlap::Replace, CHAIN, 2, 1, None,    "after 0, after 1"),
    (Overlap::Allow,   TICK,  1, 0, Some(1), "go"),
    (Overlap::Allow,   TICK,  1, 0, Some(0), "limit"),
    (Overlap::Allow,   CHAIN, 3, 0, Some(2), "go, go, limit"),
    (Overlap::Skip,    CHAIN, 3, 1, Some(2), "after 0, after 1, limit"),
    // What cannot run replaces nothing, and what is skipped does not count.
    (Overlap::Replace, TICK,  1, 1, Some(0), "limit"),
    (Overlap::Skip,    TICK,  1, 1, Some(0), "overlap"),
];

#[test]
fn fates_are_as_the_table_says() {
    for (overlap, chained, fires, under_way, left, wanted) in TABLE {
        let ids: Vec<RunId> = (0..under_way + fires).map(run_id).collect();
        let drafts: Vec<Draft> = ids[*under_way..].iter().map(|id| draft(id, None)).collect();
        let circumstances = Circumstances {
            overlap: *overlap,
            chained: *chained,
            under_way: &ids[..*under_way],
            room: left.map(|left| (LIMIT, Room { left, retry_at: retry_at() })),
        };
        let ruling = Ruling::on(&drafts.iter().collect::<Vec<_>>(), &circumstances);
        let shown = shown(&ruling, &ids);
        assert_eq!(shown, *wanted, "{overlap:?} of {fires} beside {under_way}, room {left:?}");
        let limited = wanted.contains("limit");
        assert_eq!(ruling.retry_at, limited.then(retry_at), "{wanted}");
    }
}

#[test]
fn what_is_refused_takes_no_room_and_replaces_nothing() {
    let ids: Vec<RunId> = (0..3).map(run_id).collect();
    let drafts = [draft(&ids[1], Some("not today")), draft(&ids[2], None)];
    let on = |drafts: &[&Draft], overlap| {
        let room = Some((LIMIT, Room { left: 1, retry_at: retry_at() }));
        let circumstances = Circumstances { overlap, chained: true, under_way: &ids[..1], room };
        Ruling::on(drafts, &circumstances)
    };
    let ruling = on(&[&drafts[0], &drafts[1]], Overlap::Skip);
    assert_eq!(ruling.fates[0], Fate::Canceled { reason: "not today".to_owned() });
    assert_eq!(ruling.fates[1], Fate::Runs { after: Some(ids[0].clone()) });
    assert!(!on(&[&drafts[0]], Overlap::Replace).replaces);
}

#[test]
fn reasons_name_what_stands_in_the_way() {
    let ids: Vec<RunId> = (0..2).map(run_id).collect();
    let draft = draft(&ids[1], None);
    let reason = |under_way, left| {
        let room = Some((LIMIT, Room { left, retry_at: retry_at() }));
        let circumstances =
            Circumstances { overlap: Overlap::Skip, chained: false, under_way, room };
        match Ruling::on(&[&draft], &circumstances).fates.remove(0) {
            Fate::Canceled { reason } => reason,
            fate => panic!("{fate:?}"),
        }
    };
    assert_eq!(reason(&ids[..1], 1), format!("overlap: {} has not ended", ids[0]));
    let limited = format!("fire limit: 12 runs in 1h; retry_at {}", retry_at());
    assert_eq!(reason(&[], 0), limited);
}

const LIMIT: FireLimit =
    FireLimit { max: 12, window: Duration::from_secs(3600), over: Over::Defer };

fn retry_at() -> Time {
    Time::EPOCH + Duration::from_secs(7200)
}

fn run_id(n: usize) -> RunId {
    RunId::mint(Time::EPOCH, [u8::try_from(n).unwrap(); 10])
}

fn draft(id: &RunId, refused: Option<&str>) -> Draft {
    let scope = Scope::Global;
    let run = NewRun {
        id: id.clone(),
        owner: Owner::Job { id: JobId::derive(&scope, "job"), name: "job".parse().unwrap() },
        scope,
        event_id: None,
        fire: None,
        agent: "agent".parse().unwrap(),
        prompt: "work".to_owned(),
        content: Content::Trusted,
        task: None,
        priority: Priority::Normal,
        retry: Retry::None,
        depth: 0,
        causes: vec![],
        stages: Stages::default(),
        terms: Terms::default(),
        created_at: Time::EPOCH,
    };
    let command_id = CommandId::mint(Time::EPOCH, [0; 10]);
    Draft { run, command_id, delegation: None, refused: refused.map(str::to_owned) }
}

fn shown(ruling: &Ruling, ids: &[RunId]) -> String {
    let number = |id: &RunId| ids.iter().position(|known| known == id).unwrap();
    let fate = |fate: &Fate| match fate {
        Fate::Runs { after: None } => "go".to_owned(),
        Fate::Runs { after: Some(id) } => format!("after {}", number(id)),
        Fate::Canceled { reason } if reason.starts_with("overlap") => "overlap".to_owned(),
        Fate::Canceled { .. } => "limit".to_owned(),
    };
    let fates: Vec<String> = ruling.fates.iter().map(fate).collect();
    fates.join(", ") + if ruling.replaces { "!" } else { "" }
}
