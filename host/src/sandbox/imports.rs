//! What the host lends to guests: log, request, verify and envelope; what templates, observers
//! and extensions have beside these is in files of its own.

mod outside;
mod state;

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use wasmtime::component::{HasSelf, Linker, Resource};

use super::bindings::{envelope, log, request, verify};
use super::guest::Guest;
use super::provenance;
use super::registry::Kind;
use super::request::{Proof, Request};
use crate::model::envelope::Envelope;
use crate::model::json;
use crate::model::secret::Secret;
use crate::model::signature::{self, Algorithm, Claim, Encoding, Failure, KeyForm};

/// How many claims a source may make of one request; each may cost a pass over the body.
const CLAIMS_MAX: u32 = 8;

type Result<T> = wasmtime::Result<T>;

/// What components of this kind may import, and nothing else.
pub(super) fn linker(engine: &wasmtime::Engine, kind: Kind) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    log::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    match kind {
        Kind::WebhookSource => {
            request::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
            verify::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
        }
        Kind::Filter => envelope::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?,
        Kind::PromptTemplate => {
            envelope::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
            provenance::link(&mut linker)?;
        }
        Kind::HookSource | Kind::PreFireHook => {}
        Kind::ObserverSource => state::link(&mut linker)?,
        Kind::ExtensionSource => {
            state::link(&mut linker)?;
            outside::link(&mut linker)?;
        }
    }
    Ok(linker)
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        self.meter.host_call()?;
        let line = self.meter.log_line(&message)?;
        let component = self.component.as_str();
        match level {
            log::Level::Debug => tracing::debug!(target: "hillock::guest", component, "{line}"),
            log::Level::Info => tracing::info!(target: "hillock::guest", component, "{line}"),
            log::Level::Warn => tracing::warn!(target: "hillock::guest", component, "{line}"),
            log::Level::Error => tracing::error!(target: "hillock::guest", component, "{line}"),
        }
        Ok(())
    }
}

/// A request in a guest's hands, with what was verified of it.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Incoming {
    pub(super) request: Request,
    pub(super) proof: Proof,
    claims: u32,
    json: OnceLock<std::result::Result<Value, request::BodyError>>,
}

impl Incoming {
    pub(super) fn new(request: Request) -> Self {
        Self { request, proof: Proof::default(), claims: 0, json: OnceLock::new() }
    }

    /// The body as JSON, parsed when it is first asked for.
    fn json(&self) -> std::result::Result<&Value, request::BodyError> {
        let parse = || match &self.request.body {
            body if body.is_empty() => Err(request::BodyError::Empty),
            body => json::parse(body).map_err(|_| request::BodyError::NotJson),
        };
        self.json.get_or_init(parse).as_ref().map_err(|error| *error)
    }

    fn header(&self, name: &str) -> std::result::Result<Option<String>, request::HeaderError> {
        let mut found = self.request.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let Some((_, value)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(request::HeaderError::Repeated);
        }
        let text = std::str::from_utf8(value).map_err(|_| request::HeaderError::NotText)?;
        Ok(Some(text.to_owned()))
    }

    /// Holds a claim against the secrets. Whatever failed once in a call stays failed, and what a
    /// few claims cannot show, more of them will not.
    fn check(&mut self, claim: &verify::Claim) -> std::result::Result<(), Failure> {
        self.claims += 1;
        if self.claims > CLAIMS_MAX {
            self.proof = Proof { failure: Some(Failure::Malformed), ..Proof::default() };
        }
        if let Some(failure) = self.proof.failure.filter(|failure| *failure != Failure::NoSecret) {
            return Err(failure);
        }
        let secrets: Vec<Secret> =
            self.request.secrets.iter().map(|known| known.secret.clone()).collect();
        match signature::check(&claim_on(claim, &self.request.sent), &secrets, self.at()) {
            Ok(index) => {
                let key_ref = self.request.secrets[index].key_ref.clone();
                self.proof.verified = Some((claim.scheme.clone(), key_ref));
                self.proof.signed = texts(claim);
                Ok(())
            }
            Err(failure) => {
                self.proof.failure = Some(failure);
                if failure != Failure::NoSecret {
                    self.proof.verified = None;
                    self.proof.signed.clear();
                }
                Err(failure)
            }
        }
    }

    fn at(&self) -> crate::model::time::Time {
        self.request.received_at
    }
}

/// The parts of a claim's message that are not the body.
fn texts(claim: &verify::Claim) -> String {
    let texts = claim.message.iter().filter_map(|part| match part {
        verify::Part::Text(text) => Some(text.as_str()),
        verify::Part::Body => None,
    });
    texts.collect()
}

fn claim_on<'m>(claim: &'m verify::Claim, body: &'m [u8]) -> Claim<'m> {
    let part = |part: &'m verify::Part| match part {
        verify::Part::Text(text) => text.as_bytes(),
        verify::Part::Body => body,
    };
    Claim {
        algorithm: match claim.algorithm {
            verify::Algorithm::HmacSha256 => Algorithm::HmacSha256,
            verify::Algorithm::HmacSha1 => Algorithm::HmacSha1,
            verify::Algorithm::Ed25519 => Algorithm::Ed25519,
            verify::Algorithm::Equal => Algorithm::Equal,
        },
        message: claim.message.iter().map(part).collect(),
        signatures: &claim.signatures,
        encoding: match claim.encoding {
            verify::Encoding::Hex => Encoding::Hex,
            verify::Encoding::Base64 => Encoding::Base64,
            verify::Encoding::Plain => Encoding::Plain,
        },
        timestamp: claim.timestamp,
        tolerance: claim.tolerance.map(|secs| Duration::from_secs(secs.into())),
        key_form: match claim.key_form {
            verify::KeyForm::Plain => KeyForm::Plain,
            verify::KeyForm::Whsec => KeyForm::Whsec,
            verify::KeyForm::Whpk => KeyForm::Whpk,
        },
    }
}

impl request::Host for Guest {}

impl request::HostIncoming for Guest {
    fn method(&mut self, this: Resource<Incoming>) -> Result<String> {
        Ok(self.incoming(&this)?.request.method.clone())
    }

    fn header(
        &mut self,
        this: Resource<Incoming>,
        name: String,
    ) -> Result<std::result::Result<Option<String>, request::HeaderError>> {
        Ok(self.incoming(&this)?.header(&name))
    }

    fn content_type(&mut self, this: Resource<Incoming>) -> Result<Option<String>> {
        let value = self.incoming(&this)?.header("content-type").ok().flatten();
        let media_type =
            |value: String| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Ok(value.map(media_type))
    }

    fn query(&mut self, this: Resource<Incoming>, name: String) -> Result<Option<String>> {
        let query = &self.incoming(&this)?.request.query;
        Ok(query.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()))
    }

    fn received_at(&mut self, this: Resource<Incoming>) -> Result<u64> {
        Ok(u64::try_from(self.incoming(&this)?.at().as_millis()).unwrap_or(0))
    }

    fn body_size(&mut self, this: Resource<Incoming>) -> Result<u64> {
        Ok(self.incoming(&this)?.request.body.len() as u64)
    }

    fn body(&mut self, this: Resource<Incoming>) -> Result<Vec<u8>> {
        Ok(self.incoming(&this)?.request.body.to_vec())
    }

    fn field(
        &mut self,
        this: Resource<Incoming>,
        path: String,
    ) -> Result<std::result::Result<Option<String>, request::BodyError>> {
        let json = self.incoming(&this)?.json();
        Ok(json.map(|json| json::at(json, &path).map(Value::to_string)))
    }

    fn text(
        &mut self,
        this: Resource<Incoming>,
        path: String,
    ) -> Result<std::result::Result<Option<String>, request::BodyError>> {
        let json = self.incoming(&this)?.json();
        let scalar = |json| json::scalar_text(json::at(json, &path)?).map(|text| text.into_owned());
        Ok(json.map(scalar))
    }

    fn config(&mut self, this: Resource<Incoming>) -> Result<String> {
        Ok(self.incoming(&this)?.request.config.to_string())
    }

    fn drop(&mut self, this: Resource<Incoming>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl verify::Host for Guest {
    fn check(
        &mut self,
        request: Resource<Incoming>,
        claim: verify::Claim,
    ) -> Result<std::result::Result<(), verify::Failure>> {
        self.meter.host_call()?;
        let checked = self.table.get_mut(&request)?.check(&claim);
        Ok(checked.map_err(|failure| match failure {
            Failure::Mismatch => verify::Failure::Mismatch,
            Failure::Stale => verify::Failure::Stale,
            Failure::NoSecret => verify::Failure::NoSecret,
            Failure::Malformed => verify::Failure::Malformed,
        }))
    }
}

impl envelope::Host for Guest {}

impl envelope::HostEvent for Guest {
    fn get(&mut self, this: Resource<Envelope>, path: String) -> Result<Option<String>> {
        self.provenance.reads(&path);
        Ok(self.event(&this)?.at(&path).map(|value| value.to_string()))
    }

    fn text(&mut self, this: Resource<Envelope>, path: String) -> Result<Option<String>> {
        self.provenance.reads(&path);
        Ok(self.event(&this)?.text_at(&path))
    }

    fn json(&mut self, this: Resource<Envelope>) -> Result<String> {
        self.provenance.reads_all();
        Ok(self.event(&this)?.to_json().to_string())
    }

    fn drop(&mut self, this: Resource<Envelope>) -> Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl Guest {
    fn incoming(&mut self, this: &Resource<Incoming>) -> Result<&Incoming> {
        self.meter.host_call()?;
        Ok(self.table.get(this)?)
    }

    fn event(&mut self, this: &Resource<Envelope>) -> Result<&Envelope> {
        self.meter.host_call()?;
        Ok(self.table.get(this)?)
    }
}
