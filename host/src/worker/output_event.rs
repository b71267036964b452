//! What a program tells: a line of its standard output that is one JSON object with a `type`, which
//! is a kind. Everything else that it writes is log.

use serde_json::Value;

use super::backlog::weight;
use crate::model::json;
use crate::model::name::Kind;

/// The largest event, in bytes. A larger one is a log line.
pub(super) const EVENT_BYTES_MAX: usize = 64 * 1024;

/// What a line told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    /// Its type.
    pub(super) kind: Kind,
    /// All of it.
    pub(super) data: Value,
}

/// Whether a line that begins like this may come to tell something.
pub(super) fn may_tell(beginning: &[u8]) -> bool {
    json::unmarked(beginning).trim_ascii_start().first().is_none_or(|&byte| byte == b'{')
}

/// What the line tells, if it does.
pub(super) fn read(line: &[u8]) -> Option<Told> {
    if line.len() > EVENT_BYTES_MAX || !json::unmarked(line).trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let data: Value = json::read(line).ok()?;
    let kind = data.get("type")?.as_str()?.parse().ok()?;
    // Numbers may be longer in the spelling that they are sent in.
    (weight(&data) <= EVENT_BYTES_MAX).then_some(Told { kind, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_with_a_kind_for_a_type_is_an_event() {
        for (line, kind) in [
            (r#"{"type":"result","data":{"n":1}}"#, Some("result")),
            ("  {\"type\": \"tool.call\"} \r", Some("tool.call")),
            (r#"{"type":"waiting_for_input","prompt":"Which one?"}"#, Some("waiting_for_input")),
            (r#"{"retry_after":3}"#, None),
            (r#"{"type":3}"#, None),
            (r#"{"type":"Tool Call"}"#, None),
            (r#"{"type":""}"#, None),
            (r#"["type"]"#, None),
            (r#"{"type":"a"} and more"#, None),
            (r#"{"type":"a""#, None),
            (r#"x {"type":"a"}"#, None),
            ("", None),
        ] {
            let told = read(line.as_bytes());
            assert_eq!(told.as_ref().map(|told| told.kind.as_str()), kind, "{line}");
            if let Some(told) = told {
                assert_eq!(told.data, serde_json::from_str::<Value>(line).unwrap());
            }
        }
        assert_eq!(read(b"{\"type\":\"a\",\"text\":\"\xff\"}"), None, "JSON is UTF-8");
    }

    #[test]
    fn what_is_too_large_stays_a_line() {
        let sized = |bytes: usize| {
            let rest = bytes - r#"{"text":"","type":"a"}"#.len();
            format!(r#"{{"text":"{}","type":"a"}}"#, "x".repeat(rest))
        };
        assert!(read(sized(EVENT_BYTES_MAX).as_bytes()).is_some());
        assert!(read(sized(EVENT_BYTES_MAX + 1).as_bytes()).is_none());
        let numbers = vec!["1e15"; 13_000].join(",");
        let grows = format!(r#"{{"type":"a","n":[{numbers}]}}"#);
        assert!(grows.len() < EVENT_BYTES_MAX && read(grows.as_bytes()).is_none());
    }
}
