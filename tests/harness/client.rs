//! HTTP, as senders and API clients speak it.

use std::sync::OnceLock;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        Self::try_of(request).await.unwrap()
    }

    pub(crate) async fn try_of(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await?,
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The event that the host speaks of, in an answer with this status.
    #[track_caller]
    pub(crate) fn event_id(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        self.json()["event_id"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    /// Holds the answer against RFC 9457 and gives its `code`.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem = self.json();
        for field in ["type", "title", "code"] {
            assert!(problem[field].is_string(), "{field} in {problem}");
        }
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client without keys, proxies and redirects.
pub(crate) fn http() -> reqwest::Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        // Shorter than the host's own patience: a request must not meet a connection's end.
        .pool_idle_timeout(std::time::Duration::from_secs(5))
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .unwrap()
}

/// Headers, in which a name may stand twice.
pub(crate) fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let header = |&(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
        (name.parse().unwrap(), value.parse().unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in list.iter().map(header) {
        map.append(name, value);
    }
    map
}
