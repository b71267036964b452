//! A template that passed: nothing in it is outside the profile. Outside of sections and partials,
//! every way up leads to a scope that exists; within them, that is known when they are rendered.

use serde_json::Value;

use crate::profile::Helper;

/// What is rendered, in order.
#[derive(Debug, PartialEq)]
pub(crate) struct Program(pub(crate) Vec<Node>);

#[derive(Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Print(Expression),
    If {
        condition: Expression,
        negated: bool,
        then: Program,
        otherwise: Option<Program>,
    },
    Each {
        over: Expression,
        body: Program,
        otherwise: Option<Program>,
    },
    With {
        subject: Expression,
        body: Program,
        otherwise: Option<Program>,
    },
    /// The body for each of an array, with an object, if it is anything else.
    Section {
        subject: Expression,
        body: Option<Program>,
        otherwise: Option<Program>,
    },
    /// A partial.
    Together(Program),
    /// A partial that was given something.
    Scope {
        subject: Option<Expression>,
        named: Vec<(String, Expression)>,
        body: Program,
    },
    /// Each line of it behind this.
    Indented {
        indent: String,
        body: Program,
    },
}

#[derive(Debug, PartialEq)]
pub(crate) enum Expression {
    Literal(Value),
    Reference(Reference),
    Round(RoundVariable),
    Call { helper: Helper, arguments: Vec<Expression> },
}

/// A place in the event: from a scope along keys and indexes.
#[derive(Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) from: From,
    pub(crate) segments: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum From {
    /// So many scopes up: zero is the innermost.
    Up(usize),
    /// The event.
    Root,
}

/// `@index` and its kin.
#[derive(Debug, PartialEq)]
pub(crate) struct RoundVariable {
    /// Zero is the innermost `each`; `with` doesn't count.
    pub(crate) rounds_up: usize,
    pub(crate) part: RoundPart,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RoundPart {
    Index,
    Key,
    First,
    Last,
}
