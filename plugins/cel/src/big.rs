//! Integers that neither an int nor a uint can hold.
//!
//! They are what they are written as: equal to the same integer and to a double that means exactly
//! it, ordered among all numbers, and `string(n)` gives every digit. CEL has no arithmetic for them,
//! and what would need one fails and says so; `double(n)` is the nearest double.

use std::any::Any;
use std::cmp::Ordering;

use cel_syntax::common::traits::{
    Adder, Comparer, Divider, Modder, Multiplier, Negator, Subtractor,
};
use cel_syntax::common::types::{CelDouble, CelInt, CelString, CelUInt, Type};
use cel_syntax::common::value::{CowVal, StaticVal, Val};
use cel_syntax::{Env, ExecutionError, add_overload};

use crate::types::BIG;

static TYPE: Type = Type::new_unspecified_type(BIG);

/// Digits, and whether they are below zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Big {
    negative: bool,
    digits: String,
}

impl Big {
    /// An integer as JSON writes it, without leading zeros, that is beyond 64 bits.
    pub(crate) fn parse(written: &str) -> Self {
        let digits = written.strip_prefix('-');
        Self { negative: digits.is_some(), digits: digits.unwrap_or(written).to_owned() }
    }

    fn written(&self) -> String {
        format!("{}{}", if self.negative { "-" } else { "" }, self.digits)
    }

    /// The order of two integers that are written.
    fn order(&self, other: &Self) -> Ordering {
        let size = |big: &Self| (big.digits.len(), big.digits.clone());
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(self).cmp(&size(other)),
            (true, true) => size(other).cmp(&size(self)),
        }
    }

    fn order_to_double(&self, double: f64) -> Option<Ordering> {
        match double {
            _ if double.is_nan() => None,
            f64::INFINITY => Some(Ordering::Less),
            f64::NEG_INFINITY => Some(Ordering::Greater),
            // Where it comes near this, a double is an integer, and is written with all its digits.
            _ => Some(self.order(&Self::parse(&format!("{:.0}", double.trunc())))),
        }
    }

    /// It lies beyond all of them.
    fn order_to_small(&self) -> Ordering {
        if self.negative { Ordering::Less } else { Ordering::Greater }
    }

    /// How it lies to another number; none for what is no number, or none at all.
    pub(crate) fn order_to(&self, other: &dyn Val) -> Option<Ordering> {
        if let Some(big) = other.downcast_ref::<Self>() {
            return Some(self.order(big));
        }
        if let Some(double) = other.downcast_ref::<CelDouble>() {
            return self.order_to_double(*double.inner());
        }
        let is_small =
            other.downcast_ref::<CelInt>().is_some() || other.downcast_ref::<CelUInt>().is_some();
        is_small.then(|| self.order_to_small())
    }

    fn no_arithmetic(&self, sign: &str) -> ExecutionError {
        ExecutionError::function_error(sign, format!("{} has more than 64 bits", self.written()))
    }
}

macro_rules! no_arithmetic {
    ($($capability:ident :: $function:ident = $sign:literal),+) => {$(
        impl $capability for Big {
            fn $function<'b, 'v>(
                &'b self,
                _: &(dyn Val + 'v),
            ) -> Result<CowVal<'b, 'v>, ExecutionError>
            where
                Self: 'v,
            {
                Err(self.no_arithmetic($sign))
            }
        }
    )+};
}

no_arithmetic!(
    Adder::add = "+",
    Subtractor::sub = "-",
    Multiplier::mul = "*",
    Divider::div = "/",
    Modder::modulo = "%"
);

impl Negator for Big {
    fn negate<'v>(&self) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Err(self.no_arithmetic("-"))
    }
}

impl Comparer for Big {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        self.order_to(other).ok_or_else(|| {
            let types = [TYPE.name(), other.get_type().name()].map(str::to_owned);
            ExecutionError::no_such_overload("_<_", types.to_vec())
        })
    }
}

impl Val for Big {
    fn get_type(&self) -> &Type {
        &TYPE
    }
    fn cel_type() -> &'static Type {
        &TYPE
    }
    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_multiplier<'b, 'v>(&'b self) -> Option<&'b (dyn Multiplier + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_divider<'b, 'v>(&'b self) -> Option<&'b (dyn Divider + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_modder<'b, 'v>(&'b self) -> Option<&'b (dyn Modder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_negator<'b, 'v>(&'b self) -> Option<&'b (dyn Negator + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }
    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }
    fn equals(&self, other: &dyn Val) -> bool {
        self.order_to(other) == Some(Ordering::Equal)
    }
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Big {}

/// Adds what functions make of them.
pub(crate) fn add_to(library: &mut Env) -> Result<(), cel_syntax::DeclarationError> {
    add_overload!(library, fn string: (Big) -> CelString, id = "string_big")?;
    add_overload!(library, fn double: (Big) -> CelDouble, id = "double_big")?;
    add_overload!(library, fn int: (Big) -> Result<CelInt>, id = "int_big")?;
    add_overload!(library, fn uint: (Big) -> Result<CelUInt>, id = "uint_big")
}

fn string(big: &Big) -> CelString<'static> {
    CelString::from(big.written())
}

fn double(big: &Big) -> CelDouble {
    CelDouble::from(big.written().parse::<f64>().unwrap_or(f64::NAN))
}

fn int(big: &Big) -> Result<CelInt, ExecutionError> {
    Err(big.no_arithmetic("int"))
}

fn uint(big: &Big) -> Result<CelUInt, ExecutionError> {
    Err(big.no_arithmetic("uint"))
}
