//! What an extension may reach: its grants, and which of them allows a request.
//!
//! Nothing is allowed that no grant names. A refusal says which line would allow it, as users write
//! it:
//! ```toml
//! [[extensions]]
//! name = "tickets"
//! grants = [
//!     { host = "*.example.com" },
//!     { host = "api.example.com", methods = ["GET", "POST"], credential = { header = "authorization", secret_ref = "env:TOKEN", format = "Bearer {secret}" } },
//!     { host = "ci.internal:8443", private = true },
//! ]
//! ```
//! Of several grants that fit a request, the one that names the host wins over one that names its
//! parent, and the longer parent over the shorter one.

pub mod address;

use core::net::IpAddr;
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use url::{Host, Url};

use super::name::Name;
use super::problem::Problems;
use super::secret::SecretRef;
use super::text::shortened;

/// Where the secret stands in a credential's format.
const PLACEHOLDER: &str = "{secret}";
/// The longest host name, by RFC 1035.
const HOST_BYTES_MAX: usize = 253;
/// What a grant allows when it names no methods.
const METHODS_DEFAULT: [Method; 2] = [Method::Get, Method::Head];

/// A method that can be granted. `CONNECT` and `TRACE` cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
}

impl Method {
    const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// The method as HTTP spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a method that can be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
pub struct InvalidMethod(String);

impl FromStr for Method {
    type Err = InvalidMethod;
    fn from_str(text: &str) -> Result<Self, InvalidMethod> {
        let found = Self::ALL.into_iter().find(|method| method.as_str() == text);
        found.ok_or_else(|| InvalidMethod(shortened(text, 32)))
    }
}

/// The hosts that a grant names: `api.example.com`, or `*.example.com` for all below it and not
/// itself; with `:port`, or else the scheme's own port only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Exactly(Host),
    Below(String),
}

/// The text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {reason}: write a host such as api.example.com, *.example.com or [fd00::1]:8443")]
pub struct InvalidHost {
    text: String,
    reason: &'static str,
}

impl FromStr for HostPattern {
    type Err = InvalidHost;
    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let invalid = |reason| InvalidHost { text: shortened(text, HOST_BYTES_MAX), reason };
        let (host, port) = split_port(text).map_err(invalid)?;
        let host = match host.strip_prefix("*.") {
            None => parse_host(host).map(Hosts::Exactly),
            Some(parent) => parse_host(parent).and_then(|host| match host {
                Host::Domain(name) => Ok(Hosts::Below(name)),
                Host::Ipv4(_) | Host::Ipv6(_) => Err("puts a star before an address"),
            }),
        };
        Ok(Self { host: host.map_err(invalid)?, port })
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    match text.rsplit_once(':') {
        // The colons within brackets are an address's own.
        Some((host, port)) if !port.ends_with(']') => {
            let digits = !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
            let port = port.parse().ok().filter(|&port| digits && port > 0);
            Ok((host, Some(port.ok_or("has no port behind its last colon")?)))
        }
        _ => Ok((text, None)),
    }
}

/// A host in the form that URLs have it in: lower case, IDNA in ASCII, addresses in their usual
/// notation.
fn parse_host(text: &str) -> Result<Host, &'static str> {
    if text.contains(['*', '%', '/', '@']) {
        return Err("holds what no host name has");
    }
    let host = Host::parse(text).map_err(|_| "is not a host name or address")?;
    match &host {
        Host::Domain(name) if name.split('.').any(str::is_empty) => Err("has an empty label"),
        Host::Domain(name) if name.len() > HOST_BYTES_MAX => Err("is too long for a host name"),
        _ => Ok(host),
    }
}

impl HostPattern {
    fn matches(&self, url: &Url) -> bool {
        let port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => url.port().is_none(),
        };
        port && match (&self.host, url.host()) {
            (Hosts::Exactly(wanted), Some(host)) => *wanted == host.to_owned(),
            (Hosts::Below(parent), Some(Host::Domain(name))) => name
                .strip_suffix(parent.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            _ => false,
        }
    }

    /// How narrow it is: what sorts first wins.
    fn breadth(&self) -> (bool, Reverse<usize>) {
        match &self.host {
            Hosts::Exactly(_) => (false, Reverse(0)),
            Hosts::Below(parent) => (true, Reverse(parent.len())),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Hosts::Exactly(host) => write!(f, "{host}")?,
            Hosts::Below(parent) => write!(f, "*.{parent}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What the host adds to a granted request, so that the guest need not know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// The header, in lower case.
    pub header: String,
    /// The secret.
    pub secret_ref: SecretRef,
    /// The header's value, with `{secret}` where the secret stands.
    pub format: String,
}

impl Credential {
    /// The header's value with this secret in it.
    pub fn value(&self, secret: &[u8]) -> Vec<u8> {
        let (before, after) = self.format.split_once(PLACEHOLDER).unwrap_or((&self.format, ""));
        [before.as_bytes(), secret, after.as_bytes()].concat()
    }
}

/// One permission: requests with these methods to these hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The hosts.
    pub host: HostPattern,
    /// The methods.
    pub methods: Vec<Method>,
    /// What the host adds to each request.
    pub credential: Option<Credential>,
    /// Whether the hosts may have addresses that are not public.
    pub private: bool,
    /// Whether plain HTTP is allowed beside HTTPS.
    pub http: bool,
}

/// A grant as users write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantDraft {
    host: String,
    methods: Option<Vec<String>>,
    credential: Option<CredentialDraft>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    http: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialDraft {
    header: String,
    secret_ref: String,
    #[serde(default = "bare")]
    format: String,
}

fn bare() -> String {
    PLACEHOLDER.to_owned()
}

impl GrantDraft {
    /// The grant.
    ///
    /// # Errors
    /// Everything that is wrong with it, with paths such as `methods[1]`.
    pub fn parse(self) -> Result<Grant, Problems> {
        let mut problems = Problems::default();
        let host = problems.take("host", self.host.parse());
        let methods = parse_methods(self.methods.as_deref(), &mut problems);
        let credential = self.credential.map(|credential| credential.parse(&mut problems));
        let (private, http) = (self.private, self.http);
        let grant = match (host, credential) {
            (Some(host), None) => Some((host, None)),
            (Some(host), Some(Some(credential))) => Some((host, Some(credential))),
            _ => None,
        };
        let grant =
            grant.map(|(host, credential)| Grant { host, methods, credential, private, http });
        problems.unless_any(grant).and_then(|grant| grant.ok_or_else(Problems::default))
    }
}

fn parse_methods(texts: Option<&[String]>, problems: &mut Problems) -> Vec<Method> {
    let Some(texts) = texts else { return METHODS_DEFAULT.to_vec() };
    if texts.is_empty() {
        problems.add("methods", "is empty: name a method, or leave it out for GET and HEAD");
    }
    let each = texts.iter().enumerate();
    each.filter_map(|(i, text)| problems.take(&format!("methods[{i}]"), text.parse())).collect()
}

impl CredentialDraft {
    fn parse(self, problems: &mut Problems) -> Option<Credential> {
        let header = problems.take("credential.header", credential_header(&self.header));
        let secret_ref = problems.take("credential.secret_ref", self.secret_ref.parse());
        let format = problems.take("credential.format", credential_format(self.format));
        Some(Credential { header: header?, secret_ref: secret_ref?, format: format? })
    }
}

fn credential_header(text: &str) -> Result<String, String> {
    let shown = shortened(text, 64);
    let header = text.to_ascii_lowercase();
    // A credential may be a cookie; a guest's header may not.
    match header.as_str() {
        name if !is_token(name) => Err(format!("`{shown}` is not the name of a header")),
        name if name != "cookie" && is_hosts_own(name) => {
            Err(format!("`{shown}` cannot be set: it belongs to the connection"))
        }
        _ => Ok(header),
    }
}

fn credential_format(text: String) -> Result<String, &'static str> {
    match text.matches(PLACEHOLDER).count() {
        1 if text.bytes().all(|c| matches!(c, b' '..=b'~')) => Ok(text),
        1 => Err("holds what cannot stand in a header"),
        _ => Err("must hold {secret} once, such as `Bearer {secret}`"),
    }
}

/// Whether the text can be the name of a header: a `token` of RFC 9110.
pub fn is_token(text: &str) -> bool {
    let tchar = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    !text.is_empty() && text.bytes().all(tchar)
}

/// Whether a request's header, named in lower case, is the host's to set and nobody else's: what
/// names the server, frames the message, belongs to the connection or to a proxy, and cookies,
/// which are not kept.
pub fn is_hosts_own(header: &str) -> bool {
    const OWN: [&str; 13] = [
        "accept-encoding",
        "connection",
        "content-length",
        "cookie",
        "cookie2",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    OWN.contains(&header) || header.starts_with("proxy-")
}

/// What an extension is refused, and the line that would allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: add {line} of [[extensions]] name = \"{extension}\"")]
pub struct Denial {
    subject: String,
    line: String,
    extension: Name,
}

/// Everything that one extension may reach; beside each grant, what goes with its use.
#[derive(Clone, Debug)]
pub struct Grants<U> {
    extension: Name,
    narrow_first: Vec<(Grant, U)>,
}

impl<U> Grants<U> {
    /// The grants of an extension.
    pub fn new(extension: Name, mut grants: Vec<(Grant, U)>) -> Self {
        grants.sort_by_key(|(grant, _)| grant.host.breadth());
        Self { extension, narrow_first: grants }
    }

    /// The grant that allows this request.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, method: Method, url: &Url) -> Result<&(Grant, U), Denial> {
        let hosts = || self.narrow_first.iter().filter(|(grant, _)| grant.host.matches(url));
        let plain = url.scheme() != "https";
        let schemes = || hosts().filter(|(grant, _)| grant.http || !plain);
        if let Some(found) = schemes().find(|(grant, _)| grant.methods.contains(&method)) {
            return Ok(found);
        }
        Err(match (schemes().next(), hosts().next()) {
            (Some((grant, _)), _) => self.denied_method(method, url, grant),
            (None, Some((grant, _))) => self.denied_plain(method, url, grant),
            (None, None) => self.denied_host(method, url),
        })
    }

    /// The denial of an address that is not public, and that `grant` does not allow.
    pub fn denied_address(&self, grant: &Grant, url: &Url, ip: IpAddr, is: &str) -> Denial {
        let host = origin(url);
        let subject = format!("{host} has the address {ip}, which is {is}");
        self.denial(subject, format!("private = true to the grant host = \"{}\"", grant.host))
    }

    fn denied_method(&self, method: Method, url: &Url, grant: &Grant) -> Denial {
        let methods: Vec<String> =
            grant.methods.iter().chain([&method]).map(|method| format!("\"{method}\"")).collect();
        let (methods, host) = (methods.join(", "), &grant.host);
        let line = format!("methods = [{methods}] to the grant host = \"{host}\"");
        self.denial(asked(method, url), line)
    }

    fn denied_plain(&self, method: Method, url: &Url, grant: &Grant) -> Denial {
        let line = format!("http = true to the grant host = \"{}\"", grant.host);
        self.denial(asked(method, url), line)
    }

    fn denied_host(&self, method: Method, url: &Url) -> Denial {
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let methods = match METHODS_DEFAULT.contains(&method) {
            true => String::new(),
            false => format!(", methods = [\"{method}\"]"),
        };
        let private = if is_private_literal(url) { ", private = true" } else { "" };
        let http = if url.scheme() == "http" { ", http = true" } else { "" };
        let line = format!("{{ host = \"{host}{port}\"{methods}{private}{http} }} to the grants");
        self.denial(asked(method, url), line)
    }

    fn denial(&self, subject: String, line: String) -> Denial {
        Denial { subject, line, extension: self.extension.clone() }
    }
}

fn is_private_literal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => address::reserved(ip.into()).is_some(),
        Some(Host::Ipv6(ip)) => address::reserved(ip.into()).is_some(),
        _ => false,
    }
}

fn asked(method: Method, url: &Url) -> String {
    format!("{method} {}", origin(url))
}

/// Scheme, host and port of a URL. Its path and query may hold what nobody else should read.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests;
