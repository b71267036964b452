//! Whether a secret can be what its scheme needs.
//!
//! A secret that came with a blank, a line end or a byte order mark verifies nothing, and neither does
//! one that is written otherwise than its scheme writes it: every delivery is refused, though the
//! configuration is right. It may be meant as it stands, so nothing is taken away unless that was
//! asked for, and nothing is refused; it is said.

use super::secret::Secret;
use super::signature::{Algorithm, KeyForm, key_length};

/// The shortest secret that is no guess, in bytes: NIST SP 800-107 wants a key of 112 bits at least,
/// and half of what a person types is predictable.
const BYTES_MIN: usize = 16;
const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'p> {
    /// It verifies what this source component reads.
    Source(&'p str),
    /// It stands in a header of requests.
    Header,
}

/// Everything about a secret that keeps it from doing what it is for, without the secret.
pub fn doubts(secret: &Secret, purpose: Purpose<'_>) -> Vec<String> {
    let bytes = secret.expose();
    let mut doubts: Vec<String> = around(bytes).into_iter().collect();
    match purpose {
        Purpose::Source("standard-webhooks") => doubts.extend(standard_webhooks(secret)),
        Purpose::Source(_) => doubts.extend(short(bytes)),
        Purpose::Header => doubts.extend(unfit_for_header(bytes)),
    }
    doubts
}

/// The secret without blanks, line ends, other controls and a byte order mark around it.
pub fn trimmed(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_matches(is_around).as_bytes(),
        Err(_) => bytes.trim_ascii(),
    }
}

fn is_around(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{feff}' | '\u{200b}')
}

fn around(bytes: &[u8]) -> Option<String> {
    let mends = "signatures are made without; name it by `trim:` to leave that away";
    let inner = trimmed(bytes);
    if MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Some(format!("the secret begins with a byte order mark: {mends}"));
    }
    if inner.is_empty() {
        return Some("the secret is nothing but blanks".to_owned());
    }
    if inner.len() < bytes.len() {
        let ends_with_line = matches!(bytes.last(), Some(b'\n' | b'\r'));
        let what = if ends_with_line { "ends with a line end" } else { "has blanks around it" };
        return Some(format!("the secret {what}: {mends}"));
    }
    let quoted = |quote: &u8| bytes.len() > 1 && bytes[0] == *quote && bytes.ends_with(&[*quote]);
    let quoted = [b'"', b'\''].iter().any(quoted);
    quoted.then(|| "the secret has quotation marks around it, which are part of it".to_owned())
}

fn short(bytes: &[u8]) -> Option<String> {
    let length = trimmed(bytes).len();
    (length < BYTES_MIN).then(|| {
        format!("the secret has {length} bytes: one of fewer than {BYTES_MIN} can be guessed")
    })
}

/// `whsec_` and a key of HMAC in base64, or `whpk_` and a public key of Ed25519 in base64.
fn standard_webhooks(secret: &Secret) -> Option<String> {
    let bytes = secret.expose();
    if bytes.starts_with(b"whsec_") {
        let reason = "after whsec_, the secret is not base64: it verifies nothing";
        return match key_length(secret, KeyForm::Whsec, Algorithm::HmacSha256) {
            None => Some(reason.to_owned()),
            Some(length) if length < BYTES_MIN => Some(format!(
                "the secret is {length} bytes in base64: one of fewer than {BYTES_MIN} can be guessed"
            )),
            Some(_) => None,
        };
    }
    if bytes.starts_with(b"whpk_") {
        let reason = "after whpk_, the secret is not a public key of Ed25519 (32 bytes in base64): it \
                      verifies nothing";
        let is_key = key_length(secret, KeyForm::Whpk, Algorithm::Ed25519).is_some();
        return (!is_key).then(|| reason.to_owned());
    }
    let reason = "the secret begins with neither whsec_ nor whpk_, as all of Standard Webhooks do: it \
                  verifies nothing";
    Some(reason.to_owned())
}

fn unfit_for_header(bytes: &[u8]) -> Option<String> {
    let unfit = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
    let reason = "the secret holds what cannot stand in a header: no request can be made";
    bytes.iter().any(unfit).then(|| reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(secret: &[u8], purpose: Purpose<'_>) -> String {
        doubts(&Secret::new(secret.to_vec()).unwrap(), purpose).join("; ")
    }

    #[test]
    fn what_stands_around_a_secret_is_said() {
        for (secret, wanted) in [
            (&b"top-secret-value"[..], ""),
            (b"top secret value", ""),
            (b"top-secret-value\n", "ends with a line end"),
            (b"top-secret-value\r\n", "ends with a line end"),
            (b"top-secret-value ", "has blanks around it"),
            (b"\ttop-secret-value", "has blanks around it"),
            ("\u{a0}top-secret-value".as_bytes(), "has blanks around it"),
            (b"top-secret-value\0", "has blanks around it"),
            (b"\xef\xbb\xbftop-secret-value", "byte order mark"),
            (b"\xff\xfet\0o\0p\0-\0s\0e\0c\0r\0", "byte order mark"),
            (b"\"top-secret-value\"", "quotation marks"),
            (b" \n\t                         ", "nothing but blanks"),
            (b"short", "has 5 bytes"),
        ] {
            for source in ["github", "generic", "mine"] {
                let said = said(secret, Purpose::Source(source));
                let holds = if wanted.is_empty() { said.is_empty() } else { said.contains(wanted) };
                assert!(holds, "{secret:?}: {said}");
                assert!(!said.contains("top"), "{said}");
            }
        }
    }

    #[test]
    fn a_secret_has_the_form_of_its_scheme() {
        let standard = Purpose::Source("standard-webhooks");
        for (secret, wanted) in [
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""),
            ("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", ""),
            ("whsec_not base64!", "is not base64"),
            ("whsec_", "is not base64"),
            ("whsec_MfKQ", "is 3 bytes"),
            ("whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "not a public key of Ed25519"),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "neither whsec_ nor whpk_"),
        ] {
            let said = said(secret.as_bytes(), standard);
            let holds = if wanted.is_empty() { said.is_empty() } else { said.contains(wanted) };
            assert!(holds, "{secret}: {said}");
        }
        // Other senders use the same beginning, and all of it is their key.
        assert_eq!(said(b"whsec_not base64 at all!", Purpose::Source("stripe")), "");
    }

    #[test]
    fn a_secret_for_a_header_fits_into_one() {
        assert_eq!(said(b"abc", Purpose::Header), "");
        let said = said(b"a\nb\n", Purpose::Header);
        assert!(said.contains("line end") && said.contains("cannot stand in a header"), "{said}");
    }

    #[test]
    fn trimming_leaves_what_is_within() {
        assert_eq!(trimmed("\u{feff} a b \r\n\n".as_bytes()), b"a b");
        assert_eq!(trimmed(b" \xff \n"), b"\xff");
        assert_eq!(trimmed(b" \n"), b"");
    }
}
