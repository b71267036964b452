//! The queue: who gets which command.

use std::collections::BTreeSet;

use hillock::model::definition::Agent;

use super::fixture::{agent, at, claim, open, scheduled, scope, tokens, worker};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    the_oldest_goes_first,
    a_claim_takes_as_many_as_it_has_room_for,
    commands_go_to_their_own_agent_only,
    eight_claimants_never_share_a_command,
);

async fn the_oldest_goes_first(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let mut made = vec![];
    for _ in 0..5 {
        made.push(scheduled(&store, &agent).await);
    }
    for wanted in made {
        assert_eq!(claim(&store, &worker(), &agent, at(10)).await.unwrap().run_id, wanted);
    }
    assert!(claim(&store, &worker(), &agent, at(10)).await.is_none());
}

async fn a_claim_takes_as_many_as_it_has_room_for(database: Database) {
    let store = open(&database).await;
    let (one, two) = (agent(), agent());
    let made = [scheduled(&store, &one).await, scheduled(&store, &two).await];
    let third = scheduled(&store, &one).await;
    let both = [one, two];
    for (room, wanted) in [(0, vec![]), (2, made.to_vec()), (5, vec![third]), (5, vec![])] {
        let claims = claims::claim(&store, &worker(), &both, tokens(room), u32::MAX, at(10)).await;
        let claimed: Vec<_> = claims.into_iter().map(|claim| claim.run_id).collect();
        assert_eq!(claimed, wanted, "room for {room}");
    }
    let nobody = claims::claim(&store, &worker(), &[], tokens(1), u32::MAX, at(10)).await;
    assert!(nobody.is_empty());
}

async fn commands_go_to_their_own_agent_only(database: Database) {
    let store = open(&database).await;
    let mine = Agent { scope: scope("acme"), name: "triager".parse().unwrap() };
    scheduled(&store, &mine).await;
    for (workspace, name) in [("", "triager"), ("umbrella", "triager"), ("acme", "reviewer")] {
        let other = Agent { scope: scope(workspace), name: name.parse().unwrap() };
        assert!(claim(&store, &worker(), &other, at(10)).await.is_none(), "{other:?}");
    }
    let claim = claim(&store, &worker(), &mine, at(10)).await.unwrap();
    assert_eq!((claim.scope, claim.agent), (mine.scope, mine.name));
}

async fn eight_claimants_never_share_a_command(database: Database) {
    const COMMANDS: usize = 60;
    let store = open(&database).await;
    let agent = agent();
    let mut made = BTreeSet::new();
    for _ in 0..COMMANDS {
        made.insert(scheduled(&store, &agent).await);
    }
    let claimants = (0..8).map(async |_| {
        let (worker, agents) = (worker(), std::slice::from_ref(&agent));
        let mut claimed = vec![];
        loop {
            let claims = claims::claim(&store, &worker, agents, tokens(3), u32::MAX, at(10)).await;
            if claims.is_empty() {
                return claimed;
            }
            claimed.extend(claims.into_iter().map(|claim| claim.run_id));
        }
    });
    let claimed = futures_util::future::join_all(claimants).await.concat();
    assert_eq!(claimed.len(), COMMANDS);
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), made);
}
