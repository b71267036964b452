//! Forms as data: an object with a text for each field, and a list of texts for a field that stands
//! there several times.

use std::collections::HashMap;

use hillock_plugin_sdk::source::Rejection;
use serde_json::Value;

const FIELDS_MAX: usize = 10_000;

/// Whether a body is meant as JSON: no form begins like it, for browsers encode brackets.
pub(crate) fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// The fields as JSON text, in the order in which each came first.
pub(crate) fn json(fields: Vec<(String, String)>) -> Result<String, Rejection> {
    if fields.len() > FIELDS_MAX {
        let reason = format!("the form has more than {FIELDS_MAX} fields");
        return Err(Rejection::Malformed(reason));
    }
    let mut places = HashMap::new();
    let mut values: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in fields {
        let place = *places.entry(name.clone()).or_insert(values.len());
        match values.get_mut(place) {
            Some((_, others)) => others.push(value),
            None => values.push((name, vec![value])),
        }
    }
    let entry = |(name, mut values): (String, Vec<String>)| {
        let value = match values.len() {
            1 => values.pop().map(Value::from),
            _ => Some(Value::from(values)),
        };
        format!("{}:{}", Value::from(name), value.unwrap_or_default())
    };
    let entries: Vec<String> = values.into_iter().map(entry).collect();
    Ok(format!("{{{}}}", entries.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_an_object_in_their_order() {
        let fields = [("b", "1"), ("a", "\"x\""), ("b", "2"), ("c", ""), ("", "ä")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let wanted = r#"{"b":["1","2"],"a":"\"x\"","c":"","":"ä"}"#;
        assert_eq!(json(fields).unwrap(), wanted);
        let many = vec![(String::new(), String::new()); FIELDS_MAX + 1];
        assert!(matches!(json(many), Err(Rejection::Malformed(_))));
    }

    #[test]
    fn json_is_told_from_a_form() {
        for (body, wanted) in [
            (&b" \n{\"a\":1}"[..], true),
            (b"[1]", true),
            (b"a=1&b=2", false),
            (b"%7B%7D", false),
            (b"", false),
        ] {
            assert_eq!(is_json(body), wanted, "{body:?}");
        }
    }
}
