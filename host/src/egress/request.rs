//! What a guest may ask for, and where an answer may lead it.

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{StatusCode, Url};
use url::Host;

use super::error::{EgressError, InvalidRequest};
use crate::model::egress::{Method, is_hosts_own, origin};
use crate::model::text::shortened;

const URL_BYTES_MAX: usize = 8 * 1024;
const HEADER_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Who asks, unless the guest says something else.
const USER_AGENT: &str = concat!("hillock/", env!("CARGO_PKG_VERSION"));

/// The guest's headers that another origin gets to see after a redirect.
const CARRIED: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::RANGE,
    header::USER_AGENT,
];
/// The headers that go when the body goes.
const OF_THE_BODY: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
];

/// A request as a guest makes it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, in upper case.
    pub method: String,
    /// The absolute URL.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty for none.
    pub body: Bytes,
}

/// One request of a chain of redirects.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Hop {
    /// The first hop.
    pub(super) fn parse(request: Request) -> Result<Self, InvalidRequest> {
        let Request { method, url, headers, body } = request;
        if body.len() > BODY_BYTES_MAX {
            return Err(InvalidRequest::TooLarge { part: "body", bytes_max: BODY_BYTES_MAX });
        }
        let url = parse_url(&url)?;
        Ok(Self { method: method.parse()?, url, headers: parse_headers(headers)?, body })
    }

    /// Refuses a header that the guest set and that is the host's to set here.
    pub(super) fn refuse(&self, name: &HeaderName) -> Result<(), InvalidRequest> {
        match self.headers.contains_key(name) {
            true => Err(unfit(name.as_str(), "is the credential that the host sets")),
            false => Ok(()),
        }
    }

    /// The hop that an answer leads to; none when it leads nowhere.
    pub(super) fn redirected(
        &self,
        status: StatusCode,
        answer: &HeaderMap,
    ) -> Result<Option<Self>, EgressError> {
        let location = match (status.as_u16(), answer.get(header::LOCATION)) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => location,
            _ => return Ok(None),
        };
        let refused = |reason| EgressError::Redirect { origin: origin(&self.url), reason };
        let location = str::from_utf8(location.as_bytes()).ok();
        let url = location.filter(|text| text.len() <= URL_BYTES_MAX);
        let url = url.and_then(|text| self.url.join(text).ok());
        let mut url = url.ok_or_else(|| refused("to what is no URL"))?;
        url.set_fragment(None);
        if let Some(reason) = unfit_url(&url) {
            return Err(refused(reason.redirected));
        }
        if self.url.scheme() == "https" && url.scheme() == "http" {
            return Err(refused("from https to http"));
        }
        Ok(Some(self.moved_to(url, status.as_u16())))
    }

    fn moved_to(&self, url: Url, status: u16) -> Self {
        let (mut headers, mut body) = (self.headers.clone(), self.body.clone());
        let method = method_after(status, self.method);
        if method != self.method {
            body = Bytes::new();
            OF_THE_BODY.iter().for_each(|name| drop(headers.remove(name)));
        }
        if url.origin() != self.url.origin() {
            let carried = headers.drain().filter_map(|(name, value)| Some((name?, value)));
            headers = carried.filter(|(name, _)| CARRIED.contains(name)).collect();
        }
        Self { method, url, headers, body }
    }

    pub(super) fn to_request(&self) -> reqwest::Request {
        let mut request = reqwest::Request::new(as_http(self.method), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.clone().into());
        }
        request
    }
}

/// RFC 9110, section 15.4: 303 makes everything but `HEAD` a `GET`; 301 and 302 make a `POST` one,
/// by custom; 307 and 308 change nothing.
fn method_after(status: u16, method: Method) -> Method {
    match (status, method) {
        (303, Method::Head) => Method::Head,
        (303, _) | (301 | 302, Method::Post) => Method::Get,
        _ => method,
    }
}

fn as_http(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
        Method::Options => reqwest::Method::OPTIONS,
    }
}

fn parse_url(text: &str) -> Result<Url, InvalidRequest> {
    if text.len() > URL_BYTES_MAX {
        return Err(InvalidRequest::TooLarge { part: "URL", bytes_max: URL_BYTES_MAX });
    }
    let url: Url = text.parse().map_err(|_| InvalidRequest::Url("is not an absolute URL"))?;
    match unfit_url(&url) {
        Some(reason) => Err(InvalidRequest::Url(reason.asked)),
        None if url.fragment().is_some() => Err(InvalidRequest::Url("has a fragment")),
        None => Ok(url),
    }
}

/// What is wrong with a URL, as said of a request and of a redirect.
struct Unfit {
    asked: &'static str,
    redirected: &'static str,
}

fn unfit_url(url: &Url) -> Option<Unfit> {
    if !matches!(url.scheme(), "https" | "http") {
        let asked = "is neither https nor http";
        return Some(Unfit { asked, redirected: "to what is neither https nor http" });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some(Unfit { asked: "has a user's name", redirected: "with a user's name" });
    }
    let proper = match url.host() {
        Some(Host::Domain(name)) => {
            let letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
            name.split('.').all(|label| !label.is_empty() && label.bytes().all(letter))
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    };
    (!proper).then_some(Unfit {
        asked: "has no proper host name",
        redirected: "to what is no proper host name",
    })
}

fn parse_headers(pairs: Vec<(String, Vec<u8>)>) -> Result<HeaderMap, InvalidRequest> {
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if bytes > HEADER_BYTES_MAX {
        return Err(InvalidRequest::TooLarge { part: "header", bytes_max: HEADER_BYTES_MAX });
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let parsed = HeaderName::try_from(&name).map_err(|_| unfit(&name, "is not a name"))?;
        if is_hosts_own(parsed.as_str()) {
            return Err(unfit(&name, "is not a guest's to set"));
        }
        let value = HeaderValue::try_from(value);
        headers.append(parsed, value.map_err(|_| unfit(&name, "holds what no header may hold"))?);
    }
    Ok(headers)
}

fn unfit(name: &str, reason: &'static str) -> InvalidRequest {
    InvalidRequest::Header { name: shortened(name, 64), reason }
}
