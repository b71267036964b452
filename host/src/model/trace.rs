//! Which trace something belongs to, as W3C Trace Context writes it: `traceparent`, version 00.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A place in a trace: what belongs to it, and comes after it, names it as its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

/// It is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent of version 00, such as 00-<32 hex digits>-<16 hex digits>-01")]
pub struct NotATraceParent;

/// Whoever records traces records this one.
const SAMPLED: u8 = 1;

impl TraceParent {
    /// The first place of a new trace. Identifiers of nothing but noughts mean nothing: they are
    /// not given.
    pub fn begin(trace: [u8; 16], span: [u8; 8]) -> Self {
        Self { trace, span, flags: SAMPLED }
    }

    /// A place that comes after this one.
    pub fn child(&self, span: [u8; 8]) -> Self {
        Self { trace: self.trace, span, flags: self.flags }
    }

    /// The same place, with the word on whether it is recorded.
    #[must_use]
    pub fn sampled(self, sampled: bool) -> Self {
        Self { flags: if sampled { SAMPLED } else { 0 }, ..self }
    }

    /// The trace.
    pub fn trace(&self) -> [u8; 16] {
        self.trace
    }

    /// The place in it.
    pub fn span(&self) -> [u8; 8] {
        self.span
    }

    /// Whether it is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    fn from_str(text: &str) -> Result<Self, NotATraceParent> {
        let lower = !text.bytes().any(|c| c.is_ascii_uppercase());
        let parts: Vec<&str> = text.split('-').collect();
        let ["00", trace, span, flags] = parts[..] else { return Err(NotATraceParent) };
        let (mut parent, mut flag) = (Self { trace: [0; 16], span: [0; 8], flags: 0 }, [0; 1]);
        hex::decode_to_slice(trace, &mut parent.trace).map_err(|_| NotATraceParent)?;
        hex::decode_to_slice(span, &mut parent.span).map_err(|_| NotATraceParent)?;
        hex::decode_to_slice(flags, &mut flag).map_err(|_| NotATraceParent)?;
        let meant = lower && parent.trace != [0; 16] && parent.span != [0; 8];
        if meant { Ok(Self { flags: flag[0], ..parent }) } else { Err(NotATraceParent) }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, flags } = self;
        write!(f, "00-{}-{}-{flags:02x}", hex::encode(trace), hex::encode(span))
    }
}

impl TryFrom<String> for TraceParent {
    type Error = NotATraceParent;
    fn try_from(text: String) -> Result<Self, NotATraceParent> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(parent: TraceParent) -> Self {
        parent.to_string()
    }
}

impl JsonSchema for TraceParent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TraceParent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_traceparent_is_one() {
        for (text, good) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("", false),
        ] {
            let parsed = text.parse::<TraceParent>();
            assert_eq!(parsed.is_ok(), good, "{text}");
            assert!(parsed.map_or(true, |parent| parent.to_string() == text), "{text}");
        }
    }

    #[test]
    fn a_child_is_of_the_same_trace() {
        let parent = TraceParent::begin([7; 16], [1; 8]).sampled(false);
        let child = parent.child([2; 8]);
        assert_eq!((child.trace(), child.span()), (parent.trace(), [2; 8]));
        assert!(!child.is_sampled());
    }
}
