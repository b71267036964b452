//! The text of an expression, as tokens: what can be told before it is parsed.
//!
//! Syntax trees are walked by recursion, when they are parsed, checked, evaluated and dropped. How
//! deep one will be shows in the tokens, and is looked at first.

use std::ops::Range;

use cel_syntax::parser::pratt_parser::{Lexer, Token, TokenKind};

use crate::problem::Place;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    Variable,
    Field,
    Function,
    /// The variable of a macro, where it is introduced.
    Bound,
}

pub(crate) struct Source<'a> {
    text: &'a str,
    /// Without white space and comments; up to the first that is none, if there is one.
    tokens: Vec<Token>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        use TokenKind::{TokComment, TokEnd, TokError, TokWhitespace};
        let mut lexer = Lexer::new(text);
        let tokens = std::iter::from_fn(|| Some(lexer.lex()))
            .take_while(|token| !matches!(token.kind, TokEnd | TokError))
            .filter(|token| !matches!(token.kind, TokWhitespace | TokComment))
            .collect();
        Self { text, tokens }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// No less than the depth of the syntax tree, but for what macros add and for the logarithm of
    /// the length of conjunctions and disjunctions, which are balanced.
    pub(crate) fn depth(&self) -> usize {
        let mut open = vec![Level::default()];
        for token in &self.tokens {
            let Some(level) = open.last_mut() else { break };
            level.take(token.kind);
            match bracket(token.kind) {
                1 => open.push(Level::default()),
                -1 => close(&mut open),
                _ => {}
            }
        }
        while open.len() > 1 {
            close(&mut open);
        }
        open[0].depth()
    }

    /// The parts of a conjunction, in order; all of it when it is none.
    pub(crate) fn conjuncts(&self) -> Vec<Range<usize>> {
        use TokenKind::{TokLogicalAnd, TokLogicalOr, TokQuestion};
        let mut brackets = 0;
        let mut ands = Vec::new();
        for token in &self.tokens {
            brackets += bracket(token.kind);
            match token.kind {
                TokLogicalAnd if brackets == 0 => ands.push(token.start..token.end),
                TokLogicalOr | TokQuestion if brackets == 0 => {
                    ands.clear();
                    break;
                }
                _ => {}
            }
        }
        let starts = std::iter::once(0).chain(ands.iter().map(|and| and.end));
        let ends = ands.iter().map(|and| and.start).chain(std::iter::once(self.text.len()));
        starts.zip(ends).map(|(start, end)| start..end).collect()
    }

    /// Where a part has a name in this role for the first time.
    pub(crate) fn place_of(&self, name: &str, role: Role, part: &Range<usize>) -> Option<Place> {
        use TokenKind::{TokComma, TokDot, TokLeftParen};
        let kind = |index: Option<usize>| Some(self.tokens.get(index?)?.kind);
        let named = |(i, token): &(usize, &Token)| {
            let (before, after) = (kind(i.checked_sub(1)), kind(Some(i + 1)));
            part.contains(&token.start)
                && self.text.get(token.start..token.end) == Some(name)
                && match role {
                    Role::Variable => before != Some(TokDot),
                    Role::Field => before == Some(TokDot),
                    Role::Function => after == Some(TokLeftParen),
                    Role::Bound => before == Some(TokLeftParen) && after == Some(TokComma),
                }
        };
        self.tokens.iter().enumerate().find(named).map(|(_, token)| self.place(token.start))
    }

    /// A byte's line, and column in characters.
    fn place(&self, byte: usize) -> Place {
        let before = &self.text[..byte];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place { line, column: before[start..].chars().count() + 1 }
    }

    /// The place that the parser gives as a line and a column in bytes.
    pub(crate) fn parsers_place(&self, (line, column): (isize, isize)) -> Option<Place> {
        let line = usize::try_from(line).ok().filter(|line| *line > 0)?;
        let bytes = usize::try_from(column).ok()?.saturating_sub(1);
        let text = self.text.split('\n').nth(line - 1)?;
        let column = text.char_indices().take_while(|(byte, _)| *byte < bytes).count() + 1;
        Some(Place { line, column })
    }
}

/// What stands between two brackets: how deep the operand at hand has become, and the deepest.
#[derive(Default)]
struct Level {
    /// Operators that apply one after another, to the operand at hand.
    chain: usize,
    /// The deepest bracket in the operand at hand.
    inner: usize,
    deepest: usize,
    /// Each `?:` may hold the next.
    conditionals: usize,
}

impl Level {
    fn take(&mut self, kind: TokenKind) {
        use TokenKind::*;
        match kind {
            TokLogicalAnd | TokLogicalOr | TokComma | TokColon => self.end_operand(),
            TokQuestion => {
                self.end_operand();
                self.conditionals += 1;
            }
            TokIdent | TokNull | TokTrue | TokFalse | TokInt | TokUint | TokFloat | TokString
            | TokBytes => {}
            // Only `[` may follow itself; `(` has a name or a dot before it.
            TokLeftParen | TokLeftBrace | TokRightParen | TokRightBracket | TokRightBrace => {}
            _ => self.chain += 1,
        }
    }

    fn end_operand(&mut self) {
        self.deepest = self.depth() - self.conditionals;
        self.chain = 0;
        self.inner = 0;
    }

    fn depth(&self) -> usize {
        self.conditionals + self.deepest.max(self.inner + self.chain)
    }
}

fn close(open: &mut Vec<Level>) {
    let Some(closed) = open.pop() else { return };
    match open.last_mut() {
        Some(outer) => outer.inner = outer.inner.max(closed.depth() + 1),
        None => open.push(closed),
    }
}

/// How the nesting of brackets changes.
fn bracket(kind: TokenKind) -> i32 {
    use TokenKind::*;
    match kind {
        TokLeftParen | TokLeftBracket | TokLeftBrace => 1,
        TokRightParen | TokRightBracket | TokRightBrace => -1,
        _ => 0,
    }
}
