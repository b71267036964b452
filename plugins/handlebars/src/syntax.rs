//! The syntax of Handlebars as handlebars.js 4.7 reads it, with a place for everything.
//!
//! ```text
//!   text ──[parser]──► statements ──[whitespace]──► the same, with lines that hold a tag alone gone
//!              └ inside of a tag: [tag]
//! ```
//! Two things differ, both because templates have long been read so here: the escapes of JSON count
//! in quoted text (`"\n"` is a line end), and a close tag may say what it closes with other spaces.

pub(crate) mod parser;
mod tag;
mod whitespace;

use serde_json::Value;

pub(crate) use parser::parse;

#[cfg(test)]
mod tests;

/// Line and column, both from one, in characters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// What is no Handlebars, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Whether a tag takes the whitespace before it and behind it along.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Strip {
    pub(crate) before: bool,
    pub(crate) behind: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    Text(Text),
    Comment(Strip),
    Print { call: Call, strip: Strip },
    Block(Box<Block>),
    Partial { call: Call, strip: Strip, indent: String },
    Inline(Box<Block>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    /// What is left of it.
    pub(crate) value: String,
    original: String,
    left_stripped: bool,
    right_stripped: bool,
}

/// `{{#head}}first{{else}}second{{/head}}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) head: Call,
    /// It began with `^`: what comes first is for when there is nothing.
    pub(crate) inverted: bool,
    pub(crate) first: Vec<Statement>,
    pub(crate) second: Option<Second>,
    open: Strip,
    close: Strip,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Second {
    pub(crate) body: Vec<Statement>,
    /// It is one block, which `{{else …}}` began.
    chained: bool,
    strip: Strip,
}

/// What stands in a tag: a head, and what is given to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) place: Place,
    pub(crate) head: Expression,
    pub(crate) arguments: Vec<Expression>,
    pub(crate) named: Vec<(String, Expression)>,
    /// `as |x|`.
    pub(crate) has_block_parameters: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Literal { value: Value, written: String },
    Path(Path),
    Call(Box<Call>),
}

/// `../a.[b c].d`, `this`, `@index`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    /// As it is written.
    pub(crate) written: String,
    /// It began with `@`.
    pub(crate) is_data: bool,
    /// How many `../` it begins with.
    pub(crate) up: usize,
    /// It begins with `this`, `.` or `..`, and so is no helper.
    pub(crate) is_scoped: bool,
    pub(crate) segments: Vec<String>,
}

impl Path {
    /// The name, when this is one and nothing else.
    pub(crate) fn name(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [name] if !self.is_data && !self.is_scoped => Some(name),
            _ => None,
        }
    }
}

impl Expression {
    /// As it is written; empty for a call.
    pub(crate) fn written(&self) -> &str {
        match self {
            Self::Literal { written, .. } => written,
            Self::Path(path) => &path.written,
            Self::Call(_) => "",
        }
    }
}
