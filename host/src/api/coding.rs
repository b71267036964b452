//! Content codings of bodies (RFC 9110, section 8.4.1): what is read, and how far it may unfold.

use std::io::{self, BufRead, Read};

use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::problem::Problem;

/// What [`decoded`] reads, as `Accept-Encoding` says it.
pub(super) const READ: &str = "gzip, deflate";
/// How much is unfolded at a time, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// The body without its coding, of at most `bytes_max`. `room` is asked with the size of each piece
/// before it is kept, and may refuse it, so a body costs no more than it is allowed to, however little
/// of it was sent.
///
/// # Errors
/// When the coding is not one that is read here, the body is not of it, or it is too large.
pub(super) fn decoded(
    headers: &HeaderMap,
    sent: &Bytes,
    bytes_max: usize,
    mut room: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let coding = Coding::of(headers)?;
    let mut decoder = match coding {
        Coding::Gzip if !sent.is_empty() => Decoder::Gzip(MultiGzDecoder::new(&sent[..])),
        Coding::Deflate if is_zlib(sent) => Decoder::Zlib(ZlibDecoder::new(&sent[..])),
        Coding::Deflate if !sent.is_empty() => Decoder::Deflate(DeflateDecoder::new(&sent[..])),
        _ => return Ok(sent.clone()),
    };
    let mut content = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let bytes = decoder.read(&mut piece).map_err(broken)?;
        if bytes == 0 {
            return decoder.end().map_err(broken).map(|()| content.into());
        }
        if content.len() + bytes > bytes_max {
            return Err(too_large(bytes_max));
        }
        room(bytes)?;
        content.extend_from_slice(&piece[..bytes]);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Deflate,
}

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut found = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = value.to_str().map_err(|_| unread("what is not text"))?;
            for word in value.split(',').map(str::trim) {
                let coding = match word.to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => return Err(unread(value)),
                };
                // One within the other unfolds twice.
                if found != Self::Identity {
                    return Err(unread(value));
                }
                found = coding;
            }
        }
        Ok(found)
    }
}

/// RFC 9110 means zlib's format by `deflate` (RFC 1950); some senders leave its header out.
fn is_zlib(sent: &[u8]) -> bool {
    let [method, flags, ..] = sent else { return false };
    method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0
}

enum Decoder<'s> {
    Gzip(MultiGzDecoder<&'s [u8]>),
    Zlib(ZlibDecoder<&'s [u8]>),
    Deflate(DeflateDecoder<&'s [u8]>),
}

impl Decoder<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(into),
            Self::Zlib(decoder) => decoder.read(into),
            Self::Deflate(decoder) => decoder.read(into),
        }
    }

    /// Nothing stands behind what was decoded: another reader would take that for something else.
    fn end(self) -> io::Result<()> {
        let mut rest = match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zlib(decoder) => decoder.into_inner(),
            Self::Deflate(decoder) => decoder.into_inner(),
        };
        match rest.fill_buf()? {
            [] => Ok(()),
            _ => Err(io::Error::other("something stands behind its end")),
        }
    }
}

fn unread(said: &str) -> Problem {
    let title = "this content coding is not read here";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", title)
        .detail(format!("`Content-Encoding` says {said}; read are {READ}, one at a time"))
        .telling_codings()
}

fn broken(error: io::Error) -> Problem {
    let title = "the body is not of its content coding";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed_encoding", title).detail(error)
}

fn too_large(bytes_max: usize) -> Problem {
    let title = "the body is larger than is accepted here";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", title)
        .detail(format!("it unfolds to more than {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"{\"a\": [1, 2, 3]}";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn read(values: &[&str], sent: Vec<u8>) -> Result<Bytes, String> {
        let read = decoded(&headers(values), &sent.into(), 1000, |_| Ok(()));
        read.map_err(|problem| serde_json::to_value(problem).unwrap()["code"].to_string())
    }

    #[test]
    fn what_is_coded_is_read() {
        for (values, sent) in [
            (&[][..], TEXT.to_vec()),
            (&["identity"], TEXT.to_vec()),
            (&[""], TEXT.to_vec()),
            (&["gzip"], gzip(TEXT)),
            (&["X-GZip"], gzip(TEXT)),
            (&["identity, gzip"], gzip(TEXT)),
            (&["gzip"], [gzip(&TEXT[..5]), gzip(&TEXT[5..])].concat()),
            (&["deflate"], zlib(TEXT)),
            (&["deflate"], deflate(TEXT)),
        ] {
            assert_eq!(read(values, sent).as_deref(), Ok(TEXT), "{values:?}");
        }
        assert_eq!(read(&["gzip"], vec![]).as_deref(), Ok(&b""[..]));
        assert_eq!(read(&["deflate"], vec![]).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn what_is_not_of_its_coding_is_refused() {
        let cut = |mut bytes: Vec<u8>| {
            bytes.truncate(bytes.len() - 5);
            bytes
        };
        for (value, sent) in [
            ("gzip", TEXT.to_vec()),
            ("gzip", zlib(TEXT)),
            ("gzip", cut(gzip(TEXT))),
            ("gzip", [gzip(TEXT), b"more".to_vec()].concat()),
            ("deflate", cut(zlib(TEXT))),
            ("deflate", [zlib(TEXT), b"more".to_vec()].concat()),
            ("deflate", [0xff; 40].to_vec()),
        ] {
            assert_eq!(read(&[value], sent), Err("\"malformed_encoding\"".to_owned()), "{value}");
        }
        for values in [&["br"][..], &["zstd"], &["gzip, br"], &["gzip, gzip"], &["gzip", "gzip"]] {
            let refused = read(values, gzip(TEXT));
            assert_eq!(refused, Err("\"unsupported_encoding\"".to_owned()), "{values:?}");
        }
    }

    #[test]
    fn nothing_unfolds_beyond_its_bounds() {
        let bomb = gzip(&vec![b' '; 50_000_000]);
        let mut room = 0;
        let too_large = decoded(&headers(&["gzip"]), &bomb.clone().into(), 1_000_000, |bytes| {
            room += bytes;
            Ok(())
        });
        let code = serde_json::to_value(too_large.unwrap_err()).unwrap()["code"].clone();
        assert_eq!(code, "body_too_large");
        assert!((900_000..=1_000_000).contains(&room), "{room}");
        let full = || Problem::unavailable("overloaded", "full");
        let refused = decoded(&headers(&["gzip"]), &bomb.into(), 1_000_000, |_| Err(full()));
        assert_eq!(serde_json::to_value(refused.unwrap_err()).unwrap()["code"], "overloaded");
        assert_eq!(read(&["gzip"], gzip(&[b' '; 1000])).unwrap().len(), 1000);
        assert!(read(&["gzip"], gzip(&[b' '; 1001])).is_err());
    }
}
