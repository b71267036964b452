//! The inside of a tag.

use serde_json::{Number, Value};

use super::{Call, Expression, Path, Place, SyntaxError};

const BRACKETS_DEEP_MAX: usize = 16;

/// How a tag ends.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Closing {
    Double,
    Triple,
}

/// A place in the text of a template.
pub(super) struct Reader<'s> {
    source: &'s str,
    at: usize,
    /// The line of the last place that was asked for, and where that was.
    line: usize,
    line_at: usize,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, at: 0, line: 1, line_at: 0 }
    }

    pub(super) fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.source.len()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Line and column of what comes next; places are asked for in order.
    pub(super) fn place(&mut self) -> Place {
        self.line += self.source[self.line_at..self.at].matches('\n').count();
        self.line_at = self.at;
        let before = &self.source[..self.at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place { line: self.line, column: before[start..].chars().count() + 1 }
    }

    pub(super) fn takes(&mut self, mark: &str) -> bool {
        let takes = self.rest().starts_with(mark);
        if takes {
            self.at += mark.len();
        }
        takes
    }

    /// Takes the beginning of an `else` tag: `else` as a word, or a `^` that stands alone.
    pub(super) fn takes_else(&mut self) -> bool {
        let (start, rest) = (self.at, self.rest());
        self.at += if rest.starts_with('^') { 1 } else { rest.len() - rest.trim_start().len() };
        let is_else = match rest.starts_with('^') {
            true => self.closes_next(),
            false => self.takes("else") && (self.closes_next() || self.is_at_space()),
        };
        if !is_else {
            self.at = start;
        }
        is_else
    }

    fn is_at_space(&self) -> bool {
        self.rest().starts_with(char::is_whitespace)
    }

    fn skip_space(&mut self) {
        self.at = self.source.len() - self.rest().trim_start().len();
    }

    fn closes_next(&self) -> bool {
        let rest = self.rest().trim_start();
        rest.strip_prefix('~').unwrap_or(rest).starts_with("}}")
    }

    /// Takes the end of a tag, if it comes next, and says whether it strips what is behind it.
    pub(super) fn closes(&mut self) -> Option<bool> {
        if !self.closes_next() {
            return None;
        }
        self.skip_space();
        let behind = self.takes("~");
        self.at += 2;
        Some(behind)
    }

    fn wrong(&mut self, tag: Place) -> SyntaxError {
        match self.rest().chars().next() {
            None => SyntaxError { place: tag, message: "the tag is not closed".to_owned() },
            Some(char) => {
                let message = format!("`{char}` was not expected");
                SyntaxError { place: self.place(), message }
            }
        }
    }

    /// Takes a head and what is given to it, up to the end of the tag.
    pub(super) fn call(
        &mut self,
        tag: Place,
        closing: Closing,
    ) -> Result<(Call, bool), SyntaxError> {
        let mut call = self.given(tag, 0)?;
        if self.takes_block_parameters() {
            call.has_block_parameters = true;
        }
        self.skip_space();
        let closed = closing == Closing::Double || self.takes("}");
        match self.closes().filter(|_| closed) {
            Some(behind) => Ok((call, behind)),
            None => Err(self.wrong(tag)),
        }
    }

    /// A head and what is given to it, in a tag or in parentheses.
    fn given(&mut self, tag: Place, deep: usize) -> Result<Call, SyntaxError> {
        let mut call = Call::of(tag, self.expression(tag, deep)?);
        loop {
            self.skip_space();
            let rest = self.rest();
            if rest.starts_with(['}', '~', ')', '|']) || rest.is_empty() || is_as(rest) {
                return Ok(call);
            }
            match self.named(tag, deep)? {
                Some(named) => call.named.push(named),
                None => call.arguments.push(self.expression(tag, deep)?),
            }
        }
    }

    fn named(
        &mut self,
        tag: Place,
        deep: usize,
    ) -> Result<Option<(String, Expression)>, SyntaxError> {
        let rest = self.rest();
        let length = rest.find(|char| !is_name(char)).unwrap_or(rest.len());
        if length == 0 || !rest[length..].starts_with('=') {
            return Ok(None);
        }
        self.skip(length + 1);
        Ok(Some((rest[..length].to_owned(), self.expression(tag, deep)?)))
    }

    fn takes_block_parameters(&mut self) -> bool {
        let rest = self.rest();
        let parameters = is_as(rest).then(|| rest.split('|').nth(1)).flatten();
        let Some(inside) = parameters else { return false };
        let before = rest.len() - rest.split_once('|').map_or("", |(_, behind)| behind).len();
        self.skip(before + inside.len() + 1);
        true
    }

    fn expression(&mut self, tag: Place, deep: usize) -> Result<Expression, SyntaxError> {
        self.skip_space();
        let rest = self.rest();
        match rest.chars().next() {
            Some(mark @ ('"' | '\'')) => self.quoted(tag, mark),
            Some('(') => self.parentheses(tag, deep + 1),
            _ => {
                let word =
                    &rest[..rest.find(|char| !is_name(char) && char != '.').unwrap_or(rest.len())];
                match literal(word).filter(|_| is_end(&rest[word.len()..])) {
                    Some(value) => {
                        self.skip(word.len());
                        Ok(Expression::Literal { value, written: word.to_owned() })
                    }
                    None => self.path(tag).map(Expression::Path),
                }
            }
        }
    }

    fn parentheses(&mut self, tag: Place, deep: usize) -> Result<Expression, SyntaxError> {
        if deep > BRACKETS_DEEP_MAX {
            let message = format!("brackets are nested deeper than {BRACKETS_DEEP_MAX}");
            return Err(SyntaxError { place: tag, message });
        }
        self.skip(1);
        let call = self.given(tag, deep)?;
        if !self.takes(")") {
            return Err(self.wrong(tag));
        }
        Ok(Expression::Call(Box::new(call)))
    }

    fn quoted(&mut self, tag: Place, mark: char) -> Result<Expression, SyntaxError> {
        let rest = self.rest();
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            if char == mark {
                self.skip(at + 1);
                let written = rest[..=at].to_owned();
                return Ok(Expression::Literal { value: Value::String(text), written });
            }
            if char != '\\' {
                text.push(char);
                continue;
            }
            match escaped(&rest[at + 1..]) {
                Some((char, bytes)) => {
                    text.push(char);
                    chars.by_ref().take(bytes.saturating_sub(1)).for_each(drop);
                    chars.next();
                }
                None => text.push('\\'),
            }
        }
        Err(SyntaxError { place: tag, message: "the quotation mark is not closed".to_owned() })
    }

    fn path(&mut self, tag: Place) -> Result<Path, SyntaxError> {
        let start = self.at;
        let is_data = self.takes("@");
        let mut path =
            Path { written: String::new(), is_data, up: 0, is_scoped: false, segments: Vec::new() };
        loop {
            let step = self.step(tag)?;
            match step.as_str() {
                ".." | "." | "this" if path.segments.is_empty() => {
                    path.up += usize::from(step == "..");
                    path.is_scoped = true;
                }
                ".." | "." | "this" => {
                    let written = &self.source[start..self.at];
                    let message =
                        format!("`{written}`: `{step}` may stand at the start of a path only");
                    return Err(SyntaxError { place: tag, message });
                }
                _ if step.starts_with('[') => {
                    let inside = &step[1..step.len() - 1];
                    path.segments.push(inside.replace("\\]", "]"));
                }
                _ => path.segments.push(step),
            }
            let follows = self.rest().starts_with(['.', '/']);
            if !follows {
                break;
            }
            self.skip(1);
        }
        path.written = self.source[start..self.at].to_owned();
        if !is_end(self.rest()) {
            return Err(self.wrong(tag));
        }
        Ok(path)
    }

    /// One key, index or `..` of a path.
    fn step(&mut self, tag: Place) -> Result<String, SyntaxError> {
        let rest = self.rest();
        let length = if rest.starts_with("..") {
            2
        } else if rest.starts_with('.') {
            1
        } else if let Some(inside) = rest.strip_prefix('[') {
            let mut at = 0;
            loop {
                match inside[at..].find(']') {
                    Some(end) if inside[..at + end].ends_with('\\') => at += end + 1,
                    Some(end) => break at + end + 2,
                    None => return Err(self.wrong(tag)),
                }
            }
        } else {
            rest.find(|char| !is_name(char)).unwrap_or(rest.len())
        };
        if length == 0 {
            return Err(self.wrong(tag));
        }
        self.skip(length);
        Ok(rest[..length].to_owned())
    }
}

/// What may stand in a name.
fn is_name(char: char) -> bool {
    !char.is_whitespace()
        && !matches!(
            char,
            '!' | '"' | '#' | '%'..=',' | '.' | '/' | ';'..='>' | '@' | '['..='^' | '`' | '{'..='~'
        )
}

/// Whether a word ends where this comes behind it.
fn is_end(rest: &str) -> bool {
    rest.is_empty()
        || rest.starts_with(|char: char| "=~}/.)]|".contains(char) || char.is_whitespace())
}

fn is_as(rest: &str) -> bool {
    let behind = rest.strip_prefix("as");
    behind.is_some_and(|behind| {
        behind.starts_with(char::is_whitespace) && behind.trim_start().starts_with('|')
    })
}

fn literal(word: &str) -> Option<Value> {
    match word {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        "null" | "undefined" => return Some(Value::Null),
        _ => {}
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = [whole, fraction]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let sign = if word.len() == digits.len() { "" } else { "-" };
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let fraction = if digits.contains('.') { format!(".{fraction}") } else { String::new() };
    let number = is_number.then(|| format!("{sign}{whole}{fraction}").parse::<Number>().ok());
    number.flatten().map(Value::Number)
}

/// What a backslash and what follows it stand for, and how many bytes that is.
fn escaped(behind: &str) -> Option<(char, usize)> {
    let char = match behind.chars().next()? {
        char @ ('"' | '\'' | '\\' | '/') => char,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let digits = behind.get(1..5).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            return Some((char::from_u32(code)?, 5));
        }
        _ => return None,
    };
    Some((char, 1))
}
