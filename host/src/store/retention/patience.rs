//! Triggers and jobs whose fire limit looks further back than runs are kept: what it counts stays.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::sql::{Reader, Row};
use super::super::{Store, StoreError};
use crate::model::time::Time;

const SELECT_LIMITED: &str = "\
SELECT id, spec
  FROM definitions
 WHERE kind IN ('trigger', 'job')
   AND spec LIKE '%\"fire_limit\"%'";

/// The windows of fire limits, by trigger or job.
#[derive(Clone, Debug, Default)]
pub struct Patient(Vec<(String, Duration)>);

impl Patient {
    /// Since when the runs of each are counted, as a statement takes it.
    pub(super) fn since(&self, now: Time) -> String {
        let row = |(id, window): &(String, Duration)| json!({ "id": id, "since": (now - *window).as_millis() });
        Value::from_iter(self.0.iter().map(row)).to_string()
    }
}

/// The triggers and jobs whose limit says a window.
///
/// # Errors
/// When the store fails.
pub async fn patient(store: &Store) -> Result<Patient, StoreError> {
    let rows = store.read("read_fire_limits", SELECT_LIMITED, &[]).await?;
    Ok(Patient(
        rows.iter().map(window).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
    ))
}

fn window(row: &Row) -> Result<Option<(String, Duration)>, StoreError> {
    let r = Reader::new("definitions", row);
    let spec: Value = r.json("spec")?;
    let window = spec["fire_limit"]["window"].as_str();
    let window = window.and_then(|text| humantime::parse_duration(text).ok());
    window.map(|window| Ok((r.get("id")?, window))).transpose()
}
