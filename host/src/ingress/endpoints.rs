//! The endpoints that are open, by the addresses under which senders find them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::secrets;
use crate::model::definition::{BODY_BYTES_MAX, Definitions, Endpoint};
use crate::model::id::WebhookId;
use crate::model::name::Slug;
use crate::model::problem::Problems;
use crate::model::scope::Scope;
use crate::model::secret::{Secret, SecretRef};
use crate::sandbox::EndpointSecret;

/// The path of a webhook request, behind `/webhooks/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `{slug}` or `{workspace}/{slug}`.
    Slug(Scope, Slug),
    /// `{webhook_id}`.
    Id(WebhookId),
}

impl Address {
    /// The address that these segments make; none when they make no address.
    pub fn parse(workspace: Option<&str>, last: &str) -> Option<Self> {
        match (workspace, last.parse()) {
            (None, Ok(id)) => Some(Self::Id(id)),
            (None, Err(_)) => Some(Self::Slug(Scope::Global, last.parse().ok()?)),
            (Some(name), _) => {
                Some(Self::Slug(Scope::Workspace(name.parse().ok()?), last.parse().ok()?))
            }
        }
    }
}

/// An endpoint with its secrets at hand.
#[derive(Debug)]
pub struct OpenEndpoint {
    pub(super) definition: Endpoint,
    pub(super) secrets: Arc<[EndpointSecret]>,
    pub(super) config: Arc<str>,
}

impl OpenEndpoint {
    /// The greatest body it accepts, in bytes.
    pub fn body_bytes_max(&self) -> usize {
        self.definition.body_bytes_max
    }
}

/// All open endpoints, and one that nobody can open.
#[derive(Debug)]
pub struct Endpoints {
    open: HashMap<Address, Arc<OpenEndpoint>>,
    decoy: Arc<OpenEndpoint>,
}

impl Endpoints {
    /// Opens the enabled endpoints.
    ///
    /// # Errors
    /// When a secret is not where its reference says; all such secrets.
    pub fn open(definitions: &Definitions, clock: Clock) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut open = HashMap::new();
        for (i, definition) in definitions.endpoints.iter().enumerate() {
            let path = format!("endpoints[{i}].secret_ref");
            let secrets = definition.secrets.iter().filter_map(|key_ref| {
                let secret = problems.take(&path, secrets::read(key_ref))?;
                Some(EndpointSecret { key_ref: key_ref.clone(), secret })
            });
            let endpoint = Arc::new(OpenEndpoint {
                secrets: secrets.collect(),
                config: definition.config.as_str().into(),
                definition: definition.clone(),
            });
            if definition.enabled {
                let slug = Address::Slug(definition.scope.clone(), definition.slug.clone());
                open.insert(Address::Id(definition.id.clone()), Arc::clone(&endpoint));
                open.insert(slug, endpoint);
            }
        }
        let decoy = decoy(clock).map_err(|reason| {
            let mut problems = Problems::default();
            problems.add("endpoints", reason);
            problems
        })?;
        problems.unless_any(Self { open, decoy: Arc::new(decoy) })
    }

    /// The endpoint at an address.
    pub fn find(&self, address: &Address) -> Option<&Arc<OpenEndpoint>> {
        self.open.get(address)
    }

    /// What a request on an unknown endpoint is checked against, so that it takes as long as a
    /// wrong signature does.
    pub(super) fn decoy(&self) -> &OpenEndpoint {
        &self.decoy
    }
}

fn decoy(clock: Clock) -> Result<OpenEndpoint, String> {
    let text = |error: crate::model::name::InvalidName| error.to_string();
    let slug: Slug = "decoy".parse().map_err(text)?;
    let secret = Secret::new(clock.random::<32>().to_vec()).ok_or("no randomness")?;
    let key_ref = SecretRef::Env("none".to_owned());
    Ok(OpenEndpoint {
        secrets: Arc::new([EndpointSecret { key_ref, secret }]),
        config: "{}".into(),
        definition: Endpoint {
            id: WebhookId::derive(&Scope::Global, "decoy/none"),
            scope: Scope::Global,
            slug,
            source: "github".parse().map_err(text)?,
            secrets: Vec::new(),
            body_bytes_max: BODY_BYTES_MAX,
            enabled: true,
            config: "{}".to_owned(),
        },
    })
}
