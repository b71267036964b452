//! What can be told of a value's type before there is one.

use std::fmt;

/// `Dyn` is what only the event will tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Type {
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Null,
    List,
    Map,
    Timestamp,
    Duration,
    Kind,
}

use Type::{Bool, Bytes, Double, Duration, Dyn, Int, List, Map, Text, Timestamp, Uint};

impl Type {
    /// Whether it may turn out to be one of these; `Dyn` among them is all.
    pub(crate) fn may_be(self, types: &[Self]) -> bool {
        self == Dyn || types.contains(&self) || types.contains(&Dyn)
    }

    fn is_number(self) -> bool {
        matches!(self, Int | Uint | Double)
    }

    /// Whether values of these can be equal.
    pub(crate) fn is_equatable(self, other: Self) -> bool {
        self == Dyn || other == Dyn || self == other || self.is_number() && other.is_number()
    }

    /// Whether values of these have an order.
    pub(crate) fn is_ordered(self, other: Self) -> bool {
        const ORDERED: [Type; 8] = [Bool, Int, Uint, Double, Text, Bytes, Timestamp, Duration];
        self.is_equatable(other) && self.may_be(&ORDERED) && other.may_be(&ORDERED)
    }

    /// What `+` makes of these, if it takes them.
    pub(crate) fn sum(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Timestamp, Timestamp) => None,
            (Timestamp, Duration) | (Duration, Timestamp) => Some(Timestamp),
            (left, right) => {
                left.combined(right, &[Int, Uint, Double, Text, Bytes, List, Duration, Timestamp])
            }
        }
    }

    /// What `-` makes of these, if it takes them.
    pub(crate) fn difference(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Timestamp, Duration) => Some(Timestamp),
            (Timestamp, Timestamp) => Some(Duration),
            (left, right) => left.combined(right, &[Int, Uint, Double, Duration, Timestamp]),
        }
    }

    /// The type that both are, if it is one of these. With one that is not known, the result is not
    /// known either.
    pub(crate) fn combined(self, other: Self, types: &[Self]) -> Option<Self> {
        match (self, other) {
            (Dyn, known) | (known, Dyn) => known.may_be(types).then_some(Dyn),
            (left, right) => (left == right && types.contains(&left)).then_some(left),
        }
    }

    /// The type of what is one or the other.
    pub(crate) fn joined(self, other: Self) -> Self {
        if self == other { self } else { Dyn }
    }
}

/// With its article.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dyn => "any value",
            Bool => "a bool",
            Int => "an int",
            Uint => "a uint",
            Double => "a double",
            Text => "a string",
            Bytes => "bytes",
            Self::Null => "null",
            List => "a list",
            Map => "a map",
            Timestamp => "a timestamp",
            Duration => "a duration",
            Self::Kind => "a type",
        })
    }
}

/// The type of integers beyond 64 bits.
pub(crate) const BIG: &str = "integer";

/// A type by the name that values say they are of, with its article.
pub(crate) fn named(name: &str) -> String {
    match name {
        "null_type" => "null".to_owned(),
        "google.protobuf.Timestamp" => Timestamp.to_string(),
        "google.protobuf.Duration" => Duration.to_string(),
        "int" => Int.to_string(),
        "bytes" => Bytes.to_string(),
        BIG => "an integer beyond 64 bits".to_owned(),
        name => format!("a {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences() {
        for (left, right, sum, difference) in [
            (Int, Int, Some(Int), Some(Int)),
            (Int, Double, None, None),
            (Text, Text, Some(Text), None),
            (Timestamp, Duration, Some(Timestamp), Some(Timestamp)),
            (Duration, Timestamp, Some(Timestamp), None),
            (Timestamp, Timestamp, None, Some(Duration)),
            (Duration, Duration, Some(Duration), Some(Duration)),
            (Dyn, Text, Some(Dyn), None),
            (Timestamp, Dyn, Some(Dyn), Some(Dyn)),
            (Bool, Dyn, None, None),
            (Dyn, Dyn, Some(Dyn), Some(Dyn)),
        ] {
            assert_eq!((left.sum(right), left.difference(right)), (sum, difference));
        }
    }
}
