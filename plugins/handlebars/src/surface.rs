//! What is refused before the text is parsed: forms that the parser reads in its own way or
//! explains badly, and nesting that would cost more stack than a component has.
//!
//! The scan takes the first `}}` for a tag's end, within quotes too. What gets past it that way is
//! still the parser's to refuse, or ends the call.

use hillock_plugin_sdk::template::Diagnostic;

const BLOCKS_DEEP_MAX: usize = 32;
const BRACKETS_DEEP_MAX: usize = 16;

/// One diagnostic for each tag that is refused.
pub(crate) fn refusals(source: &str) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut blocks_deep = 0_usize;
    for Tag { offset, inside } in Tags::of(source) {
        let body = inside.trim_start_matches('~').trim_start();
        let mut reason = refusal(inside, body);
        if body.starts_with('#') {
            blocks_deep += 1;
            if blocks_deep == BLOCKS_DEEP_MAX + 1 {
                reason = Some(format!("blocks are nested deeper than {BLOCKS_DEEP_MAX}"));
            }
        } else if body.starts_with('/') {
            blocks_deep = blocks_deep.saturating_sub(1);
        }
        diagnostics.extend(reason.map(|reason| Diagnostic::at(position(source, offset), reason)));
    }
    diagnostics
}

fn refusal(inside: &str, body: &str) -> Option<String> {
    if inside.starts_with("{{") {
        return Some("raw blocks are not supported; write \\{{ for a literal {{".to_owned());
    }
    if body.starts_with('^') {
        return Some("`^` is not supported; write {{else}} or {{#unless …}}".to_owned());
    }
    if body.trim_matches(['{', '}', '~', ' ']) == "." {
        return Some("`.` is not supported; write `this`".to_owned());
    }
    if brackets_deep(body) > BRACKETS_DEEP_MAX {
        return Some(format!("brackets are nested deeper than {BRACKETS_DEEP_MAX}"));
    }
    None
}

fn brackets_deep(body: &str) -> usize {
    let mut deep = 0_usize;
    let mut deepest = 0;
    for byte in body.bytes() {
        match byte {
            b'(' | b'[' | b'{' => deep += 1,
            b')' | b']' | b'}' => deep = deep.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(deep);
    }
    deepest
}

/// Line and column, both from one, in characters.
fn position(source: &str, offset: usize) -> String {
    let before = &source[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
    format!("{line}:{column}")
}

struct Tag<'a> {
    offset: usize,
    /// What stands between the opening `{{` and the next `}}`.
    inside: &'a str,
}

/// The tags of a template, without comments and what a backslash takes for text.
struct Tags<'a> {
    source: &'a str,
    from: usize,
}

impl<'a> Tags<'a> {
    fn of(source: &'a str) -> Self {
        Self { source, from: 0 }
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let offset = self.from + self.source[self.from..].find("{{")?;
            let rest = &self.source[offset + 2..];
            let close = if rest.starts_with("!--") { "--}}" } else { "}}" };
            let length = rest.find(close).unwrap_or(rest.len());

            let backslashes =
                self.source[self.from..offset].bytes().rev().take_while(|b| *b == b'\\').count();
            if backslashes == 1 {
                self.from = offset + 2;
                continue;
            }
            self.from = offset + 2 + length;
            if !rest.starts_with('!') {
                return Some(Tag { offset, inside: &rest[..length] });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(source: &str) -> Vec<String> {
        refusals(source).into_iter().map(|diagnostic| diagnostic.path).collect()
    }

    #[test]
    fn forms_are_refused_where_they_stand() {
        assert_eq!(
            positions("a {{.}}\nä{{~ ^x}} {{{ . }}} {{{{raw}}}}"),
            ["1:3", "2:2", "2:11", "2:21"]
        );
    }

    #[test]
    fn comments_and_escapes_are_text() {
        assert!(positions(r"{{! {{.}} {{!-- }} {{^}} --}} \{{.}} {{data.x}}").is_empty());
        assert_eq!(positions(r"\\{{.}}").len(), 1);
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(positions(&"{{#if data.x}}".repeat(32)).is_empty());
        assert_eq!(positions(&"{{#if data.x}}".repeat(40)).len(), 1);
        assert_eq!(positions(&format!("{{{{json {}", "(".repeat(17))).len(), 1);
    }
}
