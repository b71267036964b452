//! The paths of an expression that are known before there is an event.
//!
//! `data.issue.labels[0].name` becomes one variable with the name `data.issue.labels.0.name`, which
//! is also what the host knows it by; `has(data.issue.draft)` becomes one that is a bool. From where
//! a path depends on a value, the rest of it is left as it is: `data.names[data.key]`.

use cel_syntax::IdedExpr;
use cel_syntax::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};

use crate::types::Type;

/// The variables, and what is known of each.
const ROOTS: [(&str, Type); 15] = [
    ("id", Type::Text),
    ("kind", Type::Text),
    ("scope", Type::Text),
    ("workspace_id", Type::Text),
    ("source", Type::Text),
    ("endpoint", Type::Dyn),
    ("producer", Type::Dyn),
    ("occurred_at", Type::Text),
    ("received_at", Type::Text),
    ("origin", Type::Dyn),
    ("verified", Type::Dyn),
    ("depth", Type::Int),
    ("causes", Type::List),
    ("traceparent", Type::Dyn),
    ("data", Type::Dyn),
];

/// What stands before and after the path in a variable that is whether there is one.
const PRESENCE: (&str, &str) = ("has(", ")");

/// What a variable of the event asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Question<'a> {
    Value(&'a str),
    /// Whether there is a field; the path before it must be there.
    Presence {
        of: &'a str,
        field: &'a str,
    },
}

impl<'a> Question<'a> {
    pub(crate) fn parse(variable: &'a str) -> Self {
        let path = variable.strip_prefix(PRESENCE.0).and_then(|rest| rest.strip_suffix(PRESENCE.1));
        match path.and_then(|path| path.rsplit_once('.')) {
            Some((of, field)) => Self::Presence { of, field },
            None => Self::Value(variable),
        }
    }

    /// The path that must be there for an answer.
    pub(crate) fn needs(self) -> &'a str {
        match self {
            Self::Value(path) => path,
            Self::Presence { of, .. } => of,
        }
    }
}

pub(crate) fn is_root(name: &str) -> bool {
    ROOTS.iter().any(|(root, _)| *root == name)
}

/// The type of a variable that [`fold`] made.
///
/// # Errors
/// Why there is none; `Ok(None)` when it is not of the event.
pub(crate) fn type_of(variable: &str) -> Result<Option<Type>, String> {
    let question = Question::parse(variable);
    let (root, below) = match question.needs().split_once('.') {
        Some((root, _)) => (root, true),
        None => (question.needs(), false),
    };
    let Some((_, root_type)) = ROOTS.iter().find(|(known, _)| *known == root) else {
        return Ok(None);
    };
    match (question, root_type, below) {
        (_, Type::Dyn, false) | (_, Type::Dyn | Type::List, true) => {}
        (Question::Value(_), known, false) => return Ok(Some(*known)),
        (_, known, _) => return Err(format!("`{root}` is {known} and has no fields")),
    }
    Ok(Some(match question {
        Question::Value(_) => Type::Dyn,
        Question::Presence { .. } => Type::Bool,
    }))
}

/// Replaces the paths, and names the variables that they became.
pub(crate) fn fold(expression: &mut IdedExpr, variables: &mut Vec<String>) {
    unquote(expression);
    match folded(&expression.expr) {
        Some(variable) => {
            if !variables.contains(&variable) {
                variables.push(variable.clone());
            }
            expression.expr = Expr::Ident(variable);
        }
        None => children(&mut expression.expr).into_iter().for_each(|child| fold(child, variables)),
    }
}

/// A quoted field that has a dot in it becomes a key: as a field, it would be taken for a path.
fn unquote(expression: &mut IdedExpr) {
    if let Expr::Select(select) = &mut expression.expr
        && !select.test
        && !is_plain(&select.field)
    {
        let key = LiteralValue::String(std::mem::take(&mut select.field).into());
        let key = IdedExpr { id: 0, expr: Expr::Literal(key) };
        expression.expr = Expr::Call(CallExpr {
            func_name: operators::INDEX.to_owned(),
            target: None,
            args: vec![std::mem::take(&mut select.operand), key],
        });
    }
    children(&mut expression.expr).into_iter().for_each(unquote);
}

fn folded(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Select(select) if select.test && !is_plain(&select.field) => None,
        Expr::Select(select) if select.test => {
            let path = path(&select.operand.expr)?;
            Some(format!("{}{path}.{}{}", PRESENCE.0, select.field, PRESENCE.1))
        }
        _ => path(expression),
    }
}

fn path(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Ident(name) => is_root(name).then(|| name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", path(&select.operand.expr)?, select.field))
        }
        Expr::Call(call) if call.func_name == operators::INDEX && call.target.is_none() => {
            let [operand, index] = &call.args[..] else { return None };
            let segment = segment(&index.expr)?;
            Some(format!("{}.{segment}", path(&operand.expr)?))
        }
        _ => None,
    }
}

/// An index or key as the host writes it, if it can, and means the same by it.
fn segment(index: &Expr) -> Option<String> {
    match index {
        Expr::Literal(LiteralValue::Int(index)) => {
            usize::try_from(*index.inner()).ok().map(|index| index.to_string())
        }
        Expr::Literal(LiteralValue::String(key)) => {
            let key = key.inner();
            let is_index = key.bytes().all(|byte| byte.is_ascii_digit());
            (!is_index && is_plain(key)).then(|| key.to_owned())
        }
        _ => None,
    }
}

/// Whether a key means the same in a path of the host's.
fn is_plain(key: &str) -> bool {
    !key.is_empty() && !key.contains(['.', '(', ')', '['])
}

/// The expressions that one directly consists of.
pub(crate) fn children(expression: &mut Expr) -> Vec<&mut IdedExpr> {
    match expression {
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).collect(),
        Expr::Select(select) => vec![&mut select.operand],
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => map.entries.iter_mut().flat_map(|e| entry(&mut e.expr)).collect(),
        Expr::Struct(message) => {
            message.entries.iter_mut().flat_map(|e| entry(&mut e.expr)).collect()
        }
        Expr::Comprehension(walk) => vec![
            &mut walk.iter_range,
            &mut walk.accu_init,
            &mut walk.loop_cond,
            &mut walk.loop_step,
            &mut walk.result,
        ],
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn entry(entry: &mut EntryExpr) -> Vec<&mut IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
        EntryExpr::StructField(field) => vec![&mut field.value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parser;

    #[test]
    fn a_path_is_one_question_up_to_where_it_depends() {
        for (expression, asked) in [
            ("data.issue.number == 5", &["data.issue.number"][..]),
            ("data.a['b'].c[0] == id", &["data.a.b.c.0", "id"]),
            ("data['a.b'] == data['0']", &["data"]),
            ("data['a[0]'].x", &["data"]),
            ("data.`a-b`.c == data.`a.b`.c", &["data.a-b.c", "data"]),
            ("has(data.`a-b`) && has(data.`a.b`)", &["has(data.a-b)", "data"]),
            ("data.names[data.key].x", &["data.names", "data.key"]),
            ("data.list[-1]", &["data.list"]),
            ("has(data.a.b) && !has(data.a)", &["has(data.a.b)", "has(data.a)"]),
            ("has(data.x['a.b'].c)", &["data.x"]),
            ("data.l.exists(x, x.y == data.z && has(x.w))", &["data.l", "data.z"]),
            ("{'a': data.b}[data.c] in [data.d]", &["data.b", "data.c", "data.d"]),
            ("data.a.size() == size(data.b)", &["data.a", "data.b"]),
            ("true", &[]),
        ] {
            let mut syntax = parser().parse(expression).unwrap();
            let mut variables = Vec::new();
            fold(&mut syntax, &mut variables);
            assert_eq!(variables, asked, "{expression}");
        }
    }

    #[test]
    fn questions_of_presence() {
        let question = Question::parse("has(data.a.b)");
        assert_eq!(question, Question::Presence { of: "data.a", field: "b" });
        assert_eq!(question.needs(), "data.a");
        assert_eq!(Question::parse("data.a"), Question::Value("data.a"));
    }
}
