//! From a path as the parser gives it to one that a program may hold.
//!
//! Refuses what the parser lets through and would drop: ways up that lead nowhere, `this` in the
//! middle of a path, fields of `@index`.

use handlebars_syntax::{Path, PathSeg};

use crate::profile::{Block, FIELDS, Helper};
use crate::program::{Expression, Reference, RoundPart, RoundVariable};

/// How many blocks that make a scope stand around a tag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth {
    scopes: usize,
    rounds: usize,
}

impl Depth {
    pub(crate) fn within_each(self) -> Self {
        Self { scopes: self.scopes + 1, rounds: self.rounds + 1 }
    }

    pub(crate) fn within_with(self) -> Self {
        Self { scopes: self.scopes + 1, ..self }
    }
}

/// What a path stands for at a depth, or why it stands for nothing.
pub(crate) fn expression(path: &Path, depth: Depth) -> Result<Expression, String> {
    match path {
        Path::Local((rounds_up, name, raw)) => {
            round_variable(*rounds_up, name, raw, depth).map(Expression::Round)
        }
        Path::Relative((segments, raw)) => {
            reference(segments, raw, depth).map(Expression::Reference)
        }
    }
}

fn round_variable(
    rounds_up: usize,
    name: &str,
    raw: &str,
    depth: Depth,
) -> Result<RoundVariable, String> {
    let part = match name {
        "index" => RoundPart::Index,
        "key" => RoundPart::Key,
        "first" => RoundPart::First,
        "last" => RoundPart::Last,
        _ => return Err(format!("`@{name}` is not supported; {ROUND_VARIABLES}")),
    };
    if !raw.ends_with(name) {
        return Err(format!("`{raw}`: `@{name}` has no fields"));
    }
    if rounds_up >= depth.rounds {
        return Err(format!("`{raw}` stands outside of its `each`"));
    }
    Ok(RoundVariable { rounds_up, part })
}

const ROUND_VARIABLES: &str = "there are @index, @key, @first, @last and @root";

fn reference(segments: &[PathSeg], raw: &str, depth: Depth) -> Result<Reference, String> {
    let after_this = raw.strip_prefix("this.").or(raw.strip_prefix("this/"));
    let along = after_this.or(raw.strip_prefix("./")).unwrap_or(raw);
    let marks = segments.iter().filter(|segment| !matches!(segment, PathSeg::Named(_))).count();
    let scopes_up = match along.strip_prefix("@root") {
        // `@root` is a mark itself, and nothing else may be one beside it.
        Some(_) if marks == 1 => depth.scopes,
        Some(_) => return Err(format!("`{raw}` is not supported; `@root` leads to the top")),
        None => marks,
    };
    if scopes_up > depth.scopes {
        return Err(format!("`{raw}` leads out of the template: there are fewer blocks around it"));
    }

    let segments = named(segments, along, raw)?;
    if scopes_up == depth.scopes {
        require_field(&segments, raw)?;
    } else if along == raw && (Block::named(raw).is_some() || Helper::named(raw).is_some()) {
        return Err(format!("`{raw}` needs arguments; a field of this name is `this.{raw}`"));
    }
    Ok(Reference { scopes_up, segments })
}

/// The keys of a path. The parser drops every `this`, which is right at the start only.
fn named(segments: &[PathSeg], along: &str, raw: &str) -> Result<Vec<String>, String> {
    let steps = along.trim_start_matches("../");
    let this_inside =
        steps != "this" && steps.split(['.', '/']).any(|step| step == "this" || step == "[this]");
    if this_inside {
        return Err(format!("`{raw}`: `this` may stand at the start of a path only"));
    }
    let names: Vec<String> = segments
        .iter()
        .filter_map(|segment| match segment {
            PathSeg::Named(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if names.iter().any(String::is_empty) {
        return Err(format!("`{raw}` has an empty segment"));
    }
    Ok(names)
}

fn require_field(segments: &[String], raw: &str) -> Result<(), String> {
    let Some(field) = segments.first() else {
        return Err(format!("`{raw}` is the whole event; name one of its fields"));
    };
    if !FIELDS.contains(&field.as_str()) {
        let (last, others) = FIELDS.split_last().expect("there are fields");
        return Err(match Helper::named(raw) {
            Some(helper) => format!("`{raw}` is written {}", helper.usage()),
            None => format!(
                "`{field}` is not a field of an event; those are {} and {last}",
                others.join(", ")
            ),
        });
    }
    if field != "data" && segments.len() > 1 {
        return Err(format!("`{raw}`: `{field}` has no fields"));
    }
    Ok(())
}
