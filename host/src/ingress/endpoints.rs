//! The endpoints that are open, by the addresses under which senders find them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::secrets::{self, SecretError};
use crate::model::definition::{BODY_BYTES_MAX, Definitions, Endpoint, Replay};
use crate::model::id::WebhookId;
use crate::model::name::Slug;
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

/// What a sender finds at an address.
#[derive(Clone, Debug)]
pub enum EndpointState {
    /// An endpoint.
    Open(Arc<OpenEndpoint>),
    /// An endpoint whose secret is not where this host looks for it: nothing can be verified.
    Shut,
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

/// All enabled endpoints.
#[derive(Debug, Default)]
pub(super) struct Endpoints(HashMap<Address, EndpointState>);

impl Endpoints {
    /// Opens the enabled endpoints. One whose secret is not where its reference says stays shut.
    pub(super) fn open(definitions: &Definitions) -> Self {
        let mut doors = HashMap::new();
        for definition in definitions.endpoints.iter().filter(|endpoint| endpoint.enabled) {
            let door = open_one(definition).map_or_else(
                |error| {
                    let slug = &definition.slug;
                    tracing::error!(
                        endpoint = %slug, %error,
                        "endpoint disabled: it cannot be opened"
                    );
                    EndpointState::Shut
                },
                |endpoint| EndpointState::Open(Arc::new(endpoint)),
            );
            let slug = Address::Slug(definition.scope.clone(), definition.slug.clone());
            doors.insert(Address::Id(definition.id.clone()), door.clone());
            doors.insert(slug, door);
        }
        Self(doors)
    }

    /// What is at an address.
    pub(super) fn find(&self, address: &Address) -> Option<EndpointState> {
        self.0.get(address).cloned()
    }
}

fn open_one(definition: &Endpoint) -> Result<OpenEndpoint, SecretError> {
    let secret = |key_ref: &SecretRef| {
        let secret = secrets::read(key_ref)?;
        Ok(EndpointSecret { key_ref: key_ref.clone(), secret })
    };
    Ok(OpenEndpoint {
        secrets: definition.secrets.iter().map(secret).collect::<Result<_, _>>()?,
        config: definition.config.as_str().into(),
        definition: definition.clone(),
    })
}

/// What a request on an unknown endpoint is checked against, so that it takes as long as a wrong
/// signature does.
pub(super) fn decoy(clock: Clock) -> Result<OpenEndpoint, String> {
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
            replay: Replay::default(),
            owner: None,
        },
    })
}
