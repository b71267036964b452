//! `hillock extension`: components that poll something outside.

use serde_json::{Map, Value};

use super::definition::{Column, Flags, note};
use crate::model::definition::DefinitionKind;
use crate::model::name::Name;

/// The flags of an extension.
#[derive(Debug, clap::Args)]
pub struct Extension {
    /// The component [default: the one of the extension's own name].
    #[arg(long, value_name = "NAME")]
    component: Option<Name>,
    /// How often it polls, such as 5m.
    #[arg(long, value_name = "DURATION")]
    interval: Option<String>,
}

impl Flags for Extension {
    const KIND: DefinitionKind = DefinitionKind::Extension;
    const COLUMNS: &'static [Column] = &[
        Column { heading: "COMPONENT", cell: |extension| extension.word("component") },
        Column { heading: "INTERVAL", cell: |extension| extension.word("interval") },
    ];

    fn table(&self, _patching: bool) -> Map<String, Value> {
        let mut table = Map::new();
        note(&mut table, "component", self.component.as_ref().map(Name::as_str));
        note(&mut table, "interval", self.interval.as_deref());
        table
    }
}
