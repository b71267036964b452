//! `hillock agent`: who does the work.

use serde_json::{Map, Value};

use super::definition::{Column, Flags};
use crate::model::definition::DefinitionKind;

/// An agent is a name so far.
#[derive(Debug, clap::Args)]
pub struct Agent {}

impl Flags for Agent {
    const KIND: DefinitionKind = DefinitionKind::Agent;
    const COLUMNS: &'static [Column] = &[];

    fn table(&self, _patching: bool) -> Map<String, Value> {
        Map::new()
    }
}
