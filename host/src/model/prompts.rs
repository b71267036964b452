//! Partials: parts of prompts that have a name, and that templates of `handlebars` put in with
//! `{{> name}}`.
//!
//! A template component is given one text. So what a template names is put behind it as inline
//! partials, which is Handlebars' own way to define them: `{{#*inline "name"}}…{{/inline}}`. All
//! that the template itself says stays in its place, and what is found wrong behind it is the
//! partial's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The partials, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompts(BTreeMap<String, String>);

impl Prompts {
    /// These.
    pub fn new(partials: BTreeMap<String, String>) -> Self {
        Self(partials)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A template with the partials that it names behind it, and those that these name.
    pub fn compose<'t>(&self, template: &'t str) -> Composed<'t> {
        let names = self.named_by(template);
        if names.is_empty() {
            return Composed { text: Cow::Borrowed(template), partials: Vec::new() };
        }
        self.behind(template, names)
    }

    fn behind<'n>(
        &self,
        template: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Composed<'static> {
        let mut text = format!("{template}\n");
        let mut line = text.matches('\n').count() + 1;
        let mut partials = Vec::new();
        for name in names {
            let part = format!("{{{{#*inline \"{name}\"}}}}\n{}{{{{/inline}}}}\n", self.0[name]);
            let lines = part.matches('\n').count();
            partials.push((name.to_owned(), line..line + lines));
            line += lines;
            text.push_str(&part);
        }
        Composed { text: Cow::Owned(text), partials }
    }

    /// All of them and nothing else: what a component finds wrong with that is wrong with them,
    /// whoever names them. None when there are none.
    pub fn alone(&self) -> Option<Composed<'static>> {
        (!self.0.is_empty()).then(|| self.behind("", self.0.keys().map(String::as_str)))
    }

    /// Whether a template names any partial.
    pub fn is_named_in(template: &str) -> bool {
        names_in(template).next().is_some()
    }

    fn named_by(&self, template: &str) -> BTreeSet<&str> {
        let mut known: BTreeSet<&str> = BTreeSet::new();
        let mut texts = vec![template];
        while let Some(text) = texts.pop() {
            for name in names_in(text) {
                let Some((name, partial)) = self.0.get_key_value(name) else { continue };
                if !defines(template, name) && known.insert(name) {
                    texts.push(partial);
                }
            }
        }
        known
    }
}

/// A template as its component is given it.
#[derive(Debug)]
pub struct Composed<'t> {
    /// What the component reads.
    pub text: Cow<'t, str>,
    /// Which lines of it are whose; the first is the tag that defines it.
    partials: Vec<(String, Range<usize>)>,
}

impl Composed<'_> {
    /// Which partial a place, as `line:column`, stands in, and where in it.
    pub fn in_partial(&self, place: &str) -> Option<(&str, String)> {
        let (line, column) = place.split_once(':')?;
        let line: usize = line.parse().ok()?;
        let (name, lines) = self.partials.iter().find(|(_, lines)| lines.contains(&line))?;
        let line = line.saturating_sub(lines.start).max(1);
        Some((name, format!("{line}:{column}")))
    }
}

/// Whether a template defines a partial of this name itself.
fn defines(template: &str, name: &str) -> bool {
    ['"', '\''].iter().any(|mark| template.contains(&format!("inline {mark}{name}{mark}")))
}

/// What stands behind each `{{>` of a text.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|tag| {
        let name = tag.strip_prefix('~').unwrap_or(tag).strip_prefix('>')?.trim_start();
        let (name, end): (_, &[char]) = match name.chars().next()? {
            '"' => (&name[1..], &['"']),
            '\'' => (&name[1..], &['\'']),
            '[' => (&name[1..], &[']']),
            _ => (name, &[' ', '\t', '\r', '\n', '~', '}']),
        };
        Some(&name[..name.find(end)?])
    })
}

/// Whether partials may have this name.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    let sound = name.starts_with(|char: char| char.is_ascii_alphanumeric())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char))
        && name.len() <= NAME_CHARS_MAX;
    sound.then_some(()).ok_or_else(|| {
        format!(
            "a partial's name has 1 to {NAME_CHARS_MAX} of letters, digits, `-`, `_` and `.`, and \
             begins with a letter or digit"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts() -> Prompts {
        let partials = [("footer", "By {{> team}}\n"), ("team", "us"), ("other", "{{kind}}")];
        Prompts::new(partials.map(|(name, text)| (name.to_owned(), text.to_owned())).into())
    }

    #[test]
    fn what_is_named_goes_along_and_nothing_else() {
        for template in ["{{kind}}", "no tags", "{{> nothing}}", "{{!> footer}}"] {
            assert_eq!(prompts().compose(template).text, template);
        }
        assert_eq!(
            prompts().compose("Do it.\n{{> footer}}").text,
            "Do it.\n{{> footer}}\n{{#*inline \"footer\"}}\nBy {{> team}}\n{{/inline}}\n\
             {{#*inline \"team\"}}\nus{{/inline}}\n"
        );
        for template in ["{{~> team~}}", "{{>team}}", "{{> \"team\" x=1}}", "{{>[team]}}"] {
            assert!(prompts().compose(template).text.contains("inline \"team\""), "{template}");
            assert!(Prompts::is_named_in(template));
        }
        let own = "{{> team}}{{#*inline \"team\"}}mine{{/inline}}";
        assert_eq!(prompts().compose(own).text, own);
    }

    #[test]
    fn a_place_is_the_templates_or_a_partials() {
        let composed = prompts().compose("Do it.\n{{> footer}}");
        for (place, found) in [
            ("1:1", None),
            ("2:5", None),
            ("3:1", Some(("footer", "1:1"))),
            ("4:4", Some(("footer", "1:4"))),
            ("5:1", Some(("footer", "2:1"))),
            ("7:3", Some(("team", "1:3"))),
            ("9:1", None),
            ("data.x", None),
            ("", None),
        ] {
            let told = composed.in_partial(place);
            assert_eq!(told.as_ref().map(|(name, at)| (*name, at.as_str())), found, "{place}");
        }
    }

    #[test]
    fn names_are_bounded() {
        for name in ["a", "Footer", "1.b-c_d"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".a", "a b", "a/b", "ä", "a\"b", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
