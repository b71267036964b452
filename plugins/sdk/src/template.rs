//! What a prompt template is written with: implement [`Template`] and name the type in
//! [`export_template!`](crate::export_template).
//!
//! # Whose words a prompt holds
//! What stands below `data` in an event is the sender's word; all else is the host's. The host
//! records of every prompt whether it holds the sender's words, and an operator may have prompts
//! refused that hold them unfenced. A template says it with [`declare`], once it knows:
//!
//! | [`Content`] | the prompt holds |
//! |---|---|
//! | `Trusted` | nothing of `data`; conditions on it are no words of it |
//! | `Fenced` | some of `data`, all of it within fences that it cannot close, see [`fence`] |
//! | `Unfenced` | some of `data` outside of a fence |
//!
//! The rule goes by field, not by value: a number out of `data` counts as a sentence does, and so
//! do the keys of an object. Said several times, the worst counts. A template that says nothing is
//! taken to have put all it read into its prompt: `Unfenced` when it has asked the event for
//! `data`, for anything below it or for the whole, else `Trusted`.
//!
//! ```no_run
//! use hillock_plugin_sdk::template::*;
//!
//! /// The issue's title below the template's own text.
//! struct Titled;
//!
//! impl Template for Titled {
//!     fn check(_: String) -> Vec<Diagnostic> {
//!         Vec::new()
//!     }
//!
//!     fn render(event: &Event, template: String) -> Result<String, RenderError> {
//!         let path = "data.issue.title";
//!         let title = event.text(path).ok_or(RenderError::MissingField(path.to_owned()))?;
//!         declare(Content::Fenced);
//!         Ok(format!("{template}\n{}", fence(&title)))
//!     }
//! }
//!
//! hillock_plugin_sdk::export_template!(Titled);
//! # fn main() {}
//! ```

pub use crate::bindings::template::exports::hillock::plugin::template::{
    Guest as Template, RenderError,
};
pub use crate::bindings::template::hillock::plugin::provenance::{Content, declare};
pub use crate::diagnostic::Diagnostic;
pub use crate::event::Event;

/// The text in a Markdown code fence that it cannot close: one backtick longer than any run of them
/// in the text, and three at least.
///
/// The fence begins and ends with its backticks. It is one only on lines of its own: put a line end
/// before it and one after it, and no indentation.
pub fn fence(text: &str) -> String {
    let longest = text.split(|char| char != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{ticks}\n{text}{newline}{ticks}")
}

#[cfg(test)]
mod tests {
    use super::fence;

    #[test]
    fn fences_are_longer_than_what_they_hold() {
        for (text, fenced) in [
            ("", "```\n```"),
            ("a", "```\na\n```"),
            ("a\n", "```\na\n```"),
            ("`` ` ``", "```\n`` ` ``\n```"),
            ("```", "````\n```\n````"),
            ("a ````` b ``` c", "``````\na ````` b ``` c\n``````"),
        ] {
            assert_eq!(fence(text), fenced, "{text:?}");
        }
    }
}
