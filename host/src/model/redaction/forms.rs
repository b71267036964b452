//! In which forms a secret is looked for: the whole of it and each of its lines, as they stand, in
//! hexadecimal and in Base64.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::SECRET_BYTES_MIN;

/// How a secret of Standard Webhooks begins; what follows is the secret, too.
const STANDARD_WEBHOOKS: &[u8] = b"whsec_";

/// Every form that is long enough.
pub(super) fn of(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for part in parts(secret) {
        add(&part, &mut forms);
    }
    forms.retain(|form| form.len() >= SECRET_BYTES_MIN);
    forms
}

/// The secret, without blanks around it and under either line end; each of its lines.
fn parts(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let trimmed = secret.trim_ascii();
    let mut parts = BTreeSet::from([secret.to_vec(), trimmed.to_vec()]);
    let lines = lines(trimmed);
    if lines.len() > 1 {
        parts.extend([lines.join(&b"\n"[..]), lines.join(&b"\r\n"[..])]);
        parts.extend(lines.iter().map(|line| line.to_vec()));
    }
    parts.extend(trimmed.strip_prefix(STANDARD_WEBHOOKS).map(<[u8]>::to_vec));
    parts.retain(|part| part.len() >= SECRET_BYTES_MIN);
    parts
}

/// The lines, whatever ends them: a secret may be JSON, with another one in it.
fn lines(secret: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = secret;
    loop {
        let end = (0..rest.len()).find_map(|at| Some((at, line_end(&rest[at..])?)));
        let (line, behind) = match end {
            Some((at, length)) => (&rest[..at], Some(&rest[at + length..])),
            None => (rest, None),
        };
        let line = line.trim_ascii();
        if !line.is_empty() {
            lines.push(line);
        }
        match behind {
            Some(behind) => rest = behind,
            None => return lines,
        }
    }
}

fn line_end(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'\n' | b'\r', ..] => Some(1),
        [b'\\', b'n' | b'r', ..] => Some(2),
        _ => None,
    }
}

fn add(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(secret.to_vec());
    if secret.contains(&b' ') {
        // As a form is sent.
        let plus = |byte: &u8| if *byte == b' ' { b'+' } else { *byte };
        forms.insert(secret.iter().map(plus).collect());
    }
    forms.insert(hex::encode(secret).into());
    forms.insert(hex::encode_upper(secret).into());
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        forms.insert(engine.encode(secret).into());
    }
    for before in 0..3 {
        forms.insert(within_base64(&STANDARD_NO_PAD, secret, before));
        forms.insert(within_base64(&URL_SAFE_NO_PAD, secret, before));
    }
}

/// The characters that a secret alone decides where so many bytes stand before it.
fn within_base64(engine: &impl base64::Engine, secret: &[u8], before: usize) -> Vec<u8> {
    let encoded = engine.encode([&[0; 2][..before], secret].concat()).into_bytes();
    let first = (before * 8).div_ceil(6);
    let end = (before + secret.len()) * 8 / 6;
    encoded[first..end].to_owned()
}
