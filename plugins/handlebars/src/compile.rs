//! From text to a program, or to everything that is wrong with the text.
//!
//! The walk goes on after a problem, with an empty expression in its place, so that one look shows
//! all of them. Problems are placed at the start of the tag that they stand in, those of a partial
//! where the partial has them.

use std::collections::BTreeMap;

use hillock_plugin_sdk::template::Diagnostic;
use serde_json::Value;

use crate::profile::{Block, HELPERS, Helper};
use crate::program::{Expression, Node, Program};
use crate::reference::{self, Depth};
use crate::syntax::{self, Call, Place, Statement, SyntaxError};

/// How many nodes a program may have when all its partials have been put in.
const NODES_MAX: usize = 50_000;
/// How deep partials may call each other.
const PARTIALS_DEEP_MAX: usize = 8;

/// Compiles a template; one without `{{` is literal.
pub(crate) fn compile(source: &str) -> Result<Program, Vec<Diagnostic>> {
    if !source.contains("{{") {
        return Ok(Program(vec![Node::Text(source.to_owned())]));
    }
    let statements = syntax::parse(source)
        .map_err(|SyntaxError { place, message }| vec![diagnostic(place, message)])?;

    let mut compiler = Compiler::default();
    let statements = compiler.take_partials(statements);
    let program = compiler.program(&statements, Depth::default());
    let unused: Vec<String> = compiler.partials.keys().cloned().collect();
    for name in unused {
        compiler.check_unused(&name);
    }
    if compiler.diagnostics.is_empty() { Ok(program) } else { Err(compiler.diagnostics) }
}

fn diagnostic(Place { line, column }: Place, message: impl Into<String>) -> Diagnostic {
    Diagnostic::at(format!("{line}:{column}"), message)
}

struct Compiler {
    diagnostics: Vec<Diagnostic>,
    /// The tag at hand.
    at: Place,
    partials: BTreeMap<String, Partial>,
    /// The partials that the walk is in, the innermost last.
    within: Vec<String>,
    nodes: usize,
}

impl Default for Compiler {
    fn default() -> Self {
        let at = Place { line: 1, column: 1 };
        let (diagnostics, within) = (Vec::new(), Vec::new());
        Self { diagnostics, at, partials: BTreeMap::new(), within, nodes: 0 }
    }
}

/// A part of a template that has a name.
struct Partial {
    statements: Vec<Statement>,
    is_used: bool,
}

impl Compiler {
    /// Takes out what `{{#*inline "name"}}` defines.
    fn take_partials(&mut self, statements: Vec<Statement>) -> Vec<Statement> {
        let mut rest = Vec::with_capacity(statements.len());
        for statement in statements {
            match statement {
                Statement::Inline(block) => self.define(*block),
                other => rest.push(other),
            }
        }
        rest
    }

    fn define(&mut self, block: syntax::Block) {
        self.at = block.head.place;
        let name = match block.head.arguments.as_slice() {
            [syntax::Expression::Literal { value: Value::String(name), .. }]
                if block.head.head.written() == "inline" && block.head.named.is_empty() =>
            {
                name.clone()
            }
            _ => return self.report("decorators are not supported, but for {{#*inline \"name\"}}"),
        };
        if block.second.is_some() {
            return self.report("`inline` has no `else`");
        }
        let partial = Partial { statements: block.first, is_used: false };
        if self.partials.insert(name.clone(), partial).is_some() {
            self.report(format!("the partial `{name}` is there twice"));
        }
    }

    /// What nobody calls has to be in order, too, wherever it will be called from.
    fn check_unused(&mut self, name: &str) {
        let Some(partial) = self.partials.get_mut(name) else { return };
        if std::mem::replace(&mut partial.is_used, true) {
            return;
        }
        let statements = std::mem::take(&mut partial.statements);
        self.within.push(name.to_owned());
        self.program(&statements, Depth::default().within_open());
        self.within.pop();
    }

    fn program(&mut self, statements: &[Statement], depth: Depth) -> Program {
        let mut nodes = Vec::with_capacity(statements.len());
        for statement in statements {
            self.nodes += 1;
            if self.nodes > NODES_MAX {
                break;
            }
            nodes.extend(self.node(statement, depth));
        }
        if self.nodes == NODES_MAX + 1 {
            self.nodes += 1;
            self.report(format!("with its partials, the template has more than {NODES_MAX} parts"));
        }
        Program(nodes)
    }

    fn node(&mut self, statement: &Statement, depth: Depth) -> Option<Node> {
        match statement {
            Statement::Text(text) if text.value.is_empty() => None,
            Statement::Text(text) => Some(Node::Text(text.value.clone())),
            Statement::Comment(_) => None,
            Statement::Print { call, .. } => Some(Node::Print(self.print(call, depth))),
            Statement::Block(block) => self.block(block, depth),
            Statement::Partial { call, indent, .. } => self.partial(call, indent, depth),
            Statement::Inline(block) => {
                self.at = block.head.place;
                self.refuse("a partial is defined at the top of a template, outside of all blocks")
            }
        }
    }

    fn print(&mut self, tag: &Call, depth: Depth) -> Expression {
        self.at = tag.place;
        self.refuse_block_parameters(tag);
        match &tag.head {
            syntax::Expression::Call(_) => {
                self.report("write the helper without parentheses");
                NOTHING
            }
            head if tag.arguments.is_empty() && tag.named.is_empty() => {
                self.resolved(reference::head(head, depth))
            }
            _ => self.call(tag, depth),
        }
    }

    fn block(&mut self, block: &syntax::Block, depth: Depth) -> Option<Node> {
        let tag = &block.head;
        self.at = tag.place;
        self.refuse_block_parameters(tag);
        let name = tag.head.written();
        match Block::named(name) {
            Some(kind) => self.helper_block(kind, block, depth),
            None if tag.arguments.is_empty() && tag.named.is_empty() => self.section(block, depth),
            None => {
                self.refuse(format!("`{name}` is not a block; there are if, unless, each and with"))
            }
        }
    }

    fn helper_block(&mut self, kind: Block, block: &syntax::Block, depth: Depth) -> Option<Node> {
        let tag = &block.head;
        let name = tag.head.written();
        self.refuse_named_arguments(tag);
        let [subject] = tag.arguments.as_slice() else {
            return self.refuse(format!("`{name}` takes one argument"));
        };
        let subject = self.expression(subject, depth);
        let within = match kind {
            Block::If | Block::Unless => depth,
            Block::Each => depth.within_each(),
            Block::With => depth.within_with(),
        };
        let (body, otherwise) = self.parts(block, within, depth);
        let body = body.unwrap_or(Program(Vec::new()));
        Some(match kind {
            Block::If => Node::If { condition: subject, negated: false, then: body, otherwise },
            Block::Unless => Node::If { condition: subject, negated: true, then: body, otherwise },
            Block::Each => Node::Each { over: subject, body, otherwise },
            Block::With => Node::With { subject, body, otherwise },
        })
    }

    /// `{{#path}}…{{/path}}`: for each of an array, with an object, if it is anything else.
    fn section(&mut self, block: &syntax::Block, depth: Depth) -> Option<Node> {
        let subject = self.resolved(reference::head(&block.head.head, depth));
        let (body, otherwise) = self.parts(block, depth.within_open(), depth);
        Some(Node::Section { subject, body, otherwise })
    }

    /// What is for something and what is for nothing, whichever comes first.
    fn parts(
        &mut self,
        block: &syntax::Block,
        within: Depth,
        outside: Depth,
    ) -> (Option<Program>, Option<Program>) {
        let (first, second) = if block.inverted { (outside, within) } else { (within, outside) };
        let first = self.program(&block.first, first);
        let second = block.second.as_ref().map(|part| self.program(&part.body, second));
        if block.inverted { (second, Some(first)) } else { (Some(first), second) }
    }

    fn partial(&mut self, tag: &Call, indent: &str, depth: Depth) -> Option<Node> {
        self.at = tag.place;
        let name = match &tag.head {
            syntax::Expression::Path(path) => path.written.trim_matches(['[', ']']).to_owned(),
            syntax::Expression::Literal { value: Value::String(name), .. } => name.clone(),
            syntax::Expression::Literal { written, .. } => written.clone(),
            syntax::Expression::Call(_) => {
                return self.refuse("the name of a partial has to be written out");
            }
        };
        if self.within.contains(&name) {
            let chain = [self.within.as_slice(), &[name]].concat().join("`, `");
            return self.refuse(format!("partials call each other in a circle: `{chain}`"));
        }
        if self.within.len() == PARTIALS_DEEP_MAX {
            return self
                .refuse(format!("partials call each other deeper than {PARTIALS_DEEP_MAX}"));
        }
        let Some(partial) = self.partials.get_mut(&name) else {
            return self.refuse(format!("there is no partial `{name}`"));
        };
        partial.is_used = true;
        let (subject, named, within) = self.given(tag, depth)?;

        let at = self.at;
        let statements =
            self.partials.get_mut(&name).map(|one| std::mem::take(&mut one.statements));
        let statements = statements.unwrap_or_default();
        self.within.push(name.clone());
        let mut body = self.program(&statements, within);
        self.within.pop();
        if let Some(partial) = self.partials.get_mut(&name) {
            partial.statements = statements;
        }
        self.at = at;

        if !indent.is_empty() {
            body = Program(vec![Node::Indented { indent: indent.to_owned(), body }]);
        }
        if subject.is_none() && named.is_empty() {
            return Some(Node::Together(body));
        }
        Some(Node::Scope { subject, named, body })
    }

    /// What a partial is given: what it is about, and values with a name.
    #[expect(clippy::type_complexity, reason = "each is named where it is taken apart")]
    fn given(
        &mut self,
        tag: &Call,
        depth: Depth,
    ) -> Option<(Option<Expression>, Vec<(String, Expression)>, Depth)> {
        let subject = match tag.arguments.as_slice() {
            [] => None,
            [subject] => Some(self.expression(subject, depth)),
            _ => return self.refuse("a partial takes one argument at most, and `name=value`"),
        };
        let named: Vec<_> = tag
            .named
            .iter()
            .map(|(name, value)| (name.clone(), self.expression(value, depth)))
            .collect();
        let within = match (&subject, named.is_empty()) {
            (None, true) => depth,
            (Some(_), true) => depth.within_with(),
            (_, false) => depth.within_open(),
        };
        Some((subject, named, within))
    }

    fn expression(&mut self, parameter: &syntax::Expression, depth: Depth) -> Expression {
        match parameter {
            syntax::Expression::Literal { value, .. } => Expression::Literal(value.clone()),
            syntax::Expression::Path(path) => self.resolved(reference::expression(path, depth)),
            syntax::Expression::Call(call) if call.arguments.is_empty() => {
                self.report("parentheses hold a helper and its arguments");
                NOTHING
            }
            syntax::Expression::Call(call) => self.call(call, depth),
        }
    }

    fn call(&mut self, tag: &Call, depth: Depth) -> Expression {
        self.refuse_named_arguments(tag);
        let arguments: Vec<Expression> =
            tag.arguments.iter().map(|argument| self.expression(argument, depth)).collect();
        let name = match &tag.head {
            syntax::Expression::Literal { value: Value::String(name), .. } => name,
            head => head.written(),
        };
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

    fn resolved(&mut self, found: Result<Expression, String>) -> Expression {
        found.unwrap_or_else(|problem| {
            self.report(problem);
            NOTHING
        })
    }

    fn refuse_named_arguments(&mut self, tag: &Call) {
        if !tag.named.is_empty() {
            self.report("named arguments (`name=value`) are not supported, but for partials");
        }
    }

    fn refuse_block_parameters(&mut self, tag: &Call) {
        if tag.has_block_parameters {
            self.report("block parameters (`as |x|`) are not supported; write `this` and `@index`");
        }
    }

    /// Each once: a partial may be called more than once.
    fn report(&mut self, message: impl Into<String>) {
        let diagnostic = diagnostic(self.at, message);
        let is_known =
            |one: &Diagnostic| one.path == diagnostic.path && one.message == diagnostic.message;
        if !self.diagnostics.iter().any(is_known) {
            self.diagnostics.push(diagnostic);
        }
    }

    fn refuse<T>(&mut self, message: impl Into<String>) -> Option<T> {
        self.report(message);
        None
    }
}

const NOTHING: Expression = Expression::Literal(Value::Null);

#[cfg(test)]
mod tests;
