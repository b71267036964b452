//! From a path as it is written to one that a program may hold.
//!
//! Refuses ways up that lead nowhere, fields that no event has, fields of `@index`.

use crate::profile::{Block, FIELDS, Helper};
use crate::program::{Expression, From, Reference, RoundPart, RoundVariable};
use crate::syntax;
use crate::syntax::Path;

/// How many blocks that make a scope stand around a tag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth {
    scopes: usize,
    rounds: usize,
    /// Only the event will tell which scopes there are.
    is_open: bool,
}

impl Depth {
    pub(crate) fn within_each(self) -> Self {
        Self { scopes: self.scopes + 1, rounds: self.rounds + 1, ..self }
    }

    pub(crate) fn within_with(self) -> Self {
        Self { scopes: self.scopes + 1, ..self }
    }

    pub(crate) fn within_open(self) -> Self {
        Self { is_open: true, ..self }
    }

    fn is_top(self, scopes_up: usize) -> bool {
        !self.is_open && scopes_up == self.scopes
    }
}

/// What the head of a tag stands for that is given nothing: a text in quotation marks is the name of
/// a field.
pub(crate) fn head(head: &syntax::Expression, depth: Depth) -> Result<Expression, String> {
    match head {
        syntax::Expression::Path(path) => expression(path, depth),
        syntax::Expression::Literal { value, written } => {
            let name = value.as_str().unwrap_or(written).to_owned();
            let up = 0;
            reference(up, vec![name], written, depth).map(Expression::Reference)
        }
        syntax::Expression::Call(_) => Err("parentheses stand behind a helper only".to_owned()),
    }
}

/// What a path stands for at a depth, or why it stands for nothing.
pub(crate) fn expression(path: &Path, depth: Depth) -> Result<Expression, String> {
    let Path { written, segments, .. } = path;
    if path.is_data {
        return data(path, depth);
    }
    if path.name().is_some_and(|name| !depth.is_top(0) && is_called(name)) {
        return Err(format!(
            "`{written}` needs arguments; a field of this name is `this.{written}`"
        ));
    }
    reference(path.up, segments.clone(), written, depth).map(Expression::Reference)
}

fn is_called(name: &str) -> bool {
    Block::named(name).is_some() || Helper::named(name).is_some()
}

/// `@root` and what a round has.
fn data(path: &Path, depth: Depth) -> Result<Expression, String> {
    let written = &path.written;
    match path.segments.as_slice() {
        [root, segments @ ..] if root == "root" && path.up == 0 && !path.is_scoped => {
            require_field(segments, written)?;
            let segments = segments.to_vec();
            Ok(Expression::Reference(Reference { from: From::Root, segments }))
        }
        [root, ..] if root == "root" => {
            Err(format!("`{written}` is not supported; `@root` leads to the top"))
        }
        [name] => round_variable(path.up, name, written, depth).map(Expression::Round),
        [name, ..] => Err(format!("`{written}`: `@{name}` has no fields")),
        [] => Err(format!("`{written}` is not supported; {ROUND_VARIABLES}")),
    }
}

fn round_variable(
    rounds_up: usize,
    name: &str,
    written: &str,
    depth: Depth,
) -> Result<RoundVariable, String> {
    let part = match name {
        "index" => RoundPart::Index,
        "key" => RoundPart::Key,
        "first" => RoundPart::First,
        "last" => RoundPart::Last,
        _ => return Err(format!("`@{name}` is not supported; {ROUND_VARIABLES}")),
    };
    if rounds_up >= depth.rounds && !depth.is_open {
        return Err(format!("`{written}` stands outside of its `each`"));
    }
    Ok(RoundVariable { rounds_up, part })
}

const ROUND_VARIABLES: &str = "there are @index, @key, @first, @last and @root";

fn reference(
    scopes_up: usize,
    segments: Vec<String>,
    written: &str,
    depth: Depth,
) -> Result<Reference, String> {
    if scopes_up > depth.scopes && !depth.is_open {
        return Err(format!(
            "`{written}` leads out of the template: there are fewer blocks around it"
        ));
    }
    if segments.iter().any(String::is_empty) {
        return Err(format!("`{written}` has an empty segment"));
    }
    if depth.is_top(scopes_up) {
        require_field(&segments, written)?;
    }
    Ok(Reference { from: From::Up(scopes_up), segments })
}

fn require_field(segments: &[String], written: &str) -> Result<(), String> {
    let Some(field) = segments.first() else {
        return Err(format!("`{written}` is the whole event; name one of its fields"));
    };
    if !FIELDS.contains(&field.as_str()) {
        let (last, others) = FIELDS.split_last().expect("there are fields");
        return Err(match Helper::named(written) {
            Some(helper) => format!("`{written}` is written {}", helper.usage()),
            None => format!(
                "`{field}` is not a field of an event; those are {} and {last}",
                others.join(", ")
            ),
        });
    }
    if field != "data" && segments.len() > 1 {
        return Err(format!("`{written}`: `{field}` has no fields"));
    }
    Ok(())
}
