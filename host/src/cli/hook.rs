//! `hillock hook`: components at points of the host's own life.

use serde_json::{Map, Value};

use super::definition::{Column, Flags, note};
use crate::model::definition::{DefinitionKind, Point};
use crate::model::name::Name;

/// The flags of a hook.
#[derive(Debug, clap::Args)]
pub struct Hook {
    /// A lifecycle point: `run.failed`, `job.pre_fire` …. Repeatable.
    #[arg(long = "point", value_name = "POINT")]
    points: Vec<Point>,
    /// The component to call.
    #[arg(long, value_name = "NAME")]
    component: Option<Name>,
}

impl Flags for Hook {
    const KIND: DefinitionKind = DefinitionKind::Hook;
    const COLUMNS: &'static [Column] = &[
        Column { heading: "POINTS", cell: |hook| hook.word("points") },
        Column { heading: "COMPONENT", cell: |hook| hook.word("component") },
    ];

    fn table(&self, _patching: bool) -> Map<String, Value> {
        let mut table = Map::new();
        let points: Vec<&str> = self.points.iter().map(|point| point.as_str()).collect();
        note(&mut table, "points", (!points.is_empty()).then_some(points));
        note(&mut table, "component", self.component.as_ref().map(Name::as_str));
        table
    }
}
