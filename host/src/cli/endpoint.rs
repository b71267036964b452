//! `hillock endpoint`: where webhooks arrive.

use serde_json::{Map, Value};

use super::definition::{Column, Flags, note};
use crate::model::definition::DefinitionKind;
use crate::model::name::Name;
use crate::model::secret::SecretRef;

/// The flags of an endpoint.
#[derive(Debug, clap::Args)]
pub struct Endpoint {
    /// The source component that verifies and translates requests [default: generic].
    #[arg(long)]
    source: Option<Name>,
    /// Where the signing secret is: env:NAME or file:PATH.
    #[arg(long, value_name = "env:NAME|file:PATH")]
    secret_ref: Option<SecretRef>,
    /// Accept requests without a signature, from anybody.
    #[arg(long, conflicts_with = "secret_ref")]
    unverified: bool,
}

impl Flags for Endpoint {
    const KIND: DefinitionKind = DefinitionKind::Endpoint;
    const COLUMNS: &'static [Column] = &[
        Column { heading: "READ BY", cell: |endpoint| endpoint.word_or("source", "generic") },
        Column {
            heading: "VERIFIED",
            cell: |endpoint| {
                let word = if endpoint.says("verification") { "no" } else { "yes" };
                word.to_owned()
            },
        },
    ];

    fn table(&self, _patching: bool) -> Map<String, Value> {
        let mut table = Map::new();
        note(&mut table, "source", self.source.as_ref().map(Name::as_str));
        note(&mut table, "secret_ref", self.secret_ref.as_ref().map(SecretRef::to_string));
        note(&mut table, "verification", self.unverified.then_some("none"));
        table
    }
}
