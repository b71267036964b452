//! A template that passed: nothing in it is outside the profile, and every way up leads to a scope
//! that exists.

use serde_json::Value;

use crate::profile::Helper;

/// What is rendered, in order.
#[derive(Debug, PartialEq)]
pub(crate) struct Program(pub(crate) Vec<Node>);

#[derive(Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Print(Expression),
    If { condition: Expression, negated: bool, then: Program, otherwise: Option<Program> },
    Each { over: Expression, body: Program, otherwise: Option<Program> },
    With { subject: Expression, body: Program, otherwise: Option<Program> },
}

#[derive(Debug, PartialEq)]
pub(crate) enum Expression {
    Literal(Value),
    Reference(Reference),
    Round(RoundVariable),
    Call { helper: Helper, arguments: Vec<Expression> },
}

/// A place in the event: some scopes up, then along keys and indexes.
#[derive(Debug, PartialEq)]
pub(crate) struct Reference {
    /// Zero is the innermost `each` or `with`.
    pub(crate) scopes_up: usize,
    pub(crate) segments: Vec<String>,
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
