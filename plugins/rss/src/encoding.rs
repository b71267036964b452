//! Bytes become text, as those who read feeds in practice do it.
//!
//! A byte order mark decides (RFC 7303, section 3), then how UTF-16 looks, then the charset of
//! `Content-Type`, then the XML declaration; else it is UTF-8. Names are those of the WHATWG
//! Encoding Standard, so `ISO-8859-1` is windows-1252. What is declared wrong and recognisably
//! something else is read as what it is: servers say `ISO-8859-1` of UTF-8, and the other way round.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How far the declaration is looked for, in bytes.
const DECLARATION_BYTES_MAX: usize = 1024;
/// How much of a name is repeated in an error, in bytes.
const LABEL_BYTES_MAX: usize = 40;

/// The text of a document that came with this `Content-Type`.
///
/// # Errors
/// When it is in an encoding that is not known.
pub(crate) fn decoded<'d>(
    document: &'d [u8],
    content_type: Option<&str>,
) -> Result<Cow<'d, str>, String> {
    if let Some((encoding, mark_bytes)) = Encoding::for_bom(document) {
        return Ok(encoding.decode_without_bom_handling(&document[mark_bytes..]).0);
    }
    if let Some(encoding) = utf_16_by_its_look(document) {
        return Ok(encoding.decode_without_bom_handling(document).0);
    }
    let labels = [content_type.and_then(charset), declared(document)];
    let named: Vec<&Encoding> = labels.iter().flatten().filter_map(|label| known(label)).collect();
    match (str::from_utf8(document), named.first()) {
        (Ok(text), named) if named.is_none_or(|named| is_utf_8(text, named)) => Ok(text.into()),
        (_, None) => match labels.into_iter().flatten().next() {
            Some(label) => Err(unknown(&label)),
            None => Ok(undeclared(document)),
        },
        (_, Some(first)) => Ok(by_name(document, first, &named)),
    }
}

/// Whether text that can be read as UTF-8 is UTF-8, whatever it is called: letters of no
/// single-byte encoding follow each other in that way, and plain ASCII is the same in all but one.
fn is_utf_8(text: &str, named: &'static Encoding) -> bool {
    named == UTF_8 || named.is_single_byte() || (text.is_ascii() && named.is_ascii_compatible())
}

/// Reads it as what it is called first; as what else it is called, or as what is undeclared, when it
/// is called UTF-8 and is not.
fn by_name<'d>(
    document: &'d [u8],
    first: &'static Encoding,
    named: &[&'static Encoding],
) -> Cow<'d, str> {
    if first != UTF_8 {
        return first.decode_without_bom_handling(document).0;
    }
    let other = named.iter().find(|encoding| **encoding != UTF_8);
    match other
        .and_then(|other| other.decode_without_bom_handling_and_without_replacement(document))
    {
        Some(text) => text,
        None => undeclared(document),
    }
}

/// UTF-8 with faults, where there is anything that only UTF-8 has; else windows-1252, the commonest
/// of what is left undeclared.
fn undeclared(document: &[u8]) -> Cow<'_, str> {
    let is_utf_8 = document.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
    match is_utf_8 {
        true => String::from_utf8_lossy(document),
        false => WINDOWS_1252.decode_without_bom_handling(document).0,
    }
}

/// UTF-16 without a mark: its first character is one of ASCII (XML 1.0, appendix F).
fn utf_16_by_its_look(document: &[u8]) -> Option<&'static Encoding> {
    match document {
        [0, b'<' | b'{', 0, second, ..] if *second != 0 => Some(UTF_16BE),
        [b'<' | b'{', 0, second, 0, ..] if *second != 0 => Some(UTF_16LE),
        _ => None,
    }
}

/// A name's encoding. A document whose declaration could be read as ASCII is not in UTF-16, whatever
/// it says.
fn known(label: &str) -> Option<&'static Encoding> {
    let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

fn unknown(label: &str) -> String {
    let label: String = label.chars().filter(|c| !c.is_control()).collect();
    let end = label.floor_char_boundary(LABEL_BYTES_MAX);
    format!("its encoding `{}` is not one that is known", &label[..end])
}

/// The parameter `charset`, in quotation marks or without.
fn charset(content_type: &str) -> Option<String> {
    let mut parameters = content_type.split(';').skip(1).filter_map(|part| part.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    let value = value.trim().trim_matches(['"', '\'']).trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// What the XML declaration says.
fn declared(document: &[u8]) -> Option<String> {
    let head = &document[..document.len().min(DECLARATION_BYTES_MAX)];
    let head = String::from_utf8_lossy(head);
    let declaration = head.trim_start().strip_prefix("<?xml")?.split_once("?>")?.0;
    let (_, rest) = declaration.split_once("encoding")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let value = value[1..].split(quote).next()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests;
