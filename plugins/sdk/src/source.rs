//! What a webhook source is written with: implement [`Source`] and name the type in
//! [`export_source!`](crate::export_source).
//!
//! A source verifies before it looks at anything else, by one rule that [`verified`] holds. Headers
//! that carry a signature are read with [`signature_header`], all others with [`header`].

pub use crate::bindings::source::exports::hillock::plugin::source::{
    Activation, Guest as Source, Identity, Outcome, Payload, Rejection, Reply,
};
pub use crate::bindings::source::hillock::plugin::request::{BodyError, HeaderError, Incoming};
pub use crate::bindings::source::hillock::plugin::verify::{
    Algorithm, Claim, Encoding, Failure, KeyForm, Part, check,
};

impl Claim {
    /// A claim without message and signatures, with the host's tolerance and secrets that are keys
    /// as they stand. Set the rest with struct update syntax.
    pub fn new(scheme: &str, algorithm: Algorithm, encoding: Encoding) -> Self {
        Self {
            scheme: scheme.to_owned(),
            algorithm,
            message: Vec::new(),
            signatures: Vec::new(),
            encoding,
            timestamp: None,
            tolerance: None,
            key_form: KeyForm::Plain,
        }
    }
}

/// Passes when the claim holds, and when the endpoint has no secret to hold it against: the host
/// itself accepts nothing unverified from an endpoint that has one.
///
/// A request that is not signed, or not in full, is a claim without signatures. Make it all the
/// same: only the host knows whether the endpoint asks for one.
pub fn verified(request: &Incoming, claim: &Claim) -> Result<(), Rejection> {
    match check(request, claim) {
        Ok(()) | Err(Failure::NoSecret) => Ok(()),
        Err(Failure::Mismatch | Failure::Stale | Failure::Malformed) => {
            Err(Rejection::Unauthorized)
        }
    }
}

/// A header that takes part in verification. One that is repeated or unreadable is refused without
/// a reason; one that is empty counts as absent.
pub fn signature_header(request: &Incoming, name: &str) -> Result<Option<String>, Rejection> {
    let value = request.header(name).map_err(|_| Rejection::Unauthorized)?;
    Ok(value.filter(|text| !text.is_empty()))
}

/// A header that is read after verification. One that is repeated or unreadable is malformed; one
/// that is empty counts as absent.
pub fn header(request: &Incoming, name: &str) -> Result<Option<String>, Rejection> {
    let value = request.header(name).map_err(|error| match error {
        HeaderError::Repeated => {
            Rejection::Malformed(format!("the header `{name}` stands in the request twice"))
        }
        HeaderError::NotText => Rejection::Malformed(format!("the header `{name}` is not text")),
    })?;
    Ok(value.filter(|text| !text.is_empty()))
}

/// The entries of a signature header that stand behind `prefix`, in order. Other entries are of
/// versions that the caller does not speak.
pub fn signatures(header: &str, prefix: &str) -> Vec<String> {
    header.split(' ').filter_map(|entry| entry.strip_prefix(prefix)).map(str::to_owned).collect()
}

/// Unix seconds as headers give them: digits and nothing else.
pub fn unix_seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The raw body as an event's data; malformed when it is empty. The host itself refuses one that is
/// not JSON, at a fraction of what it costs to read a field of it.
pub fn json_body(request: &Incoming) -> Result<Payload, Rejection> {
    match request.body_size() {
        0 => Err(malformed(BodyError::Empty)),
        _ => Ok(Payload::Body),
    }
}

/// One scalar of a JSON body by dotted path; malformed when the body is empty or not JSON.
pub fn json_text(request: &Incoming, path: &str) -> Result<Option<String>, Rejection> {
    request.text(path).map_err(malformed)
}

/// The media type of what a form posts unless it holds files.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The fields of a body of the type [`FORM`], in their order, decoded; malformed when it is empty.
pub fn form_fields(request: &Incoming) -> Result<Vec<(String, String)>, Rejection> {
    match request.body_size() {
        0 => Err(Rejection::Malformed(
            "the body is empty, and this source expects a form".to_owned(),
        )),
        _ => Ok(form_urlencoded::parse(&request.body()).into_owned().collect()),
    }
}

fn malformed(error: BodyError) -> Rejection {
    Rejection::Malformed(match error {
        BodyError::Empty => "the body is empty, and this source expects JSON".to_owned(),
        BodyError::NotJson => "the body is not well-formed JSON".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_other_versions_are_left_out() {
        assert_eq!(signatures("v1,aa v1a,bb  v2,cc v1,dd", "v1,"), ["aa", "dd"]);
        assert_eq!(signatures("v1,aa v1a,bb", "v1a,"), ["bb"]);
        assert!(signatures("", "v1,").is_empty());
    }

    #[test]
    fn unix_seconds_are_digits() {
        assert_eq!(unix_seconds("1700000000"), Some(1_700_000_000));
        for text in ["", "+5", "-5", " 5", "5.0", "99999999999999999999999"] {
            assert_eq!(unix_seconds(text), None, "{text:?}");
        }
    }
}
