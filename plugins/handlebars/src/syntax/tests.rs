//! What the parser in use before reads is read the same, but for whitespace around tags that stand on
//! lines of their own, where handlebars.js decides.

use handlebars_syntax::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars_syntax::{Path, Template};
use proptest::prelude::*;

use super::{Call, Expression, Statement, parse};

/// A template in a form that both parsers can be brought into: tags, and text without whitespace.
fn ours(statements: &[Statement], out: &mut String) {
    for statement in statements {
        match statement {
            Statement::Text(text) => out.extend(text.value.split_whitespace()),
            Statement::Print { call, .. } => {
                out.push_str(&format!("<{}", head(&call.head)));
                given(call, out);
                out.push('>');
            }
            Statement::Block(block) => {
                out.push_str(&format!("<#{}", head(&block.head.head)));
                given(&block.head, out);
                out.push('>');
                ours(&block.first, out);
                if let Some(second) = &block.second {
                    out.push_str("<else>");
                    ours(&second.body, out);
                }
                out.push_str("</>");
            }
            _ => {}
        }
    }
}

fn head(head: &Expression) -> String {
    match head {
        Expression::Path(path) => path.written.clone(),
        other => format!("{other:?}"),
    }
}

fn given(call: &Call, out: &mut String) {
    for argument in &call.arguments {
        match argument {
            Expression::Literal { value, .. } => out.push_str(&format!(" ={value}")),
            Expression::Path(path) => out.push_str(&format!(" {}", path.written)),
            Expression::Call(call) => {
                out.push_str(&format!(" ({}", head(&call.head)));
                given(call, out);
                out.push(')');
            }
        }
    }
}

fn theirs(template: &Template, out: &mut String) {
    for element in &template.elements {
        match element {
            TemplateElement::RawString(text) => out.extend(text.split_whitespace()),
            TemplateElement::Expression(tag) | TemplateElement::HtmlExpression(tag) => {
                out.push('<');
                their_call(tag, out);
                out.push('>');
            }
            TemplateElement::HelperBlock(tag) => {
                out.push_str("<#");
                their_call(tag, out);
                out.push('>');
                tag.template.iter().for_each(|body| theirs(body, out));
                if let Some(inverse) = &tag.inverse {
                    out.push_str("<else>");
                    theirs(inverse, out);
                }
                out.push_str("</>");
            }
            _ => {}
        }
    }
}

fn their_call(tag: &HelperTemplate, out: &mut String) {
    out.push_str(&match &tag.name {
        Parameter::Path(path) => raw(path).to_owned(),
        name => name.as_name().unwrap_or_default().to_owned(),
    });
    for parameter in &tag.params {
        match parameter {
            Parameter::Literal(value) => out.push_str(&format!(" ={value}")),
            Parameter::Path(path) => out.push_str(&format!(" {}", raw(path))),
            Parameter::Subexpression(inner) => {
                out.push_str(" (");
                if let TemplateElement::Expression(call) = inner.as_element() {
                    their_call(call, out);
                }
                out.push(')');
            }
            Parameter::Name(name) => out.push_str(&format!(" {name}")),
            _ => {}
        }
    }
}

fn raw(path: &Path) -> &str {
    match path {
        Path::Relative((_, raw)) | Path::Local((_, _, raw)) => raw,
    }
}

fn templates() -> impl Strategy<Value = String> {
    let argument = prop_oneof![
        "(data|kind|this|\\.\\./id|@index|data\\.x|data\\.\\[a b\\]|data/x|this\\.a)",
        "-?[1-9][0-9]?",
        "\"[a-z ]{0,3}\"",
        "'[a-z {}]{0,3}'",
        Just("\"\\n\\u00e4\"".to_owned()),
        Just("true".to_owned()),
        Just("(lookup data.x \"y\")".to_owned()),
    ];
    let text = "([a-z<&}]|\\\\| |\n|\t|ä|\\{ ){0,5}";
    let open = prop_oneof![Just("{{"), Just("{{~")];
    let close = prop_oneof![Just("}}"), Just("~}}"), Just(" }}")];
    let leaf = prop_oneof![
        text.prop_map(String::from),
        (open.clone(), "(data\\.x|kind|this\\.a)", close.clone())
            .prop_map(|(open, path, close)| format!("{open}{path}{close}")),
        (open, argument.clone(), close)
            .prop_map(|(open, argument, close)| format!("{open}json {argument}{close}")),
        Just("{{{data.x}}}".to_owned()),
        Just("{{&data.x}}".to_owned()),
        Just("{{! no }}".to_owned()),
        Just("{{!-- {{no}} --}}".to_owned()),
        Just("\\{{data.x}} ".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let argument = argument.clone();
        let block = prop_oneof![Just("if"), Just("each"), Just("with"), Just("unless")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|parts| parts.concat()),
            (block, argument, inner.clone(), inner).prop_map(|(name, argument, one, other)| {
                format!("{{{{#{name} {argument}}}}}{one}{{{{else}}}}{other}{{{{/{name}}}}}")
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_was_read_before_is_read_the_same(template in templates()) {
        let Ok(before) = Template::compile(&template) else { return Ok(()) };
        let now = parse(&template).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let (mut left, mut right) = (String::new(), String::new());
        ours(&now, &mut left);
        theirs(&before, &mut right);
        prop_assert_eq!(left, right, "{}", template);
    }

    #[test]
    fn nothing_makes_it_panic(
        text in r#"(\{\{|\}\}|[#/^>&!~*{}()\[\]"'\\.=@|]|else|if|as|this|data| |\n|--|ä|1){0,30}"#,
    ) {
        let _ = parse(&text);
        let _ = crate::compile::compile(&text);
    }
}
