//! The one place through which extension components reach the network.
//!
//! ```text
//!   request ─► validate ─► grant? ─► resolve ─► every address public? ─► connect to one of these
//!                 ▲                                                            │
//!                 └──────────── redirect: as if it were a new request ◄────────┘
//! ```
//! Nothing is reached that no grant names; a denial says which line would allow it. A name is
//! resolved once a hop, here, and the connection goes to an address that was looked at: an answer
//! that changes in between changes nothing. One address that is not public refuses the whole name,
//! unless its grant says `private = true`: a name that is half inside is not one to guess about.
//! Certificates are checked against the name.
//!
//! Redirects are followed here, at most five, never from HTTPS to HTTP, and each hop needs a grant
//! of its own. A credential is the grant's: it is put on the hop that the grant allows and carried
//! nowhere. What a guest sets goes to the origin it named; another origin gets only what says
//! nothing of the guest ([`request`]).
//!
//! Cookies do not exist: none are sent, kept, or handed to the guest. Bodies are not decompressed,
//! and servers are asked not to compress. No proxy is used, whatever the environment says.

mod error;
mod network;
mod request;
mod response;

use std::cmp::Reverse;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::header::{HeaderName, HeaderValue};
use tokio::time::timeout;

pub use error::{EgressError, InvalidRequest};
pub use network::{Network, NetworkError, Resolve, Resolving, System};
pub use request::Request;
pub use response::Response;

use crate::model::egress::{Credential, Grant, Grants, address};
use crate::model::name::Name;
use crate::model::problem::Problems;
use crate::model::secret::{Secret, SecretRef};
use request::Hop;

/// How many redirects are followed.
const REDIRECTS_MAX: usize = 5;

/// A credential, ready to be put on a request.
type Injected = (HeaderName, HeaderValue);

/// What one extension can reach.
#[derive(Debug)]
pub struct Egress {
    network: Arc<Network>,
    grants: Grants<Option<Injected>>,
    /// The longest first, so that one that is part of another does not spoil its redaction.
    secrets: Vec<Secret>,
}

impl Egress {
    /// The way out of an extension, with the secrets of its grants read by `secret`.
    ///
    /// # Errors
    /// Every secret that cannot be read or cannot stand in a header, by paths such as
    /// `grants[0].credential.secret_ref`.
    pub fn new<E: Display>(
        network: Arc<Network>,
        extension: Name,
        grants: Vec<Grant>,
        secret: impl Fn(&SecretRef) -> Result<Secret, E>,
    ) -> Result<Self, Problems> {
        let (mut problems, mut secrets, mut opened) = (Problems::default(), vec![], vec![]);
        for (i, grant) in grants.into_iter().enumerate() {
            let path = format!("grants[{i}].credential.secret_ref");
            let injected = grant.credential.as_ref().and_then(|credential| {
                let secret = problems.take(&path, secret(&credential.secret_ref))?;
                let injected = problems.take(&path, inject(credential, &secret));
                secrets.push(secret);
                injected
            });
            opened.push((grant, injected));
        }
        secrets.sort_by_key(|secret| Reverse(secret.expose().len()));
        problems.unless_any(Self { network, grants: Grants::new(extension, opened), secrets })
    }

    /// Makes a request and follows where it leads.
    ///
    /// # Errors
    /// When the request is malformed or not granted, or there is no answer within the limits. A
    /// status is not an error.
    pub async fn fetch(&self, request: Request) -> Result<Response, EgressError> {
        let hop = Hop::parse(request)?;
        if let (_, Some((name, _))) = self.grants.find(hop.method, &hop.url)? {
            hop.refuse(name)?;
        }
        let limit = self.network.limits().time;
        let mut response = match timeout(limit, self.follow(hop)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(EgressError::TimedOut { limit }),
        };
        self.secrets.iter().for_each(|secret| response.redact(secret));
        Ok(response)
    }

    async fn follow(&self, mut hop: Hop) -> Result<Response, EgressError> {
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.send(&hop).await?;
            match hop.redirected(answer.status(), answer.headers())? {
                Some(next) => hop = next,
                None => return response::read(answer, &hop, self.network.limits()).await,
            }
        }
        Err(EgressError::TooManyRedirects)
    }

    async fn send(&self, hop: &Hop) -> Result<reqwest::Response, EgressError> {
        let (grant, injected) = self.grants.find(hop.method, &hop.url)?;
        let addresses = self.network.addresses(&hop.url).await?;
        let reserved = |to: &SocketAddr| address::reserved(to.ip()).map(|is| (to.ip(), is));
        if let Some((ip, is)) = addresses.iter().find_map(reserved).filter(|_| !grant.private) {
            return Err(self.grants.denied_address(grant, &hop.url, ip, is).into());
        }
        let mut request = hop.to_request();
        if let Some((name, value)) = injected {
            request.headers_mut().insert(name, value.clone());
        }
        self.network.send(request, addresses).await
    }
}

/// The header that a credential is; its value is sensitive and shows nowhere.
fn inject(credential: &Credential, secret: &Secret) -> Result<Injected, &'static str> {
    let unfit = "the secret holds what cannot stand in a header";
    let name = HeaderName::try_from(&credential.header).map_err(|_| unfit)?;
    let mut value = HeaderValue::try_from(credential.value(secret.expose())).map_err(|_| unfit)?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests;
