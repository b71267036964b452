//! Whitespace that belongs to tags: what `~` takes along, and lines that hold nothing but a block's
//! tag, a comment or a partial. The rules of handlebars.js' `whitespace-control.js`.

use super::{Block, Second, Statement, Strip, Text};

/// Takes it out of a whole template.
pub(super) fn strip(statements: &mut [Statement]) {
    program(statements, true);
}

/// What a statement asks of its neighbours.
struct Wish {
    strip: Strip,
    /// Its first tag may stand on a line of its own, by what comes behind that tag.
    opens: bool,
    /// Its last tag may, by what comes before it.
    closes: bool,
    /// It is one tag that may.
    inline: bool,
}

fn program(body: &mut [Statement], is_root: bool) {
    for at in 0..body.len() {
        let Some(wish) = wish(&mut body[at]) else { continue };
        let line_before = ends_line(body, at, is_root);
        let line_behind = begins_line(body, at + 1, is_root);
        if wish.strip.behind {
            omit_right(body, at + 1, true);
        }
        if wish.strip.before {
            omit_left(body, at, true);
        }
        if wish.inline && line_before && line_behind {
            omit_right(body, at + 1, false);
            if let Some(indentation) = omit_left(body, at, false)
                && let Statement::Partial { indent, .. } = &mut body[at]
            {
                *indent = indentation;
            }
        }
        if wish.opens && line_before {
            if let Some(block) = block(&mut body[at]) {
                omit_right(&mut block.first, 0, false);
            }
            omit_left(body, at, false);
        }
        if wish.closes && line_behind {
            omit_right(body, at + 1, false);
            if let Some(block) = block(&mut body[at]) {
                let last =
                    block.second.as_mut().map_or(&mut block.first, |second| &mut second.body);
                let end = last.len();
                omit_left(last, end, false);
            }
        }
    }
}

fn block(statement: &mut Statement) -> Option<&mut Block> {
    match statement {
        Statement::Block(block) | Statement::Inline(block) => Some(block),
        _ => None,
    }
}

fn wish(statement: &mut Statement) -> Option<Wish> {
    match statement {
        Statement::Text(_) => None,
        Statement::Print { strip, .. } => {
            Some(Wish { strip: *strip, opens: false, closes: false, inline: false })
        }
        Statement::Comment(strip) | Statement::Partial { strip, .. } => {
            Some(Wish { strip: *strip, opens: false, closes: false, inline: true })
        }
        Statement::Block(block) | Statement::Inline(block) => Some(of_block(block)),
    }
}

fn of_block(block: &mut Block) -> Wish {
    program(&mut block.first, false);
    if let Some(second) = &mut block.second {
        program(&mut second.body, false);
    }
    let Block { first, second, open, close, .. } = block;
    let opens = begins_line(first, 0, false);
    let closes = match second {
        Some(second) => {
            let body = begun(second);
            ends_line(body, body.len(), false)
        }
        None => ends_line(first, first.len(), false),
    };
    if open.behind {
        omit_right(first, 0, true);
    }
    let end = first.len();
    match second {
        Some(second) => {
            if second.strip.before {
                omit_left(first, end, true);
            }
            if second.strip.behind {
                omit_right(begun(second), 0, true);
            }
            if close.before {
                let last = ended(second);
                let end = last.len();
                omit_left(last, end, true);
            }
            if ends_line(first, end, false) && begins_line(begun(second), 0, false) {
                omit_left(first, end, false);
                omit_right(begun(second), 0, false);
            }
        }
        None if close.before => {
            omit_left(first, end, true);
        }
        None => {}
    }
    Wish {
        strip: Strip { before: open.before, behind: close.behind },
        opens,
        closes,
        inline: false,
    }
}

/// The statements that come right behind the `else` tag.
fn begun(second: &mut Second) -> &mut Vec<Statement> {
    match (second.chained, second.body.first_mut()) {
        (true, Some(Statement::Block(_))) => match &mut second.body[0] {
            Statement::Block(block) => &mut block.first,
            _ => unreachable!("it is a block, as was just seen"),
        },
        _ => &mut second.body,
    }
}

/// The statements that come right before the close tag.
fn ended(second: &mut Second) -> &mut Vec<Statement> {
    if !second.chained {
        return &mut second.body;
    }
    match second.body.last_mut() {
        Some(Statement::Block(block)) => match &mut block.second {
            Some(second) => ended(second),
            None => &mut block.first,
        },
        _ => unreachable!("a chain is one block"),
    }
}

/// Whether only whitespace stands between the last line end and the statement at `end`.
fn ends_line(body: &[Statement], end: usize, is_root: bool) -> bool {
    match end.checked_sub(1).map(|at| &body[at]) {
        None => is_root,
        Some(Statement::Text(Text { original, .. })) => {
            let rest = original.trim_end();
            original[rest.len()..].contains('\n') || (is_root && end == 1 && rest.is_empty())
        }
        Some(_) => false,
    }
}

/// Whether only whitespace stands between the statement before `start` and the next line end.
fn begins_line(body: &[Statement], start: usize, is_root: bool) -> bool {
    match body.get(start) {
        None => is_root,
        Some(Statement::Text(Text { original, .. })) => {
            let rest = original.trim_start();
            original[..original.len() - rest.len()].contains('\n')
                || (is_root && start + 1 == body.len() && rest.is_empty())
        }
        Some(_) => false,
    }
}

/// Takes whitespace from the beginning of a text: all, or the rest of the line.
fn omit_right(body: &mut [Statement], at: usize, all: bool) {
    let Some(Statement::Text(text)) = body.get_mut(at) else { return };
    if !all && text.right_stripped {
        return;
    }
    let rest = match all {
        true => text.value.trim_start(),
        false => {
            let rest = text.value.trim_start_matches([' ', '\t']);
            rest.strip_prefix("\r\n").or(rest.strip_prefix('\n')).unwrap_or(rest)
        }
    };
    text.right_stripped = rest.len() != text.value.len();
    text.value = rest.to_owned();
}

/// Takes whitespace from the end of the text before `end`: all, or the line's indentation, which it
/// gives back.
fn omit_left(body: &mut [Statement], end: usize, all: bool) -> Option<String> {
    let Some(Statement::Text(text)) = end.checked_sub(1).map(|at| &mut body[at]) else {
        return None;
    };
    if !all && text.left_stripped {
        return None;
    }
    let rest = match all {
        true => text.value.trim_end(),
        false => text.value.trim_end_matches([' ', '\t']),
    };
    text.left_stripped = rest.len() != text.value.len();
    let omitted = text.value.split_off(rest.len());
    text.left_stripped.then_some(omitted)
}
