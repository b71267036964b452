//! Runs a program on an event.

use std::borrow::Cow;
use std::ops::Range;

use hillock_plugin_sdk::path::push;
use hillock_plugin_sdk::template::Content;
use serde_json::Value;

use crate::failure::Failure;
use crate::fences::standing;
use crate::frame::{Frame, Round};
use crate::helpers;
use crate::output::Output;
use crate::program::{Expression, Node, Program};
use crate::value::{Envelope, Found, Shape};

/// What a template makes of an event.
#[derive(Debug, PartialEq)]
pub(crate) struct Prompt {
    /// Without whitespace around it.
    pub(crate) text: String,
    /// Whose words it holds.
    pub(crate) content: Content,
}

/// The prompt.
pub(crate) fn render(program: &Program, envelope: &impl Envelope) -> Result<Prompt, Failure> {
    let mut renderer = Renderer {
        envelope,
        output: Output::default(),
        content: Content::Trusted,
        fences: Vec::new(),
    };
    renderer.program(program, &Frame::outermost())?;
    let Renderer { output, content, fences, .. } = renderer;
    let text = output.into_prompt();
    // The reading is only worth its time where there is a fence to be seen.
    let content = match content {
        Content::Fenced if standing(&text, &fences).contains(&false) => Content::Unfenced,
        content => content,
    };
    Ok(Prompt { text, content })
}

struct Renderer<'e, E> {
    envelope: &'e E,
    output: Output,
    /// The worst of what has been printed.
    content: Content,
    /// The places of fences that hold the sender's words.
    fences: Vec<Range<usize>>,
}

impl<E: Envelope> Renderer<'_, E> {
    fn program(&mut self, program: &Program, frame: &Frame<'_>) -> Result<(), Failure> {
        program.0.iter().try_for_each(|node| self.node(node, frame))
    }

    fn node(&mut self, node: &Node, frame: &Frame<'_>) -> Result<(), Failure> {
        match node {
            Node::Text(text) => self.output.write(text),
            Node::Print(expression) => self.print(&self.evaluate(expression, frame)?),
            Node::If { condition, negated, then, otherwise } => {
                let holds = self.evaluate(condition, frame)?.is_true(self.envelope);
                if holds != *negated {
                    self.program(then, frame)
                } else {
                    self.optional(otherwise.as_ref(), frame)
                }
            }
            Node::With { subject, body, otherwise } => {
                self.with(self.evaluate(subject, frame)?, body, otherwise.as_ref(), frame)
            }
            Node::Each { over, body, otherwise } => {
                self.each(self.evaluate(over, frame)?, body, otherwise.as_ref(), frame)
            }
            Node::Section { subject, body, otherwise } => {
                let subject = self.evaluate(subject, frame)?;
                self.section(subject, body.as_ref(), otherwise.as_ref(), frame)
            }
            Node::Together(body) => self.program(body, frame),
            Node::Scope { subject, named, body } => {
                let subject = subject.as_ref().map(|subject| self.evaluate(subject, frame));
                let named = named
                    .iter()
                    .map(|(name, value)| Ok((name.as_str(), self.evaluate(value, frame)?)))
                    .collect::<Result<_, _>>()?;
                self.program(body, &Frame::partial(frame, subject.transpose()?, named))
            }
            Node::Indented { indent, body } => {
                let outside = self.output.indent(indent);
                let rendered = self.program(body, frame);
                self.output.restore(outside);
                rendered
            }
        }
    }

    /// As handlebars.js has it, what is missing is as good as null here.
    fn section(
        &mut self,
        subject: Found<'_>,
        body: Option<&Program>,
        otherwise: Option<&Program>,
        frame: &Frame<'_>,
    ) -> Result<(), Failure> {
        let none = Program(Vec::new());
        match subject.shape(self.envelope) {
            Shape::Nothing => self.optional(otherwise, frame),
            Shape::True => self.optional(body, frame),
            Shape::Array => self.each(subject, body.unwrap_or(&none), otherwise, frame),
            Shape::Other => self.optional(body, &Frame::with(frame, subject)),
        }
    }

    fn print(&mut self, found: &Found<'_>) -> Result<(), Failure> {
        let text = found.text(self.envelope)?;
        if !found.is_fence() {
            self.output.write(&text)?;
        } else {
            let place = self.output.write_fence(&text)?;
            if found.content == Content::Fenced {
                self.fences.push(place);
            }
        }
        self.content = self.content.max(found.content);
        Ok(())
    }

    fn optional(&mut self, program: Option<&Program>, frame: &Frame<'_>) -> Result<(), Failure> {
        program.map_or(Ok(()), |program| self.program(program, frame))
    }

    fn with(
        &mut self,
        subject: Found<'_>,
        body: &Program,
        otherwise: Option<&Program>,
        frame: &Frame<'_>,
    ) -> Result<(), Failure> {
        if subject.is_true(self.envelope) {
            return self.program(body, &Frame::with(frame, subject));
        }
        if otherwise.is_none() && subject.is_missing(self.envelope) {
            return Err(subject.missing());
        }
        self.optional(otherwise, frame)
    }

    fn each(
        &mut self,
        over: Found<'_>,
        body: &Program,
        otherwise: Option<&Program>,
        frame: &Frame<'_>,
    ) -> Result<(), Failure> {
        let missing = over.missing();
        let (path, content) = (over.path.clone(), over.content);
        let Some(value) = over.value(self.envelope)? else {
            return otherwise.map_or(Err(missing), |otherwise| self.program(otherwise, frame));
        };
        let items = items(&value).ok_or_else(|| {
            Failure::Failed(format!("`{path}` is a scalar; `each` takes an array or an object"))
        })?;
        if items.is_empty() {
            return self.optional(otherwise, frame);
        }
        let end = items.len() - 1;
        for (index, (key, item)) in items.into_iter().enumerate() {
            let step = key.map_or_else(|| Cow::Owned(index.to_string()), Cow::Borrowed);
            let mut path = path.clone();
            push(&mut path, &step);
            let this = Found::item(path, item, content);
            let round = Round { index, key, content, last: index == end };
            self.program(body, &Frame::each(frame, this, round))?;
        }
        Ok(())
    }

    fn evaluate<'a>(
        &self,
        expression: &'a Expression,
        frame: &'a Frame<'a>,
    ) -> Result<Found<'a>, Failure> {
        match expression {
            Expression::Literal(value) => Ok(Found::literal(value)),
            Expression::Reference(reference) => Ok(frame.resolve(reference)),
            Expression::Round(variable) => Ok(frame.round_variable(variable)),
            Expression::Call { helper, arguments } => {
                let arguments = arguments.iter().map(|argument| self.evaluate(argument, frame));
                helpers::call(*helper, arguments.collect::<Result<_, _>>()?, self.envelope)
            }
        }
    }
}

/// The rounds of an `each`, none for null; `None` for other scalars.
fn items(value: &Value) -> Option<Vec<(Option<&str>, &Value)>> {
    match value {
        Value::Array(array) => Some(array.iter().map(|item| (None, item)).collect()),
        Value::Object(object) => {
            Some(object.iter().map(|(key, item)| (Some(key.as_str()), item)).collect())
        }
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
