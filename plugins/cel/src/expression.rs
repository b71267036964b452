//! An expression, parsed and checked: every problem that can be told apart is reported.

use std::ops::Range;

use cel_syntax::IdedExpr;
use cel_syntax::parser::PrattParser;

use crate::analysis::Analysis;
use crate::comparison;
use crate::excerpt::excerpt;
use crate::paths;
use crate::problem::Problem;
use crate::source::Source;

const BYTES_MAX: usize = 16 * 1024;
/// How deep the syntax may be nested: what a component's stack is known to be enough for.
const DEPTH_MAX: usize = 64;
/// One mistake makes a parser stumble more than once.
const SYNTAX_PROBLEMS_MAX: usize = 3;

/// A conjunction, or a single clause.
pub(crate) struct Expression {
    pub(crate) clauses: Vec<Clause>,
    /// Everything that the clauses ask of the event.
    pub(crate) variables: Vec<String>,
}

/// What must be true.
pub(crate) struct Clause {
    /// What a reason shows of it.
    pub(crate) text: String,
    pub(crate) syntax: IdedExpr,
}

impl Expression {
    pub(crate) fn compile(text: &str) -> Result<Self, Vec<Problem>> {
        if text.trim().is_empty() {
            return Err(vec![Problem::new(None, "the expression is empty")]);
        }
        if text.len() > BYTES_MAX {
            let reason = format!("the expression has more than {BYTES_MAX} bytes");
            return Err(vec![Problem::new(None, reason)]);
        }
        let source = Source::new(text);
        if source.depth() > DEPTH_MAX {
            let reason = format!("the expression is nested deeper than {DEPTH_MAX} levels");
            return Err(vec![Problem::new(None, reason)]);
        }
        parse(text, &source)?;

        let mut expression = Self { clauses: Vec::new(), variables: Vec::new() };
        let mut problems = Vec::new();
        for part in source.conjuncts() {
            match expression.add(&source, &part) {
                Ok(()) => {}
                Err(more) => problems.extend(more),
            }
        }
        if problems.is_empty() { Ok(expression) } else { Err(problems) }
    }

    fn add(&mut self, source: &Source<'_>, part: &Range<usize>) -> Result<(), Vec<Problem>> {
        let text = source.text()[part.clone()].trim();
        let mut syntax = parse(text, source)?;
        paths::fold(&mut syntax, &mut self.variables);
        let problems = Analysis::problems(source, part, &syntax);
        if problems.is_empty() {
            comparison::replace(&mut syntax);
            self.clauses.push(Clause { text: excerpt(text), syntax });
            return Ok(());
        }
        Err(problems)
    }
}

/// Fields in backticks may have any name: ``data.`with-dash` ``.
pub(crate) fn parser() -> PrattParser {
    let mut parser = PrattParser::new();
    parser.enable_ident_escape_syntax = true;
    parser
}

fn parse(text: &str, source: &Source<'_>) -> Result<IdedExpr, Vec<Problem>> {
    parser().parse(text).map_err(|failed| {
        let problem = |error: &cel_syntax::ParseError| {
            let message = error.msg.replace("<EOF>", "the end").replace("'the end'", "the end");
            Problem::new(source.parsers_place(error.pos), message)
        };
        failed.errors.iter().take(SYNTAX_PROBLEMS_MAX).map(problem).collect()
    })
}

#[cfg(test)]
pub(crate) mod tests;
