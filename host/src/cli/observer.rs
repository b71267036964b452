//! `hillock observer`: components that are told of what the host watches.

use serde_json::{Map, Value};

use super::definition::{Column, Flags, note};
use crate::model::definition::DefinitionKind;
use crate::model::name::Name;

/// The flags of an observer.
#[derive(Debug, clap::Args)]
pub struct Observer {
    /// What to watch: files, queue or runs.
    #[arg(long, value_name = "WHAT")]
    watch: Option<String>,
    /// A folder to watch for file changes. Repeatable.
    #[arg(long = "folder", value_name = "DIR")]
    folders: Vec<String>,
    /// The component to call [default: watch].
    #[arg(long, value_name = "NAME")]
    component: Option<Name>,
}

impl Flags for Observer {
    const KIND: DefinitionKind = DefinitionKind::Observer;
    const COLUMNS: &'static [Column] = &[
        Column { heading: "WATCHES", cell: |observer| observer.word("watch") },
        Column { heading: "COMPONENT", cell: |observer| observer.word_or("component", "watch") },
    ];

    fn table(&self, _patching: bool) -> Map<String, Value> {
        let mut table = Map::new();
        note(&mut table, "watch", self.watch.as_deref());
        note(&mut table, "folders", (!self.folders.is_empty()).then(|| self.folders.clone()));
        note(&mut table, "component", self.component.as_ref().map(Name::as_str));
        table
    }
}
