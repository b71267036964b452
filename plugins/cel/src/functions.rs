//! The functions that an expression may call: how each is called, with what, and what it gives.

use crate::types::Type;
use crate::types::Type::{
    Bool, Bytes, Double, Duration, Dyn, Int, List, Map, Text, Timestamp, Uint,
};

/// One way to call a function.
pub(crate) struct Signature {
    name: &'static str,
    /// What it is called on; empty for a function that stands alone.
    receiver: &'static [Type],
    parameters: &'static [&'static [Type]],
    result: Type,
}

const fn alone(name: &'static str, of: &'static [&'static [Type]], result: Type) -> Signature {
    Signature { name, receiver: &[], parameters: of, result }
}

const fn member(
    name: &'static str,
    receiver: &'static [Type],
    parameters: &'static [&'static [Type]],
    result: Type,
) -> Signature {
    Signature { name, receiver, parameters, result }
}

const SIZED: &[Type] = &[Text, Bytes, List, Map];
const TIMES: &[Type] = &[Timestamp, Duration];

#[rustfmt::skip]
const SIGNATURES: &[Signature] = &[
    alone("size", &[SIZED], Int),
    member("size", SIZED, &[], Int),
    member("contains", &[Text], &[&[Text]], Bool),
    member("startsWith", &[Text], &[&[Text]], Bool),
    member("endsWith", &[Text], &[&[Text]], Bool),
    member("matches", &[Text], &[&[Text]], Bool),
    alone("matches", &[&[Text], &[Text]], Bool),
    alone("bool", &[&[Bool, Text]], Bool),
    alone("int", &[&[Int, Uint, Double, Text, Timestamp]], Int),
    alone("uint", &[&[Uint, Int, Double, Text]], Uint),
    alone("double", &[&[Double, Int, Uint, Text]], Double),
    alone("string", &[&[Text, Bool, Int, Uint, Double, Bytes, Timestamp, Duration]], Text),
    alone("bytes", &[&[Bytes, Text]], Bytes),
    alone("timestamp", &[&[Timestamp, Text, Int]], Timestamp),
    alone("duration", &[&[Duration, Text]], Duration),
    alone("type", &[&[Dyn]], Type::Kind),
    alone("dyn", &[&[Dyn]], Dyn),
    member("getFullYear", &[Timestamp], &[], Int),
    member("getFullYear", &[Timestamp], &[&[Text]], Int),
    member("getMonth", &[Timestamp], &[], Int),
    member("getMonth", &[Timestamp], &[&[Text]], Int),
    member("getDate", &[Timestamp], &[], Int),
    member("getDate", &[Timestamp], &[&[Text]], Int),
    member("getDayOfMonth", &[Timestamp], &[], Int),
    member("getDayOfMonth", &[Timestamp], &[&[Text]], Int),
    member("getDayOfWeek", &[Timestamp], &[], Int),
    member("getDayOfWeek", &[Timestamp], &[&[Text]], Int),
    member("getDayOfYear", &[Timestamp], &[], Int),
    member("getDayOfYear", &[Timestamp], &[&[Text]], Int),
    member("getHours", TIMES, &[], Int),
    member("getHours", &[Timestamp], &[&[Text]], Int),
    member("getMinutes", TIMES, &[], Int),
    member("getMinutes", &[Timestamp], &[&[Text]], Int),
    member("getSeconds", TIMES, &[], Int),
    member("getSeconds", &[Timestamp], &[&[Text]], Int),
    member("getMilliseconds", TIMES, &[], Int),
    member("getMilliseconds", &[Timestamp], &[&[Text]], Int),
];

/// What macros are called with, for those who call them differently.
const MACROS: [(&str, &str); 7] = [
    ("has", "has(a.b)"),
    ("all", "list.all(x, condition)"),
    ("exists", "list.exists(x, condition)"),
    ("exists_one", "list.exists_one(x, condition)"),
    ("existsOne", "list.existsOne(x, condition)"),
    ("map", "list.map(x, value)"),
    ("filter", "list.filter(x, condition)"),
];

/// The types that have a name of their own, to be held against `type(…)`.
pub(crate) const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

/// The ways to call a function.
///
/// # Errors
/// Why there are none.
pub(crate) fn signatures(name: &str) -> Result<Vec<&'static Signature>, String> {
    let known: Vec<_> = SIGNATURES.iter().filter(|known| known.name == name).collect();
    if known.is_empty() {
        return Err(match MACROS.iter().find(|(known, _)| *known == name) {
            Some((_, form)) => format!("`{name}` is written `{form}`"),
            None => format!("there is no function `{name}`"),
        });
    }
    Ok(known)
}

/// What a call gives.
///
/// # Errors
/// Why it cannot be made.
pub(crate) fn called(
    known: &[&Signature],
    receiver: Option<Type>,
    arguments: &[Type],
) -> Result<Type, String> {
    let name = known.first().map_or("", |signature| signature.name);
    match known.iter().find(|signature| signature.takes(receiver, arguments)) {
        Some(signature) => Ok(signature.result),
        None if known.iter().any(|signature| signature.has_form(receiver, arguments)) => {
            let given: Vec<String> =
                receiver.iter().chain(arguments).map(Type::to_string).collect();
            Err(format!("`{name}` does not take {}", given.join(" and ")))
        }
        None => {
            let forms: Vec<String> = known.iter().map(|signature| signature.form()).collect();
            Err(format!("`{name}` is written {}", forms.join(" or ")))
        }
    }
}

impl Signature {
    fn takes(&self, receiver: Option<Type>, arguments: &[Type]) -> bool {
        self.has_form(receiver, arguments)
            && receiver.is_none_or(|receiver| receiver.may_be(self.receiver))
            && arguments.iter().zip(self.parameters).all(|(given, wanted)| given.may_be(wanted))
    }

    fn has_form(&self, receiver: Option<Type>, arguments: &[Type]) -> bool {
        receiver.is_some() != self.receiver.is_empty() && arguments.len() == self.parameters.len()
    }

    fn form(&self) -> String {
        let parameters = ["x", "y"][..self.parameters.len()].join(", ");
        let receiver = if self.receiver.is_empty() { "" } else { "value." };
        format!("`{receiver}{}({parameters})`", self.name)
    }
}
