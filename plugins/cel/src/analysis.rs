//! What can be told of an expression before there is an event: names that are not there, calls that
//! cannot be made, types that do not go together.

use std::ops::Range;

use cel_syntax::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, MapExpr, SelectExpr, operators,
};
use cel_syntax::{Context, ExecutionError, IdedExpr, Value};

use crate::excerpt::excerpt;
use crate::functions::{self, TYPES};
use crate::library::{library, pattern};
use crate::paths;
use crate::problem::Problem;
use crate::source::{Role, Source};
use crate::types::Type::{self, Bool, Double, Dyn, Int, List, Map, Text, Uint};

/// The look at one part of an expression, whose paths are folded.
pub(crate) struct Analysis<'a> {
    source: &'a Source<'a>,
    part: &'a Range<usize>,
    /// The variables of the macros around, innermost last.
    scope: Vec<(&'a str, Type)>,
    problems: Vec<Problem>,
}

impl<'a> Analysis<'a> {
    /// Everything that is wrong with a part that must be a bool.
    pub(crate) fn problems(
        source: &'a Source<'a>,
        part: &'a Range<usize>,
        syntax: &'a IdedExpr,
    ) -> Vec<Problem> {
        let mut analysis = Self { source, part, scope: Vec::new(), problems: Vec::new() };
        let result = analysis.type_of(syntax);
        if !result.may_be(&[Bool]) {
            let text = excerpt(source.text()[part.clone()].trim());
            analysis.refuse(format!("`{text}` gives {result}, not a bool"));
        }
        analysis.problems
    }

    fn refuse(&mut self, message: impl Into<String>) {
        self.problems.push(Problem::new(None, message));
    }

    fn refuse_at(&mut self, name: &str, role: Role, message: impl Into<String>) {
        let place = self.source.place_of(name, role, self.part);
        self.problems.push(Problem::new(place, message));
    }

    /// After a problem it is any type, so that one mistake is one problem.
    fn type_of(&mut self, syntax: &'a IdedExpr) -> Type {
        match &syntax.expr {
            Expr::Literal(literal) => of_literal(literal),
            Expr::Ident(name) => self.of_variable(name),
            Expr::Select(select) => self.of_field(select),
            Expr::Call(call) => self.of_call(call),
            Expr::Comprehension(walk) => self.of_macro(walk),
            Expr::List(list) => {
                self.types_of(&list.elements);
                List
            }
            Expr::Map(map) => self.of_map(map),
            Expr::Struct(message) => {
                let name = &message.type_name;
                self.refuse_at(
                    name,
                    Role::Variable,
                    format!("messages such as `{name}{{…}}` are not known here"),
                );
                Dyn
            }
            Expr::Unspecified => {
                self.refuse("the expression is not complete");
                Dyn
            }
        }
    }

    fn types_of(&mut self, all: &'a [IdedExpr]) -> Vec<Type> {
        all.iter().map(|syntax| self.type_of(syntax)).collect()
    }

    fn of_variable(&mut self, name: &'a str) -> Type {
        if let Some((_, known)) = self.scope.iter().rev().find(|(known, _)| *known == name) {
            return *known;
        }
        match paths::type_of(name) {
            Ok(Some(known)) => return known,
            Ok(None) if TYPES.contains(&name) => return Type::Kind,
            Ok(None) => {
                let reason = format!("there is no variable `{name}`; did you mean `data.{name}`?");
                self.refuse_at(name, Role::Variable, reason);
            }
            Err(reason) => self.refuse(reason),
        }
        Dyn
    }

    fn of_field(&mut self, SelectExpr { operand, field, test }: &'a SelectExpr) -> Type {
        let of = self.type_of(operand);
        if !of.may_be(&[Map]) {
            self.refuse_at(field, Role::Field, format!("{of} has no field `{field}`"));
        }
        if *test { Bool } else { Dyn }
    }

    fn of_map(&mut self, map: &'a MapExpr) -> Type {
        for entry in &map.entries {
            if let EntryExpr::MapEntry(entry) = &entry.expr {
                let key = self.type_of(&entry.key);
                if !key.may_be(&[Bool, Int, Uint, Text]) {
                    self.refuse(format!("{key} cannot be a key"));
                }
                self.type_of(&entry.value);
            }
        }
        Map
    }

    fn of_macro(&mut self, walk: &'a ComprehensionExpr) -> Type {
        let range = self.type_of(&walk.iter_range);
        if !range.may_be(&[List, Map]) {
            self.refuse(format!(
                "only lists and maps have `{}` in them, not {range}",
                walk.iter_var
            ));
        }
        if paths::is_root(&walk.iter_var) {
            let reason = format!("`{}` is a variable of the event already", walk.iter_var);
            self.refuse_at(&walk.iter_var, Role::Bound, reason);
        }
        let gathered = self.type_of(&walk.accu_init);
        let outside = self.scope.len();
        self.scope.push((&walk.iter_var, Dyn));
        self.scope.push((&walk.accu_var, gathered));
        self.type_of(&walk.loop_step);
        let result = self.type_of(&walk.result);
        self.scope.truncate(outside);
        result
    }

    fn of_call(&mut self, call: &'a CallExpr) -> Type {
        let name = call.func_name.as_str();
        if is_operator(name) {
            let operands = self.types_of(&call.args);
            return self.of_operator(name, &operands);
        }
        let result = functions::signatures(name).and_then(|signatures| {
            let receiver = call.target.as_deref().map(|target| self.type_of(target));
            let arguments = self.types_of(&call.args);
            functions::called(&signatures, receiver, &arguments)
        });
        match result {
            Ok(result) => {
                self.rehearse(call);
                result
            }
            Err(reason) => {
                self.refuse_at(name, Role::Function, reason);
                Dyn
            }
        }
    }

    fn of_operator(&mut self, name: &str, operands: &[Type]) -> Type {
        const NUMBERS: [Type; 3] = [Int, Uint, Double];
        let result = match (name, operands) {
            (operators::CONDITIONAL, &[condition, one, other]) => {
                self.expect_bools("?:", &[condition]);
                return one.joined(other);
            }
            (operators::LOGICAL_AND, operands) => return self.expect_bools("&&", operands),
            (operators::LOGICAL_OR, operands) => return self.expect_bools("||", operands),
            (operators::LOGICAL_NOT, operands) => return self.expect_bools("!", operands),
            (operators::EQUALS | operators::NOT_EQUALS, &[left, right]) => {
                left.is_equatable(right).then_some(Bool)
            }
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                &[left, right],
            ) => left.is_ordered(right).then_some(Bool),
            (operators::IN, &[_, right]) => right.may_be(&[List, Map]).then_some(Bool),
            (operators::INDEX, &[left, right]) => match left {
                List => right.may_be(&NUMBERS),
                left => left.may_be(&[Map]),
            }
            .then_some(Dyn),
            (operators::ADD, &[left, right]) => left.sum(right),
            (operators::SUBSTRACT, &[left, right]) => left.difference(right),
            (operators::MULTIPLY | operators::DIVIDE, &[left, right]) => {
                left.combined(right, &NUMBERS)
            }
            (operators::MODULO, &[left, right]) => left.combined(right, &[Int, Uint]),
            (operators::NEGATE, &[of]) => of.may_be(&[Int, Double]).then_some(of),
            _ => None,
        };
        result.unwrap_or_else(|| {
            let operands: Vec<String> = operands.iter().map(Type::to_string).collect();
            self.refuse(format!("`{}` does not take {}", sign(name), operands.join(" and ")));
            Dyn
        })
    }

    fn expect_bools(&mut self, sign: &str, operands: &[Type]) -> Type {
        for operand in operands {
            if !operand.may_be(&[Bool]) {
                self.refuse(format!("`{sign}` needs a bool, not {operand}"));
            }
        }
        Bool
    }

    /// Makes a call whose arguments are written out, to see whether they can be used.
    fn rehearse(&mut self, call: &CallExpr) {
        let problem = match (call.func_name.as_str(), &call.args[..]) {
            ("matches", [.., wanted]) => match &wanted.expr {
                Expr::Literal(LiteralValue::String(text)) => pattern(text.inner()).err(),
                _ => Some("the pattern of `matches` must be written out".to_owned()),
            },
            (_, arguments) if arguments.iter().all(is_literal) => tried(call),
            _ => None,
        };
        if let Some(problem) = problem {
            self.refuse_at(&call.func_name, Role::Function, problem);
        }
    }
}

fn of_literal(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Double,
        LiteralValue::Int(_) => Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Text,
        LiteralValue::UInt(_) => Uint,
    }
}

fn is_literal(syntax: &IdedExpr) -> bool {
    matches!(syntax.expr, Expr::Literal(_))
}

/// Why a call fails that is made with these arguments, on the beginning of time if on anything: of
/// the functions that are called on something, those that can fail take a time and a zone.
fn tried(call: &CallExpr) -> Option<String> {
    let call = match (&call.target, &call.args[..]) {
        (None, [_, ..]) => call.clone(),
        (Some(_), [_, ..]) if call.func_name.starts_with("get") => {
            CallExpr { target: Some(Box::new(beginning())), ..call.clone() }
        }
        _ => return None,
    };
    let name = call.func_name.clone();
    let call = IdedExpr { id: 0, expr: Expr::Call(call) };
    let failed = Value::resolve_val(&call, &Context::with_env(library())).err()?;
    Some(match failed {
        ExecutionError::FunctionError { message, .. } => format!("`{name}`: {message}"),
        error => format!("`{name}`: {error}"),
    })
}

fn beginning() -> IdedExpr {
    let zero = IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Int(0.into())) };
    let call = CallExpr { func_name: "timestamp".to_owned(), target: None, args: vec![zero] };
    IdedExpr { id: 0, expr: Expr::Call(call) }
}

/// What the parser makes of operators is called by what no name can be.
fn is_operator(name: &str) -> bool {
    name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// An operator as it is written.
fn sign(operator: &str) -> &str {
    match operator {
        operators::IN => "in",
        operators::INDEX => "[]",
        operator => operator.trim_matches('_'),
    }
}
