//! Equality and order with an integer beyond 64 bits on the right, which the crate asks of the left
//! operand alone: its own numbers know nothing of ours.

use std::cmp::Ordering;

use cel_syntax::common::ast::{Expr, operators};
use cel_syntax::common::functions::Function;
use cel_syntax::common::types::{CelBool, DYN_TYPE};
use cel_syntax::common::value::{CowVal, Val};
use cel_syntax::{DeclarationError, Env, ExecutionError, IdedExpr};

use crate::big::Big;
use crate::paths;

/// The operators, by the names of the functions that stand in for them.
const FUNCTIONS: [(&str, &str); 6] = [
    (operators::EQUALS, "@equals"),
    (operators::NOT_EQUALS, "@not_equals"),
    (operators::LESS, "@less"),
    (operators::LESS_EQUALS, "@less_equals"),
    (operators::GREATER, "@greater"),
    (operators::GREATER_EQUALS, "@greater_equals"),
];

/// Replaces the operators whose right side may turn out to be such an integer.
pub(crate) fn replace(expression: &mut IdedExpr) {
    if let Expr::Call(call) = &mut expression.expr
        && let [_, right] = &call.args[..]
        && !matches!(right.expr, Expr::Literal(_))
        && let Some((_, function)) = FUNCTIONS.iter().find(|(name, _)| *name == call.func_name)
    {
        call.func_name = (*function).to_owned();
    }
    paths::children(&mut expression.expr).into_iter().for_each(replace);
}

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Adds the functions.
pub(crate) fn add_to(library: &mut Env) -> Result<(), DeclarationError> {
    let mut add = |name: &str, function: Function| {
        library.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE], function)
    };
    add("@equals", |operands| answer(is_equal(&operands)))?;
    add("@not_equals", |operands| answer(!is_equal(&operands)))?;
    add("@less", |operands| answer(order(operators::LESS, &operands)?.is_lt()))?;
    add("@less_equals", |operands| answer(order(operators::LESS_EQUALS, &operands)?.is_le()))?;
    add("@greater", |operands| answer(order(operators::GREATER, &operands)?.is_gt()))?;
    add("@greater_equals", |operands| answer(order(operators::GREATER_EQUALS, &operands)?.is_ge()))
}

fn answer<'b, 'v>(holds: bool) -> Answer<'b, 'v> {
    Ok(CowVal::owned(CelBool::from(holds)))
}

fn is_equal(operands: &[CowVal<'_, '_>]) -> bool {
    let [left, right] = operands else { return false };
    match right.downcast_ref::<Big>() {
        Some(big) => big.equals(left.as_ref()),
        None => left.as_ref().equals(right.as_ref()),
    }
}

fn order(operator: &str, operands: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    let types = || operands.iter().map(|operand| operand.get_type().name().to_owned()).collect();
    let refused = || ExecutionError::no_such_overload(operator, types());
    let [left, right] = operands else { return Err(refused()) };
    let order = match (left.as_comparer(), right.downcast_ref::<Big>()) {
        (None, _) => return Err(refused()),
        (Some(_), Some(big)) => big.order_to(left.as_ref()).map(Ordering::reverse),
        (Some(left), None) => left.compare(right.as_ref()).ok(),
    };
    order.ok_or_else(refused)
}
