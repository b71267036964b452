//! From a body's `type` to an event's kind.
//!
//! Upper case becomes lower case, and whatever is not a letter, a digit, `_`, `-` or `.` becomes
//! `_`: `invoice.paid` is `webhook.invoice.paid`, `User/Created` is `webhook.user_created`. A type
//! that is empty, has an empty segment or is longer than 100 characters is not used: the kind is
//! then `webhook`.

const TYPE_CHARS_MAX: usize = 100;

pub(crate) fn of(kind: Option<&str>) -> String {
    match kind {
        Some(kind) if is_usable(kind) => format!("webhook.{}", normalised(kind)),
        _ => "webhook".to_owned(),
    }
}

fn is_usable(kind: &str) -> bool {
    kind.chars().count() <= TYPE_CHARS_MAX && kind.split('.').all(|segment| !segment.is_empty())
}

fn normalised(kind: &str) -> String {
    kind.chars()
        .map(|char| match char.to_ascii_lowercase() {
            lower @ ('a'..='z' | '0'..='9' | '_' | '-' | '.') => lower,
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn types_become_kinds() {
        for (kind, expected) in [
            (Some("invoice.paid"), "webhook.invoice.paid"),
            (Some("Invoice.PAID-now"), "webhook.invoice.paid-now"),
            (Some("User/Created"), "webhook.user_created"),
            (Some("größe"), "webhook.gr__e"),
            (Some(""), "webhook"),
            (Some(".paid"), "webhook"),
            (Some("invoice..paid"), "webhook"),
            (Some(&"x".repeat(101)), "webhook"),
            (None, "webhook"),
        ] {
            assert_eq!(of(kind), expected, "{kind:?}");
        }
    }
}
