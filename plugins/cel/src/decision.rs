//! From an expression and an event to a verdict.

use cel_syntax::common::types::CelBool;
use cel_syntax::{Context, ExecutionError, Value};
use hillock_plugin_sdk::filter::{FilterError, Verdict};

use crate::excerpt::excerpt;
use crate::expression::{Clause, Expression};
use crate::fields::{Envelope, Fields};
use crate::library::library;
use crate::paths::Question;
use crate::types;

/// What one clause says of an event.
enum Answer {
    True,
    False(String),
    Missing(String),
    Failed(String),
}

/// Decides as the conjunction of the clauses would: a false one outweighs those that have no answer.
pub(crate) fn decide(
    expression: &Expression,
    envelope: &impl Envelope,
) -> Result<Verdict, FilterError> {
    let fields = Fields::new(&expression.variables, envelope);
    let mut context = Context::with_env(library());
    context.set_variable_resolver(&fields);
    let mut missing = None;
    let mut failed = None;
    for clause in &expression.clauses {
        match answer(clause, &context) {
            Answer::True => {}
            Answer::False(reason) => return Ok(Verdict::Unmatched(reason)),
            Answer::Missing(reason) => missing = missing.or(Some(reason)),
            Answer::Failed(reason) => failed = failed.or(Some(reason)),
        }
    }
    match (missing, failed) {
        (Some(reason), _) => Ok(Verdict::Unmatched(reason)),
        (None, Some(reason)) => Err(FilterError::Failed(reason)),
        (None, None) => Ok(Verdict::Matched),
    }
}

fn answer(clause: &Clause, context: &Context<'_, '_>) -> Answer {
    let text = &clause.text;
    match Value::resolve_val(&clause.syntax, context) {
        Ok(value) => match value.downcast_ref::<CelBool>().map(|bool| *bool.inner()) {
            Some(true) => Answer::True,
            Some(false) => Answer::False(format!("`{text}` is false")),
            None => {
                let given = types::named(value.get_type().name());
                Answer::Failed(format!("`{text}` gives {given}, not a bool"))
            }
        },
        Err(error) => unanswered(text, error),
    }
}

fn unanswered(text: &str, error: ExecutionError) -> Answer {
    match error {
        ExecutionError::UndeclaredReference(variable) => {
            let path = Question::parse(&variable).needs();
            Answer::Missing(format!("`{}` is not there", excerpt(path)))
        }
        ExecutionError::NoSuchKey(key) => {
            Answer::Missing(format!("`{}` is not there, in `{text}`", excerpt(&key)))
        }
        ExecutionError::IndexOutOfBounds(_) => {
            Answer::Missing(format!("an item is not there, in `{text}`"))
        }
        ExecutionError::NoSuchOverload(call) if matches!(call.function(), "_._" | "_[_]") => {
            let of = call.argument_types().first().map_or_else(String::new, |of| types::named(of));
            Answer::Missing(format!("a field is not there, of {of}, in `{text}`"))
        }
        error => Answer::Failed(format!("`{text}`: {}", excerpt(&error.to_string()))),
    }
}

#[cfg(test)]
mod tests;
