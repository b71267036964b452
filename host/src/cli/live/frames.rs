//! Server-sent events, cut out of the bytes of a stream (WHATWG HTML, section 9.2.6).
//!
//! Lines end in LF or CRLF, which is what hosts send; a comment, a field of another name and a frame
//! without data are passed over.

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// What kind it is.
    pub(super) name: String,
    /// What to come back with.
    pub(super) id: Option<String>,
    /// What it says.
    pub(super) data: String,
}

/// Cuts a stream. Where the reads happened to end makes no difference.
#[derive(Debug, Default)]
pub(super) struct Frames {
    unfinished: Vec<u8>,
    frame: Frame,
}

impl Frames {
    /// The events that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut whole = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.unfinished.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.unfinished);
                let line = String::from_utf8_lossy(&line);
                whole.extend(self.line(line.trim_end_matches(['\n', '\r'])));
            }
        }
        whole
    }

    /// Takes a line, and gives the event that it ends.
    fn line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            return (!frame.data.is_empty()).then_some(frame);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.frame.name),
            "id" => self.frame.id = Some(value.to_owned()),
            "data" => {
                if !self.frame.data.is_empty() {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, id: Option<&str>, data: &str) -> Frame {
        Frame { name: name.to_owned(), id: id.map(str::to_owned), data: data.to_owned() }
    }

    #[test]
    fn frames_come_out_wherever_the_reads_end() {
        let text = ": alive\n\nretry: 1000\nevent: log\nid: l1-e0\ndata: {\"a\":\"é:\"}\n\n\
                    event:log\r\ndata:one\r\ndata: two\r\n\r\nevent: none\n\ndata: unfinished";
        let wanted =
            [frame("log", Some("l1-e0"), "{\"a\":\"é:\"}"), frame("log", None, "one\ntwo")];
        for size in [1, 2, 7, text.len()] {
            let mut frames = Frames::default();
            let found: Vec<Frame> =
                text.as_bytes().chunks(size).flat_map(|bytes| frames.push(bytes)).collect();
            assert_eq!(found, wanted, "in pieces of {size}");
        }
    }
}
