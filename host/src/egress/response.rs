//! An answer, as far as a guest gets to see it.

use reqwest::header::{self, HeaderMap, HeaderName};

use super::error::EgressError;
use super::network::broken;
use super::request::Hop;
use crate::config::EgressLimits;
use crate::model::egress::origin;
use crate::model::secret::Secret;

const HEADER_BYTES_MAX: usize = 64 * 1024;

/// The headers that end here: cookies do not exist, and a connection's own say nothing to a guest.
const WITHHELD: [HeaderName; 8] = [
    header::SET_COOKIE,
    HeaderName::from_static("set-cookie2"),
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The answer at the end of the redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Where it came from.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Reads an answer to its end.
pub(super) async fn read(
    mut answer: reqwest::Response,
    hop: &Hop,
    limits: &EgressLimits,
) -> Result<Response, EgressError> {
    let headers = shown(answer.headers())?;
    if is_compressed(answer.headers()) {
        let reason = "it is compressed, which it was asked not to be".to_owned();
        return Err(EgressError::Broken { origin: origin(&hop.url), reason });
    }
    let too_large = EgressError::TooLarge { part: "contents", bytes_max: limits.body_bytes };
    let announced = answer.content_length().unwrap_or(0);
    if usize::try_from(announced).is_ok_and(|bytes| bytes > limits.body_bytes) {
        return Err(too_large);
    }
    let mut body = vec![];
    while let Some(chunk) =
        answer.chunk().await.map_err(|error| broken(&origin(&hop.url), &error))?
    {
        if body.len() + chunk.len() > limits.body_bytes {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { url: hop.url.to_string(), status: answer.status().as_u16(), headers, body })
}

fn is_compressed(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::CONTENT_ENCODING).into_iter();
    encodings.filter(|value| !value.is_empty()).any(|value| value != "identity")
}

fn shown(headers: &HeaderMap) -> Result<Vec<(String, Vec<u8>)>, EgressError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEADER_BYTES_MAX {
        return Err(EgressError::TooLarge { part: "headers", bytes_max: HEADER_BYTES_MAX });
    }
    let shown = headers.iter().filter(|(name, _)| !WITHHELD.contains(name));
    Ok(shown.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect())
}

impl Response {
    /// Blots out a secret that the server sent back.
    pub(super) fn redact(&mut self, secret: &Secret) {
        let mut url = std::mem::take(&mut self.url).into_bytes();
        blot(&mut url, secret.expose());
        self.url = String::from_utf8_lossy(&url).into_owned();
        blot(&mut self.body, secret.expose());
        self.headers.iter_mut().for_each(|(_, value)| blot(value, secret.expose()));
    }
}

/// Overwrites each occurrence with stars, as many as it has bytes.
fn blot(text: &mut [u8], secret: &[u8]) {
    let mut from = 0;
    let next = |text: &[u8], from| {
        text[from..].windows(secret.len()).position(|window| window == secret).map(|at| from + at)
    };
    while let Some(at) = next(text, from) {
        from = at + secret.len();
        text[at..from].fill(b'*');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_of_a_secret_is_blotted_out() {
        for (text, secret, wanted) in [
            ("a s3cret b s3cret", "s3cret", "a ****** b ******"),
            ("s3crets3cret", "s3cret", "************"),
            ("aaaaa", "aa", "****a"),
            ("s3cre", "s3cret", "s3cre"),
            ("", "s3cret", ""),
        ] {
            let mut bytes = text.as_bytes().to_vec();
            blot(&mut bytes, secret.as_bytes());
            assert_eq!(String::from_utf8(bytes).unwrap(), wanted);
        }
    }
}
