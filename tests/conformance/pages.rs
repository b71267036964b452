//! Pages: newest first, complete, without repeats while rows are added.

use hillock::model::scope::Scope;
use hillock::store::events::{self, EventFilter, accept};
use hillock::store::{Page, PageRequest};

use super::fixture::{accepted, delivery, event, open};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(pages_follow_each_other, a_page_has_its_bounds);

async fn pages_follow_each_other(database: Database) {
    let store = open(&database).await;
    let mut made = vec![];
    for _ in 0..5 {
        made.insert(0, accepted(&store, event()).await);
    }
    let mut cursor: Option<String> = None;
    for wanted in [&made[..2], &made[2..4], &made[4..]] {
        let request = PageRequest::new(2, cursor.as_deref()).unwrap();
        let filter = EventFilter::default();
        let page = events::list(&store, &Scope::Global, &filter, request).await.unwrap();
        let Page { items, next_cursor } = page;
        assert_eq!(items.into_iter().map(|event| event.id).collect::<Vec<_>>(), wanted);
        cursor = next_cursor;
        accepted(&store, event()).await;
    }
    assert_eq!(cursor, None);
}

async fn a_page_has_its_bounds(database: Database) {
    let store = open(&database).await;
    let many = (0..201).map(|_| delivery(event(), &[])).collect();
    accept(&store, many).await.unwrap();
    for (limit, wanted) in [(0, 1), (1, 1), (200, 200), (u32::MAX, 200)] {
        let request = PageRequest::new(limit, None).unwrap();
        let filter = EventFilter::default();
        let page = events::list(&store, &Scope::Global, &filter, request).await.unwrap();
        assert_eq!((page.items.len(), page.next_cursor.is_some()), (wanted, true), "{limit}");
    }
    for bad in ["", "next", "0x10", "ffffffffffffffffff"] {
        assert!(PageRequest::new(10, Some(bad)).is_err(), "{bad}");
    }
}
