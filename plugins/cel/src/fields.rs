//! The variables of an expression, fetched from the host when they are reached, each once.

use std::sync::OnceLock;

use cel_syntax::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel_syntax::common::value::{CowVal, Val};
use cel_syntax::context::VariableResolver;
use serde_json::{Number, Value};

use crate::big::Big;
use crate::paths::Question;

/// The event, as far as an expression may look at it.
pub(crate) trait Envelope: Sync {
    /// The JSON at a path.
    fn get(&self, path: &str) -> Option<String>;
}

/// The variables of one expression, for one event.
pub(crate) struct Fields<'e, E> {
    envelope: &'e E,
    answers: Vec<(&'e str, OnceLock<Answer>)>,
}

/// `None` when the path leads nowhere.
type Answer = Option<Box<dyn Val>>;

impl<'e, E: Envelope> Fields<'e, E> {
    pub(crate) fn new(variables: &'e [String], envelope: &'e E) -> Self {
        let answers = variables.iter().map(|name| (name.as_str(), OnceLock::new())).collect();
        Self { envelope, answers }
    }

    fn ask(&self, question: Question<'_>) -> Answer {
        match question {
            Question::Value(path) => {
                let json = self.envelope.get(path)?;
                serde_json::from_str(&json).ok().map(value)
            }
            Question::Presence { of, field } => {
                if self.envelope.get(&format!("{of}.{field}")).is_some() {
                    return Some(Box::new(CelBool::from(true)));
                }
                let is_object = self.envelope.get(of)?.starts_with('{');
                is_object.then(|| Box::new(CelBool::from(false)) as Box<dyn Val>)
            }
        }
    }
}

impl<E: Envelope> VariableResolver for Fields<'_, E> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let (name, answer) = self.answers.iter().find(|(name, _)| *name == variable)?;
        let answer = answer.get_or_init(|| self.ask(Question::parse(name)));
        answer.as_deref().map(CowVal::Borrowed)
    }
}

fn value(json: Value) -> Box<dyn Val> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(bool) => Box::new(CelBool::from(bool)),
        Value::Number(number) => self::number(&number),
        Value::String(text) => Box::new(CelString::from(text)),
        Value::Array(items) => {
            let items: Vec<Box<dyn Val>> = items.into_iter().map(value).collect();
            Box::new(CelList::from(items))
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, json)| (CelMapKey::from(key), value(json)));
            Box::new(CelMap::from(fields.collect::<std::collections::HashMap<_, _>>()))
        }
    }
}

/// An int where it is one, so that it can be added to one and be an index.
fn number(number: &Number) -> Box<dyn Val> {
    match (number.as_i64(), number.as_u64()) {
        (Some(int), _) => Box::new(CelInt::from(int)),
        (None, Some(uint)) => Box::new(CelUInt::from(uint)),
        (None, None) if number.as_str().contains(['.', 'e', 'E']) => {
            Box::new(CelDouble::from(number.as_str().parse::<f64>().unwrap_or(f64::NAN)))
        }
        (None, None) => Box::new(Big::parse(number.as_str())),
    }
}
