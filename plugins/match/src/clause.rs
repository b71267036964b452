//! One field and the text that it must have.

use hillock_plugin_sdk::filter::Event;

const SHOWN_CHARS_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Clause {
    pub(crate) path: String,
    pub(crate) wanted: String,
}

impl Clause {
    /// Why an event does not satisfy the clause; `None` when it does.
    pub(crate) fn broken_by(&self, event: &Event) -> Option<String> {
        let Self { path, wanted } = self;
        match event.text(path) {
            Some(actual) if actual == *wanted => None,
            Some(actual) => {
                Some(format!("{path} is `{}`, not `{}`", shortened(&actual), shortened(wanted)))
            }
            None if event.get(path).is_some() => Some(format!("{path} is not a scalar")),
            None => Some(format!("{path} is missing")),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn long_values_are_cut_at_a_character() {
        assert_eq!(shortened("opened"), "opened");
        assert_eq!(shortened(&"ä".repeat(64)), "ä".repeat(64));
        assert_eq!(shortened(&"ä".repeat(65)), format!("{}…", "ä".repeat(64)));
    }
}
