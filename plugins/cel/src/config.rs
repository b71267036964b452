//! From a configuration to its expression.

use hillock_plugin_sdk::filter::Diagnostic;
use serde_json::Value;

use crate::expression::Expression;

const SHAPE: &str =
    "a CEL expression is text, or { expression = text }, such as \"data.action == 'opened'\"";

/// The expression of a configuration, or all that is wrong with it.
pub(crate) fn compile(config: &str) -> Result<Expression, Vec<Diagnostic>> {
    let config = serde_json::from_str(config).map_err(|error| vec![not_json(&error)])?;
    let (path, text) = expression(config)?;
    Expression::compile(&text).map_err(|problems| {
        problems.iter().map(|problem| Diagnostic::at(path, problem.to_string())).collect()
    })
}

/// The text, and its path within the configuration.
fn expression(config: Value) -> Result<(&'static str, String), Vec<Diagnostic>> {
    let object = match config {
        Value::String(text) => return Ok(("", text)),
        Value::Object(object) => object,
        _ => return Err(vec![Diagnostic::at("", SHAPE)]),
    };
    let mut text = None;
    let mut diagnostics = Vec::new();
    for (key, value) in object {
        match (key.as_str(), value) {
            ("expression", Value::String(expression)) => text = Some(expression),
            ("expression", _) => diagnostics.push(Diagnostic::at("expression", "must be text")),
            _ => diagnostics.push(Diagnostic::at(key, "only `expression` stands here")),
        }
    }
    match text {
        Some(text) if diagnostics.is_empty() => Ok(("expression", text)),
        None if diagnostics.is_empty() => Err(vec![Diagnostic::at("", SHAPE)]),
        _ => Err(diagnostics),
    }
}

fn not_json(error: &serde_json::Error) -> Diagnostic {
    let (line, column) = (error.line(), error.column());
    Diagnostic::at("", format!("not JSON, at line {line} column {column}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(config: &str) -> Vec<(String, String)> {
        let diagnostics = compile(config).err().unwrap_or_default();
        diagnostics.into_iter().map(|Diagnostic { path, message }| (path, message)).collect()
    }

    #[test]
    fn text_or_an_object_with_it() {
        for config in [r#""true""#, r#"{"expression": "kind == 'x'"}"#, r#""data.a\n&& data.b""#] {
            assert_eq!(problems(config), [], "{config}");
        }
    }

    #[test]
    fn anything_else_is_named() {
        for (config, path, message) in [
            ("", "", "not JSON, at line 1 column 0"),
            ("data.x == 1", "", "not JSON, at line 1 column 1"),
            ("[]", "", SHAPE),
            ("true", "", SHAPE),
            ("{}", "", SHAPE),
            (r#"{"expression": 5}"#, "expression", "must be text"),
            (r#"{"expression": "true", "x": 1}"#, "x", "only `expression` stands here"),
            (r#"{"cel": "true"}"#, "cel", "only `expression` stands here"),
            (r#""""#, "", "the expression is empty"),
            (r#""foo""#, "", "1:1: there is no variable `foo`; did you mean `data.foo`?"),
            (
                r#"{"expression": "\n foo"}"#,
                "expression",
                "2:2: there is no variable `foo`; did you mean `data.foo`?",
            ),
        ] {
            assert_eq!(problems(config), [(path.to_owned(), message.to_owned())], "{config}");
        }
    }
}
