//! The client of a host's API.
//!
//! It asks once and reports what came: no retries, no redirects (a redirected `POST` is a `GET`
//! somewhere else), no interpretation of an answer beyond its errors.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::listing::EVERYWHERE;
use super::output;
use super::plain::Plain;
use super::target::{Globals, KEY_VARIABLE, Key, KeySource};
use crate::model::scope::Scope;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A stream takes as long as a run; whoever reads it sees whether it is alive.
const STREAM_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const LAST_EVENT_ID: &str = "last-event-id";

/// A host, seen from outside.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    scope: Scope,
    key: Option<Key>,
}

/// Why there is no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there.
    #[error("no host answers at {url}: is `hillock serve` running?")]
    NoHost {
        /// The host's base URL.
        url: Url,
    },
    /// The request or its answer got lost on the way.
    #[error("no answer from the host at {url}")]
    Unreachable {
        /// The host's base URL.
        url: Url,
        /// Why.
        source: reqwest::Error,
    },
    /// The host did not begin to answer.
    #[error("no answer from the host at {url} in time")]
    Silent {
        /// The host's base URL.
        url: Url,
    },
    /// The host does not know the key.
    #[error(
        "the host at {url} does not accept the API key in {source_of_key}: keys are looked for in \
         --key-file, ${KEY_VARIABLE} and the data folder's admin.key, in this order"
    )]
    Unauthorized {
        /// The host's base URL.
        url: Url,
        /// Where the key was found.
        source_of_key: KeySource,
    },
    /// The key cannot stand in a header.
    #[error("what is in {0} is not an API key: a key is one word")]
    NotAKey(KeySource),
    /// The host refused; says why.
    #[error("{0}")]
    Refused(Refusal),
    /// The answer is not of the shape it should have.
    #[error("the host's answer is not one this version of hillock understands")]
    Unintelligible(#[from] serde_json::Error),
}

impl ClientError {
    /// Whether the same request may be answered later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoHost { .. } | Self::Unreachable { .. } | Self::Silent { .. } => true,
            Self::Refused(refusal) => refusal.status.is_some_and(|status| status.is_server_error()),
            Self::Unauthorized { .. } | Self::NotAKey(_) | Self::Unintelligible(_) => false,
        }
    }
}

impl Client {
    /// A client with a key.
    ///
    /// # Errors
    /// When it cannot be told which host is meant, or there is no key.
    pub fn open(globals: &Globals) -> anyhow::Result<Self> {
        Ok(Self { key: Some(globals.key()?), ..Self::without_key(globals)? })
    }

    /// A client with this key.
    ///
    /// # Errors
    /// When it cannot be told which host is meant.
    pub fn with_key(globals: &Globals, key: Key) -> anyhow::Result<Self> {
        Ok(Self { key: Some(key), ..Self::without_key(globals)? })
    }

    /// A client that can post to endpoints, and nothing else.
    ///
    /// # Errors
    /// When it cannot be told which host is meant.
    pub fn without_key(globals: &Globals) -> anyhow::Result<Self> {
        let base = globals.host_url()?;
        let http = transport(&base)?;
        Ok(Self { http, base, scope: globals.scope.clone(), key: None })
    }

    /// What the API has at `path`.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn get(
        &self,
        path: &[&str],
        query: &impl serde::Serialize,
    ) -> Result<Answer, ClientError> {
        self.call(self.asking(path, query)).await
    }

    /// Opens the stream at `path` behind the event with this id.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn stream(&self, path: &[&str], last_id: &str) -> Result<Stream, ClientError> {
        self.open_stream(self.api(Method::GET, path).header(LAST_EVENT_ID, last_id)).await
    }

    /// What the API has at `path`, piece by piece.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn download(
        &self,
        path: &[&str],
        query: &impl serde::Serialize,
    ) -> Result<Stream, ClientError> {
        self.open_stream(self.asking(path, query)).await
    }

    async fn open_stream(&self, request: RequestBuilder) -> Result<Stream, ClientError> {
        let request = self.authorized(request.timeout(STREAM_TIMEOUT))?;
        let opening = tokio::time::timeout(ANSWER_TIMEOUT, request.send());
        let unreachable = |_| ClientError::Silent { url: self.base.clone() };
        let lost = |source| lost(self.base.clone(), source);
        let response = opening.await.map_err(unreachable)?.map_err(lost)?;
        if response.status().is_success() {
            return Ok(Stream { response, base: self.base.clone() });
        }
        let status = response.status();
        let answer = Answer { status, body: response.bytes().await.map_err(lost)? };
        Err(self.judged(answer).err().unwrap_or(ClientError::Silent { url: self.base.clone() }))
    }

    /// Asks for what `path` stands for.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn post(&self, path: &[&str]) -> Result<Answer, ClientError> {
        self.call(self.api(Method::POST, path)).await
    }

    /// Asks for what `path` stands for, which may take as long as `patience`.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn order(
        &self,
        path: &[&str],
        query: &impl serde::Serialize,
        patience: Duration,
    ) -> Result<Answer, ClientError> {
        self.call(self.api(Method::POST, path).query(query).timeout(patience)).await
    }

    /// Says this to what `path` stands for.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn tell(
        &self,
        path: &[&str],
        query: &impl serde::Serialize,
        content: &impl serde::Serialize,
    ) -> Result<Answer, ClientError> {
        self.call(self.asked(Method::POST, path, query).json(content)).await
    }

    /// Makes something of this content at `path`.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn create(
        &self,
        path: &[&str],
        content: &impl serde::Serialize,
    ) -> Result<Answer, ClientError> {
        self.call(self.api(Method::POST, path).json(content)).await
    }

    /// Applies a merge patch to what is at `path`.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn patch(
        &self,
        path: &[&str],
        patch: &impl serde::Serialize,
    ) -> Result<Answer, ClientError> {
        self.call(self.api(Method::PATCH, path).json(patch)).await
    }

    /// Removes what is at `path`.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn delete(&self, path: &[&str]) -> Result<Answer, ClientError> {
        self.call(self.api(Method::DELETE, path)).await
    }

    /// Posts a webhook to an endpoint's path, without a key.
    ///
    /// # Errors
    /// When the host does not answer, or refuses.
    pub async fn deliver(
        &self,
        path: &[&str],
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, ClientError> {
        let request = self.http.post(self.url(path)).headers(headers).body(body);
        self.send(request).await?.accepted()
    }

    /// What the host measures.
    ///
    /// # Errors
    /// When the host does not answer.
    pub async fn metrics(&self) -> Result<Answer, ClientError> {
        self.send(self.http.get(self.url(&["metrics"]))).await?.accepted()
    }

    fn asking(&self, path: &[&str], query: &impl serde::Serialize) -> RequestBuilder {
        self.asked(Method::GET, path, query)
    }

    /// A query that asks for every workspace is not narrowed to one.
    fn asked(
        &self,
        method: Method,
        path: &[&str],
        query: &impl serde::Serialize,
    ) -> RequestBuilder {
        let said = serde_json::to_value(query).unwrap_or_default();
        let wide = said.get("workspace").is_some_and(|said| said == EVERYWHERE);
        let all = Self { scope: Scope::Global, ..self.clone() };
        let client = if wide { &all } else { self };
        client.api(method, path).query(query)
    }

    fn api(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let request = self.http.request(method, self.url(&[&["api", "v1"], path].concat()));
        match &self.scope {
            Scope::Global => request,
            Scope::Workspace(name) => request.query(&[("workspace", name)]),
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only a URL without a host has no path, and `--url` takes none of those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn call(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        self.judged(self.send(self.authorized(request)?).await?)
    }

    fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, ClientError> {
        match &self.key {
            Some(key) => Ok(request.header(AUTHORIZATION, bearer(key)?)),
            None => Ok(request),
        }
    }

    /// The answer, when it is a good one.
    fn judged(&self, answer: Answer) -> Result<Answer, ClientError> {
        match (&self.key, answer.status) {
            (Some(key), StatusCode::UNAUTHORIZED) => Err(ClientError::Unauthorized {
                url: self.base.clone(),
                source_of_key: key.source.clone(),
            }),
            _ => answer.accepted(),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let lost = |source| lost(self.base.clone(), source);
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        Ok(Answer { status, body: response.bytes().await.map_err(lost)? })
    }
}

fn transport(base: &Url) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .user_agent(concat!("hillock/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none());
    if base.scheme() == "http" {
        // Loading the system's certificates takes time, and fails where a container has none.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn bearer(key: &Key) -> Result<HeaderValue, ClientError> {
    let not_a_key = |_| ClientError::NotAKey(key.source.clone());
    let text = [b"Bearer ", key.value.expose()].concat();
    let mut value = HeaderValue::from_bytes(&text).map_err(not_a_key)?;
    value.set_sensitive(true);
    Ok(value)
}

fn lost(url: Url, source: reqwest::Error) -> ClientError {
    let mut cause = source.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
            return ClientError::NoHost { url };
        }
        cause = error.source();
    }
    ClientError::Unreachable { url, source: source.without_url() }
}

/// An answer that comes piece by piece.
#[derive(Debug)]
pub struct Stream {
    response: reqwest::Response,
    base: Url,
}

impl Stream {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        self.response.chunk().await.map_err(|source| lost(self.base.clone(), source))
    }
}

/// What a host answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body, JSON where it comes from the API.
    pub body: Bytes,
}

impl Answer {
    /// The answer's content.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Writes the answer's JSON to standard output, indented and otherwise as it is.
    ///
    /// # Errors
    /// When it is not JSON, or standard output does not take it.
    pub fn print(&self) -> anyhow::Result<()> {
        let mut text = indented(&self.body).map_err(ClientError::from)?;
        text.push(b'\n');
        Ok(output::unless_nobody_reads(output::print_json(&text))?)
    }

    fn accepted(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(ClientError::Refused(Refusal::read(self.status, &self.body)))
    }
}

/// JSON with line breaks, its keys and numbers in the order and form they came in.
///
/// # Errors
/// When it is not JSON.
pub fn indented(json: &[u8]) -> serde_json::Result<Vec<u8>> {
    let json: &RawValue = serde_json::from_slice(json)?;
    let mut rest = json.get();
    let mut text = Vec::with_capacity(rest.len() * 2);
    let (mut deep, mut opened) = (0_usize, false);
    while let Some(char) = rest.trim_ascii_start().chars().next() {
        rest = rest.trim_ascii_start();
        let closes = matches!(char, '}' | ']');
        deep = deep.saturating_sub(usize::from(closes));
        if opened != closes {
            break_line(&mut text, deep);
        }
        opened = matches!(char, '{' | '[');
        deep += usize::from(opened);
        let (token, behind) = rest.split_at(token_bytes(rest));
        rest = behind;
        // An escape is shown as what it stands for, unless that is half a character.
        match serde_json::from_str::<String>(token) {
            Ok(shown) => serde_json::to_writer(&mut text, &shown)?,
            Err(_) => text.extend_from_slice(token.as_bytes()),
        }
        match char {
            ':' => text.push(b' '),
            ',' => break_line(&mut text, deep),
            _ => {}
        }
    }
    Ok(text)
}

/// How long the sign, text, number or word is that a piece of JSON begins with.
fn token_bytes(json: &str) -> usize {
    let mut escaped = false;
    let end = |(_, char): &(usize, char)| {
        let ends = !escaped && *char == '"';
        escaped = !escaped && *char == '\\';
        ends
    };
    match json.as_bytes().first() {
        Some(b'"') => json.char_indices().skip(1).find(end).map_or(json.len(), |(at, _)| at + 1),
        Some(b'{' | b'}' | b'[' | b']' | b':' | b',') => 1,
        _ => json
            .find(|char: char| char.is_ascii_whitespace() || "{}[]:,".contains(char))
            .unwrap_or(json.len()),
    }
}

fn break_line(text: &mut Vec<u8>, deep: usize) {
    text.push(b'\n');
    text.extend(std::iter::repeat_n(b' ', 2 * deep));
}

/// An answer of RFC 9457, as far as people need it.
#[derive(Debug, Deserialize)]
pub struct Refusal {
    title: Plain,
    detail: Option<Plain>,
    #[serde(default)]
    problems: Vec<Problem>,
    /// The answer's own, whatever its body says.
    #[serde(skip)]
    status: Option<StatusCode>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    path: Plain,
    reason: Plain,
}

impl Refusal {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let refusal = serde_json::from_slice(body).unwrap_or_else(|_| Self {
            title: Plain::from(format!("the host answered {status}").as_str()),
            detail: None,
            problems: vec![],
            status: None,
        });
        Self { status: Some(status), ..refusal }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.title)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        self.problems
            .iter()
            .try_for_each(|Problem { path, reason }| write!(f, "\n  {path}: {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn client(base: &str, workspace: &str) -> Client {
        // A second installation in the same process is refused, and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base: Url = base.parse().unwrap();
        let value = Secret::new(b"hlk_1".to_vec()).unwrap();
        Client {
            http: transport(&base).unwrap(),
            base,
            scope: Scope::parse(workspace).unwrap(),
            key: Some(Key { value, source: KeySource::Environment }),
        }
    }

    #[test]
    fn paths_and_queries_are_encoded_below_the_base() {
        for (base, workspace, wanted) in [
            ("http://h:1", "", "http://h:1/api/v1/runs/a%2Fb?limit=5"),
            (
                "https://h/below/",
                "acme",
                "https://h/below/api/v1/runs/a%2Fb?workspace=acme&limit=5",
            ),
        ] {
            let request = client(base, workspace).api(Method::GET, &["runs", "a/b"]);
            let request = request.query(&[("limit", 5)]).build().unwrap();
            assert_eq!(request.url().as_str(), wanted);
        }
    }

    #[test]
    fn json_is_indented_and_stays_as_it_is() {
        for (json, shown) in [
            ("1e400", "1e400"),
            (
                r#"{"b":[1.50,123456789012345678901],"a":{},"c":[ ]}"#,
                "{\n  \"b\": [\n    1.50,\n    123456789012345678901\n  ],\n  \"a\": {},\n  \"c\": []\n}",
            ),
            (r#"{"{[,:\"\\":"\ud83d }"}"#, "{\n  \"{[,:\\\"\\\\\": \"\\ud83d }\"\n}"),
        ] {
            let text = String::from_utf8(indented(json.as_bytes()).unwrap()).unwrap();
            assert_eq!(text, shown);
        }
        assert!(indented(b"{").is_err());
    }

    #[test]
    fn a_key_does_not_show() {
        let header = bearer(client("http://h", "").key.as_ref().unwrap()).unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
        let value = Secret::new(b"two\nlines".to_vec()).unwrap();
        let broken = Key { value, source: KeySource::Environment };
        assert!(matches!(bearer(&broken), Err(ClientError::NotAKey(_))));
    }

    #[tokio::test]
    async fn nobody_listening_has_an_error_of_its_own() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = client(&base, "").get(&["runs"], &()).await.unwrap_err();
        let wanted = format!("no host answers at {base}/: is `hillock serve` running?");
        assert_eq!(error.to_string(), wanted);
    }

    #[test]
    fn refusals_name_every_problem() {
        let check = |status, body: &str, wanted: &str| {
            let answer = Answer { status, body: Bytes::from(body.to_owned()) };
            assert_eq!(answer.accepted().unwrap_err().to_string(), wanted);
        };
        check(
            StatusCode::UNPROCESSABLE_ENTITY,
            r#"{"title":"Invalid","status":422,"code":"invalid","detail":"two things",
                "problems":[{"path":"limit","reason":"is 0"},
                {"path":"kind","reason":"is \u001b[1mbad"}]}"#,
            "Invalid: two things\n  limit: is 0\n  kind: is bad",
        );
        check(StatusCode::NOT_FOUND, r#"{"title":"Not Found"}"#, "Not Found");
        check(StatusCode::BAD_GATEWAY, "<html>", "the host answered 502 Bad Gateway");
    }

    #[test]
    fn json_keeps_its_order() {
        let text = indented(br#"{"b":1,"a":[{"z":null},0.50],"c":"\u00e9"}"#).unwrap();
        let wanted = r#"{
  "b": 1,
  "a": [
    {
      "z": null
    },
    0.50
  ],
  "c": "é"
}"#;
        assert_eq!(String::from_utf8(text).unwrap(), wanted);
        assert!(indented(b"{} {}").is_err());
    }
}
