//! A webhook's request as a source component sees it, and what the component makes of it.

use std::sync::Arc;

use bytes::Bytes;

use crate::model::envelope::{Origin, Payload};
use crate::model::id::EventId;
use crate::model::name::Kind;
use crate::model::secret::{Secret, SecretRef};
use crate::model::signature::Failure;
use crate::model::time::Time;

/// A secret of an endpoint, with the name it goes by in the event's record.
#[derive(Clone, Debug)]
pub struct EndpointSecret {
    /// Where it is kept.
    pub key_ref: SecretRef,
    /// Its value.
    pub secret: Secret,
}

/// One request on an endpoint.
#[derive(Clone, Debug)]
pub struct Request {
    /// The identifier that the first event it leads to will have.
    pub id: EventId,
    /// When the host had all of it.
    pub received_at: Time,
    /// The method, in upper case.
    pub method: String,
    /// The headers, each as often as it was sent, names in lower case.
    pub headers: Vec<(String, Bytes)>,
    /// The query parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The body as it was sent, which is what senders sign.
    pub sent: Bytes,
    /// The same without its content coding.
    pub body: Bytes,
    /// The endpoint's configuration, as JSON text.
    pub config: Arc<str>,
    /// The endpoint's active secrets.
    pub secrets: Arc<[EndpointSecret]>,
}

/// What a delivery is recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// An identifier, unique for the endpoint.
    Id(String),
    /// The raw body.
    BodyHash,
}

/// One event, as far as a component may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// What happened.
    pub kind: Kind,
    /// What it carries.
    pub payload: Payload,
    /// What it is recognised by.
    pub identities: Vec<Identity>,
    /// When it happened, by the sender's word.
    pub occurred_at: Option<Time>,
}

/// An answer that the sender's protocol asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 299.
    pub status: u16,
    /// The body's media type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its events.
    Activations(Vec<Activation>),
    /// No event, but an answer.
    Reply(Reply),
}

/// Why a request is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Its signature is missing or wrong.
    Unauthorized,
    /// It is not what the source expects.
    Malformed(String),
    /// Its content type is not one that the source reads.
    UnsupportedMediaType(String),
    /// What the component makes of it is nothing that the host takes.
    Unfit(String),
}

/// What the host verified while a component read a request.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// The scheme and the secret that a signature was verified with.
    pub verified: Option<(String, SecretRef)>,
    /// What was signed beside the body: ids and timestamps.
    pub signed: String,
    /// Why verification failed, for the operator.
    pub failure: Option<Failure>,
}

/// What a source component made of a request, and what the host verified meanwhile.
#[derive(Clone, Debug)]
pub struct Received {
    /// The component's answer.
    pub answer: Result<Outcome, Rejection>,
    /// What was verified.
    pub proof: Proof,
    /// The component.
    pub origin: Origin,
}
