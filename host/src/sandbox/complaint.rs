//! What a guest writes to its standard error: the last of it, to tell why it crashed.
//!
//! It is kept for the time of one call and shown to operators only, in one line and without the
//! secrets that this host knows: a source component has read a sender's headers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::model::redaction::Redaction;

/// How much is told, in bytes: a message, and what a small backtrace takes.
const TOLD_BYTES_MAX: usize = 2 * 1024;
/// How much is kept, in bytes: more, so that no half of a secret is told that began before it.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// How much may be written at once, in bytes.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// A guest's standard error.
#[derive(Clone, Debug, Default)]
pub(super) struct Complaint(Arc<Mutex<VecDeque<u8>>>);

impl Complaint {
    /// Forgets what was written so far.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// The last of what was written, in one line; none when that is nothing.
    pub(super) fn told(&self, redaction: &Redaction) -> Option<String> {
        let bytes: Vec<u8> = self.lock().iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        // Whole before it is cut into lines, since a secret may have several.
        let line = one_line(&redaction.text(text));
        (!line.is_empty()).then_some(line)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, bytes: &[u8]) {
        let mut kept = self.lock();
        kept.extend(&bytes[bytes.len().saturating_sub(KEPT_BYTES_MAX)..]);
        let over = kept.len().saturating_sub(KEPT_BYTES_MAX);
        kept.drain(..over);
    }
}

/// The lines of a text in one, and nothing in it that a terminal would take for an order.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" | ");
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let line: String = line.chars().map(plain).collect();
    match line.len().checked_sub(TOLD_BYTES_MAX) {
        None | Some(0) => line,
        Some(over) => format!("…{}", &line[line.ceil_char_boundary(over)..]),
    }
}

impl IsTerminal for Complaint {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Complaint {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Complaint {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Complaint {
    async fn ready(&mut self) {}
}

/// What the sandbox keeps from operators, too; replaced as definitions change.
#[derive(Debug, Default)]
pub(super) struct Secrets(RwLock<Arc<Redaction>>);

impl Secrets {
    pub(super) fn set(&self, redaction: Redaction) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(redaction);
    }

    pub(super) fn redaction(&self) -> Arc<Redaction> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    fn told(parts: &[&[u8]], redaction: &Redaction) -> Option<String> {
        let complaint = Complaint::default();
        parts.iter().for_each(|part| complaint.write(part));
        complaint.told(redaction)
    }

    #[test]
    fn it_is_told_in_one_harmless_line() {
        let nothing = Redaction::default();
        for (written, wanted) in [
            (&b""[..], None),
            (b" \n\n", None),
            (
                b"panicked at lib.rs:1:2:\nno  such thing\n",
                Some("panicked at lib.rs:1:2: | no  such thing"),
            ),
            (b"\x1b[31mred\x07\x00 \xff", Some("\u{fffd}[31mred\u{fffd}\u{fffd} \u{fffd}")),
        ] {
            assert_eq!(told(&[written], &nothing).as_deref(), wanted, "{written:?}");
        }
    }

    #[test]
    fn the_last_of_it_is_kept() {
        let nothing = Redaction::default();
        let long = told(&[&[b'a'; 100_000], b"end"], &nothing).unwrap();
        assert!(long.starts_with("…a") && long.ends_with("aend"));
        assert_eq!(long.len(), TOLD_BYTES_MAX + 3);
        let many: Vec<&[u8]> = vec![b"0123456789"; 10_000];
        assert_eq!(told(&many, &nothing).unwrap().len(), TOLD_BYTES_MAX + 3);
        let complaint = Complaint::default();
        complaint.write(b"before");
        complaint.clear();
        assert_eq!(complaint.told(&nothing), None);
    }

    #[test]
    fn secrets_are_not_told() {
        let secret = Secret::new("correct horse".into()).unwrap();
        let redaction = Redaction::of([&secret]).unwrap();
        let line = told(&[b"bad token: correct ", b"horse!"], &redaction).unwrap();
        assert_eq!(line, "bad token: [redacted]!");
        let cut = told(&[b"correct horse", &[b'a'; TOLD_BYTES_MAX - 6]], &redaction).unwrap();
        assert!(!cut.contains("horse") && cut.contains("acted]a"), "{}", &cut[..20]);
    }
}
