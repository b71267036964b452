//! From text to a program, or to everything that is wrong with the text.
//!
//! The walk goes on after a problem, with an empty expression in its place, so that one look shows
//! all of them. Problems are placed at the start of the tag that they stand in.

use handlebars_syntax::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars_syntax::{Template, TemplateError};
use hillock_plugin_sdk::template::Diagnostic;
use serde_json::Value;

use crate::profile::{Block, HELPERS, Helper};
use crate::program::{Expression, Node, Program};
use crate::reference::{self, Depth};
use crate::surface;

/// Compiles a template; one without `{{` is literal.
pub(crate) fn compile(source: &str) -> Result<Program, Vec<Diagnostic>> {
    if !source.contains("{{") {
        return Ok(Program(vec![Node::Text(source.to_owned())]));
    }
    let refusals = surface::refusals(source);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let template = Template::compile(source).map_err(|error| vec![syntax_error(&error)])?;

    let mut compiler = Compiler { diagnostics: Vec::new(), at: (1, 1) };
    let program = compiler.program(&template, Depth::default());
    if compiler.diagnostics.is_empty() { Ok(program) } else { Err(compiler.diagnostics) }
}

fn syntax_error(error: &TemplateError) -> Diagnostic {
    let (line, column) = error.pos().unwrap_or((1, 1));
    Diagnostic::at(format!("{line}:{column}"), error.reason().to_string())
}

struct Compiler {
    diagnostics: Vec<Diagnostic>,
    /// Line and column of the tag at hand.
    at: (usize, usize),
}

impl Compiler {
    fn program(&mut self, template: &Template, depth: Depth) -> Program {
        let mut nodes = Vec::with_capacity(template.elements.len());
        for (index, element) in template.elements.iter().enumerate() {
            // The blocks of an `else` chain have no place of their own: they keep their parent's.
            if let Some(place) = template.mapping.get(index) {
                self.at = (place.0, place.1);
            }
            nodes.extend(self.node(element, depth));
        }
        Program(nodes)
    }

    fn node(&mut self, element: &TemplateElement, depth: Depth) -> Option<Node> {
        match element {
            TemplateElement::RawString(text) => Some(Node::Text(text.clone())),
            TemplateElement::Comment(_) => None,
            TemplateElement::Expression(tag) | TemplateElement::HtmlExpression(tag) => {
                Some(Node::Print(self.print(tag, depth)))
            }
            TemplateElement::HelperBlock(tag) => self.block(tag, depth),
            TemplateElement::PartialExpression(_) | TemplateElement::PartialBlock(_) => {
                self.refuse("partials are not supported")
            }
            _ => self.refuse("decorators are not supported"),
        }
    }

    fn print(&mut self, tag: &HelperTemplate, depth: Depth) -> Expression {
        match &tag.name {
            Parameter::Name(name) => self.call(name, tag, depth),
            Parameter::Subexpression(_) => {
                self.report("write the helper without parentheses");
                NOTHING
            }
            name => self.expression(name, depth),
        }
    }

    fn block(&mut self, tag: &HelperTemplate, depth: Depth) -> Option<Node> {
        let name = tag.name.as_name().unwrap_or_default();
        let Some(block) = Block::named(name) else {
            return self
                .refuse(format!("`{name}` is not a block; there are if, unless, each and with"));
        };
        if tag.block_param.is_some() {
            self.report("block parameters (`as |x|`) are not supported; write `this` and `@index`");
        }
        self.refuse_named_arguments(tag);
        let [subject] = tag.params.as_slice() else {
            return self.refuse(format!("`{name}` takes one argument"));
        };

        let subject = self.expression(subject, depth);
        let within = match block {
            Block::If | Block::Unless => depth,
            Block::Each => depth.within_each(),
            Block::With => depth.within_with(),
        };
        let body = tag.template.as_ref().map(|body| self.program(body, within));
        let body = body.unwrap_or(Program(Vec::new()));
        let otherwise = tag.inverse.as_ref().map(|inverse| self.program(inverse, depth));
        Some(match block {
            Block::If => Node::If { condition: subject, negated: false, then: body, otherwise },
            Block::Unless => Node::If { condition: subject, negated: true, then: body, otherwise },
            Block::Each => Node::Each { over: subject, body, otherwise },
            Block::With => Node::With { subject, body, otherwise },
        })
    }

    fn expression(&mut self, parameter: &Parameter, depth: Depth) -> Expression {
        let problem = match parameter {
            Parameter::Literal(value) if !value.is_array() && !value.is_object() => {
                return Expression::Literal(value.clone());
            }
            Parameter::Literal(_) => "arrays and objects cannot be written out".to_owned(),
            Parameter::Path(path) => match reference::expression(path, depth) {
                Ok(expression) => return expression,
                Err(problem) => problem,
            },
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(call) if inner.is_helper() => {
                    return self.call(inner.name(), call, depth);
                }
                _ => "parentheses hold a helper and its arguments".to_owned(),
            },
            _ => "this is not supported".to_owned(),
        };
        self.report(problem);
        NOTHING
    }

    fn call(&mut self, name: &str, tag: &HelperTemplate, depth: Depth) -> Expression {
        self.refuse_named_arguments(tag);
        let arguments: Vec<Expression> =
            tag.params.iter().map(|parameter| self.expression(parameter, depth)).collect();
        let Some(helper) = Helper::named(name) else {
            self.report(format!("`{name}` is not a helper; there are {HELPERS}"));
            return NOTHING;
        };
        if arguments.len() != helper.arguments() {
            self.report(format!("`{name}` is written {}", helper.usage()));
        }
        if let (Helper::Truncate, Some(Expression::Literal(length))) = (helper, arguments.get(1))
            && !length.is_u64()
        {
            self.report("the length of `truncate` is a whole number");
        }
        Expression::Call { helper, arguments }
    }

    fn refuse_named_arguments(&mut self, tag: &HelperTemplate) {
        if !tag.hash.is_empty() {
            self.report("named arguments (`name=value`) are not supported");
        }
    }

    fn report(&mut self, message: impl Into<String>) {
        let (line, column) = self.at;
        self.diagnostics.push(Diagnostic::at(format!("{line}:{column}"), message));
    }

    fn refuse(&mut self, message: impl Into<String>) -> Option<Node> {
        self.report(message);
        None
    }
}

const NOTHING: Expression = Expression::Literal(Value::Null);

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(source: &str) -> Vec<String> {
        let diagnostics = compile(source).err().unwrap_or_default();
        diagnostics.into_iter().map(|d| format!("{} {}", d.path, d.message)).collect()
    }

    #[test]
    fn the_profile_passes() {
        for source in [
            "no tags at all }}",
            "{{data.issue.title}} {{{data.labels.0.name}}} {{&kind}} {{data.[odd key]}}",
            "{{#if data.x}}a{{else if data.y}}b{{else}}c{{/if}}{{#unless data.x}}d{{/unless}}",
            "{{#each data.x}}{{@index}}{{@key}}{{#if @first}}{{this.a}}{{a}}{{../id}}{{/if}}{{/each}}",
            "{{#each data.x}}{{#each this}}{{@../index}}{{@root.kind}}{{../../kind}}{{/each}}{{/each}}",
            "{{#with data.x}}{{json this}}{{else}}{{default data.y 5}}{{/with}}",
            "{{~#if data.x~}} {{! c }} {{!-- {{c}} --}} {{~/if~}} \\{{x}}",
            "{{truncate (default data.x \"n\") 20}}{{join data.l ', '}}{{lookup data.m data.k}}",
            "{{fence data.x}}{{#if (lookup data.m \"k\")}}{{/if}}",
        ] {
            assert_eq!(problems(source), Vec::<String>::new(), "{source}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for source in [
            "{{> part}}",
            "{{#> part}}{{/part}}",
            "{{* deco}}",
            "{{#*inline \"a\"}}{{/inline}}",
            "{{{{raw}}}}x{{{{/raw}}}}",
            "{{#each data.x as |y|}}{{/each}}",
            "{{#each data.x}}{{#data}}{{/data}}{{/each}}",
            "{{#if data.x includeZero=true}}{{/if}}",
            "{{#if}}{{/if}}",
            "{{#if data.x data.y}}{{/if}}",
            "{{upper data.x}}",
            "{{len data.x}}",
            "{{json}}",
            "{{json data.x data.y}}",
            "{{if data.x}}",
            "{{truncate data.x \"5\"}}",
            "{{truncate data.x -1}}",
            "{{json [1]}}",
            "{{json (data.x)}}",
            "{{(json data.x)}}",
            "{{.}}",
            "{{^x}}",
            "{{#if data.x}}{{^}}{{/if}}",
            "{{this}}",
            "{{@root}}",
            "{{issue.title}}",
            "{{kind.x}}",
            "{{../kind}}",
            "{{#each data.x}}{{../../kind}}{{/each}}",
            "{{#each data.x}}{{../issue}}{{/each}}",
            "{{@index}}",
            "{{#with data.x}}{{@index}}{{/with}}",
            "{{#each data.x}}{{@../index}}{{/each}}",
            "{{#each data.x}}{{@index.y}}{{@depth}}{{/each}}",
            "{{#each data.x}}{{json}}{{/each}}",
            "{{data.this.x}}",
            "{{data.[]}}",
            "{{#if data.x}}",
            "{{data.x",
            "{{#if data.x}}{{/unless}}",
        ] {
            assert!(!problems(source).is_empty(), "{source}");
        }
    }

    #[test]
    fn all_problems_are_reported_where_they_stand() {
        assert_eq!(
            problems("{{issue}}\n{{#if data.x}}\n  {{upper data.x}}\n{{/if}} {{> part}}"),
            [
                "1:1 `issue` is not a field of an event; those are id, kind, scope, workspace_id, \
                 source, occurred_at, received_at, depth and data",
                "3:3 `upper` is not a helper; there are json, default, truncate, join, lookup and \
                 fence",
                "4:9 partials are not supported",
            ]
        );
    }
}
