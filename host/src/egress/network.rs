//! Names to addresses, and addresses to connections.

use std::error::Error;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use reqwest::{Client, Url, dns, redirect, retry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore, crypto};
use url::Host;

use super::error::EgressError;
use crate::config::{EgressLimits, content};
use crate::model::egress::origin;

/// The largest file of certificates, in bytes.
const CA_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Addresses to come.
pub type Resolving<'n> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'n>>;

/// Finds the addresses of a name.
pub trait Resolve: Debug + Send + Sync {
    /// All addresses of a name, with this port.
    fn resolve<'n>(&'n self, name: &'n str, port: u16) -> Resolving<'n>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Resolve for System {
    fn resolve<'n>(&'n self, name: &'n str, port: u16) -> Resolving<'n> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}

/// What all extensions share: a resolver, the certificates to trust, and limits.
#[derive(Debug)]
pub struct Network {
    resolver: Arc<dyn Resolve>,
    tls: ClientConfig,
    limits: EgressLimits,
}

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The file of additional certificates is none.
    #[error("cannot read certificates from {}", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A certificate in the file is none.
    #[error("a certificate in {} is unusable", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

impl Network {
    /// Reads the system's certificates and those in the limits' file.
    ///
    /// # Errors
    /// When that file holds no certificates. A system without any is no error: there are containers
    /// like that, and only connections by HTTPS fail in them.
    pub fn open(limits: EgressLimits, resolver: Arc<dyn Resolve>) -> Result<Self, NetworkError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &limits.ca_file {
            let unreadable = |source| NetworkError::CaFile { path: path.clone(), source };
            let bytes = content::read(path, CA_BYTES_MAX);
            let bytes = bytes.map_err(|error| unreadable(pem::Error::Io(error)))?;
            let unusable = |source| NetworkError::Certificate { path: path.clone(), source };
            let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
                .collect::<Result<_, _>>()
                .map_err(unreadable)?;
            if found.is_empty() {
                return Err(unreadable(pem::Error::NoItemsFound));
            }
            for certificate in found {
                roots.add(certificate).map_err(unusable)?;
            }
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { resolver, tls, limits })
    }

    pub(super) fn limits(&self) -> &EgressLimits {
        &self.limits
    }

    /// The addresses of a URL's host; at least one.
    pub(super) async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, EgressError> {
        let port = url.port_or_known_default().unwrap_or_default();
        let name = match url.host() {
            Some(Host::Ipv4(ip)) => return Ok(vec![(ip, port).into()]),
            Some(Host::Ipv6(ip)) => return Ok(vec![(ip, port).into()]),
            Some(Host::Domain(name)) => name,
            None => "",
        };
        let unresolved = |source| EgressError::Unresolved { host: name.to_owned(), source };
        let found = self.resolver.resolve(name, port).await.map_err(unresolved)?;
        match found.is_empty() {
            true => Err(unresolved(io::ErrorKind::NotFound.into())),
            false => Ok(found),
        }
    }

    /// Sends a request to one of these addresses, and to nothing else.
    pub(super) async fn send(
        &self,
        request: reqwest::Request,
        addresses: Vec<SocketAddr>,
    ) -> Result<reqwest::Response, EgressError> {
        let origin = origin(request.url());
        let client = self.client(addresses).map_err(|error| broken(&origin, &error))?;
        client.execute(request).await.map_err(|error| match error.is_connect() {
            true => EgressError::Unreachable { reason: root(&error), origin },
            false => broken(&origin, &error),
        })
    }

    /// A client of its own for each request: a connection kept for later would have been checked
    /// earlier, and for another grant.
    fn client(&self, addresses: Vec<SocketAddr>) -> reqwest::Result<Client> {
        Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(self.limits.connect_time)
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Resolved(addresses)))
            .tls_backend_preconfigured(self.tls.clone())
            .build()
    }
}

/// An answer that broke off or makes no sense.
pub(super) fn broken(origin: &str, error: &reqwest::Error) -> EgressError {
    EgressError::Broken { origin: origin.to_owned(), reason: root(error) }
}

/// What lies at the bottom of an error. What lies above it may name the whole URL.
fn root(error: &reqwest::Error) -> String {
    let mut root: &dyn Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    match root.downcast_ref::<reqwest::Error>() {
        Some(_) => "the request cannot be sent".to_owned(),
        None => root.to_string(),
    }
}

/// The addresses that were checked, whatever the name.
struct Resolved(Vec<SocketAddr>);

impl dns::Resolve for Resolved {
    fn resolve(&self, _: dns::Name) -> dns::Resolving {
        let addresses: dns::Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}
