//! From text to statements.

use super::tag::{Closing, Reader};
use super::{
    Block, Call, Expression, Place, Second, Statement, Strip, SyntaxError, Text, whitespace,
};

/// How deep blocks may be nested: what a component's stack is known to be enough for.
pub(crate) const BLOCKS_DEEP_MAX: usize = 32;

/// The statements of a template, without the whitespace that belongs to its tags.
///
/// # Errors
/// The first thing that is no Handlebars.
pub(crate) fn parse(source: &str) -> Result<Vec<Statement>, SyntaxError> {
    let mut parser = Parser { reader: Reader::new(source), deep: 0 };
    let (mut statements, end) = parser.statements()?;
    match end {
        End::Text => {}
        End::Close { call, .. } => {
            let written = call.head.written();
            return Err(error(call.place, format!("`{written}` is closed and was not opened")));
        }
        End::Else { place, .. } | End::Chain { call: Call { place, .. }, .. } => {
            return Err(error(place, "`else` stands outside of a block"));
        }
    }
    whitespace::strip(&mut statements);
    Ok(statements)
}

fn error(place: Place, message: impl Into<String>) -> SyntaxError {
    SyntaxError { place, message: message.into() }
}

struct Parser<'s> {
    reader: Reader<'s>,
    deep: usize,
}

/// What ends a list of statements.
enum End {
    Text,
    Else { strip: Strip, place: Place },
    Chain { call: Call, strip: Strip },
    Close { call: Call, strip: Strip },
}

/// What a tag is.
enum Tag {
    Statement(Statement),
    Open { call: Call, strip: Strip, inverted: bool, inline: bool },
    End(End),
}

impl<'s> Parser<'s> {
    fn statements(&mut self) -> Result<(Vec<Statement>, End), SyntaxError> {
        let mut statements = Vec::new();
        loop {
            self.text(&mut statements);
            if self.reader.is_at_end() {
                return Ok((statements, End::Text));
            }
            match self.tag()? {
                Tag::Statement(statement) => statements.push(statement),
                Tag::End(end) => return Ok((statements, end)),
                Tag::Open { call, strip, inverted, inline } => {
                    let block = Box::new(self.block(call, strip, inverted)?);
                    statements.push(match inline {
                        true => Statement::Inline(block),
                        false => Statement::Block(block),
                    });
                }
            }
        }
    }

    /// Text up to the next tag. A backslash before it makes it text, two are one and a tag.
    fn text(&mut self, statements: &mut Vec<Statement>) {
        loop {
            let rest = self.reader.rest();
            let length = rest.find("{{").unwrap_or(rest.len());
            let mut text = &rest[..length];
            self.reader.skip(length);
            let backslashes = match length < rest.len() {
                true => text.len() - text.trim_end_matches('\\').len(),
                false => 0,
            };
            if backslashes > 0 {
                text = &text[..length - 1];
            }
            push(statements, text);
            if backslashes != 1 {
                return;
            }
            let rest = self.reader.rest();
            let tag = ["{{", "\\{{", "\\\\{{"].iter().filter_map(|next| rest[2..].find(next)).min();
            let length = tag.map_or(rest.len(), |at| at + 2);
            push(statements, &rest[..length]);
            self.reader.skip(length);
        }
    }

    fn tag(&mut self) -> Result<Tag, SyntaxError> {
        let place = self.reader.place();
        self.reader.skip(2);
        if self.reader.rest().starts_with("{{") {
            let message = "raw blocks are not supported; write \\{{ for a literal {{";
            return Err(error(place, message));
        }
        let before = self.reader.takes("~");
        if self.reader.takes("!") {
            return self.comment(place, before);
        }
        if self.reader.takes_else() {
            return self.otherwise(place, before);
        }
        if self.reader.takes("{") {
            return self.print(place, before, Closing::Triple);
        }
        for (mark, message) in [
            ("#>", "partials with a block are not supported; write {{> name}}"),
            ("*", "decorators are not supported"),
        ] {
            if self.reader.rest().starts_with(mark) {
                return Err(error(place, message));
            }
        }
        if self.reader.takes(">") {
            let (call, behind) = self.reader.call(place, Closing::Double)?;
            let strip = Strip { before, behind };
            let indent = String::new();
            return Ok(Tag::Statement(Statement::Partial { call, strip, indent }));
        }
        if self.reader.takes("/") {
            let (call, behind) = self.reader.call(place, Closing::Double)?;
            return Ok(Tag::End(End::Close { call, strip: Strip { before, behind } }));
        }
        let inline = self.reader.takes("#*");
        let inverted = !inline && self.reader.takes("^");
        if inline || inverted || self.reader.takes("#") {
            let (call, behind) = self.reader.call(place, Closing::Double)?;
            return Ok(Tag::Open { call, strip: Strip { before, behind }, inverted, inline });
        }
        self.reader.takes("&");
        self.print(place, before, Closing::Double)
    }

    fn print(&mut self, place: Place, before: bool, closing: Closing) -> Result<Tag, SyntaxError> {
        let (call, behind) = self.reader.call(place, closing)?;
        Ok(Tag::Statement(Statement::Print { call, strip: Strip { before, behind } }))
    }

    fn comment(&mut self, place: Place, before: bool) -> Result<Tag, SyntaxError> {
        let rest = self.reader.rest();
        let ends: &[&str] = if rest.starts_with("--") { &["--}}", "--~}}"] } else { &["}}"] };
        let found = ends.iter().filter_map(|end| Some((rest.find(end)?, end.len()))).min();
        let (at, length) = found.ok_or_else(|| error(place, "the comment is not closed"))?;
        self.reader.skip(at + length);
        let behind = rest[..at + length].ends_with("~}}");
        Ok(Tag::Statement(Statement::Comment(Strip { before, behind })))
    }

    /// `{{else}}`, `{{^}}` or `{{else if …}}`.
    fn otherwise(&mut self, place: Place, before: bool) -> Result<Tag, SyntaxError> {
        if let Some(behind) = self.reader.closes() {
            return Ok(Tag::End(End::Else { strip: Strip { before, behind }, place }));
        }
        let (call, behind) = self.reader.call(place, Closing::Double)?;
        Ok(Tag::End(End::Chain { call, strip: Strip { before, behind } }))
    }

    fn block(&mut self, head: Call, open: Strip, inverted: bool) -> Result<Block, SyntaxError> {
        self.deep += 1;
        if self.deep > BLOCKS_DEEP_MAX {
            let message = format!("blocks are nested deeper than {BLOCKS_DEEP_MAX}");
            return Err(error(head.place, message));
        }
        let opened = (head.place, head.head.written().to_owned());
        let (first, end) = self.statements()?;
        let (second, close) = self.second(end, &opened)?;
        self.deep -= 1;
        Ok(Block { head, inverted, first, second, open, close })
    }

    /// What comes behind the first part of a block, and how it is closed.
    fn second(
        &mut self,
        end: End,
        opened: &(Place, String),
    ) -> Result<(Option<Second>, Strip), SyntaxError> {
        match end {
            End::Text => Err(error(opened.0, format!("`{}` is not closed", opened.1))),
            End::Close { call, strip } => match call.head.written() {
                closed if closed == opened.1 => Ok((None, strip)),
                closed => {
                    let message = format!("`{}` is closed by `{closed}`", opened.1);
                    Err(error(call.place, message))
                }
            },
            End::Else { strip, .. } => {
                let (body, end) = self.statements()?;
                match end {
                    End::Else { place, .. } | End::Chain { call: Call { place, .. }, .. } => {
                        Err(error(place, "`else` stands behind the last `else` of its block"))
                    }
                    end => {
                        let (_, close) = self.second(end, opened)?;
                        Ok((Some(Second { body, chained: false, strip }), close))
                    }
                }
            }
            End::Chain { call, strip } => {
                self.deep += 1;
                if self.deep > BLOCKS_DEEP_MAX {
                    let message = format!("blocks are nested deeper than {BLOCKS_DEEP_MAX}");
                    return Err(error(call.place, message));
                }
                let (first, end) = self.statements()?;
                let (second, close) = self.second(end, opened)?;
                self.deep -= 1;
                let chained =
                    Block { head: call, inverted: false, first, second, open: strip, close };
                let body = vec![Statement::Block(Box::new(chained))];
                Ok((Some(Second { body, chained: true, strip }), close))
            }
        }
    }
}

fn push(statements: &mut Vec<Statement>, text: &str) {
    if !text.is_empty() {
        statements.push(Statement::Text(Text {
            value: text.to_owned(),
            original: text.to_owned(),
            ..Text::default()
        }));
    }
}

impl Call {
    /// A head alone.
    pub(super) fn of(place: Place, head: Expression) -> Self {
        Self { place, head, arguments: Vec::new(), named: Vec::new(), has_block_parameters: false }
    }
}
