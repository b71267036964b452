//! What people read: text without markup, entities and control characters.
//!
//! What is said to be HTML, or is by custom as in RSS, becomes what a browser would show of it. A
//! word in angle brackets that is no element of HTML stays: it is somebody's `List<String>`.

use html5gum::{DefaultEmitter, Token, Tokenizer};

use crate::xml::{Element, Node};

/// How much of a text is looked at, in bytes: it is cut to less when it is read.
const RAW_BYTES_MAX: usize = 64 * 1024;

/// A text as it stands in a feed, all of XML's own taken away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Text {
    Plain(String),
    Html(String),
}

impl Text {
    /// As it stands there.
    pub(crate) fn raw(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Html(text) => text,
        }
    }

    /// To be read in one line of so many bytes; none when there is nothing to read.
    pub(crate) fn line(&self, bytes_max: usize) -> Option<String> {
        let text = match self {
            Self::Plain(text) => text.clone(),
            Self::Html(html) => readable(bounded(html), formats),
        };
        shown(&one_line(&text), bytes_max)
    }

    /// To be read in paragraphs of so many bytes together; none when there is nothing to read.
    pub(crate) fn paragraphs(&self, bytes_max: usize) -> Option<String> {
        match self {
            Self::Plain(text) => shown(text, bytes_max),
            Self::Html(html) => shown(&readable(bounded(html), is_html), bytes_max),
        }
    }
}

/// The text of an element in which markup stands as elements: XHTML, or HTML that was not escaped.
pub(crate) fn of_tree(element: &Element) -> String {
    let mut page = Page::default();
    page.tree(element);
    page.finished()
}

/// A name such as `eacute` as what it stands for in HTML.
pub(crate) fn entity(name: &str) -> Option<String> {
    let reference = format!("&{name};");
    let decoded = readable(&reference, |_| false);
    // HTML knows some names without the semicolon, at the beginning of any other.
    let whole = decoded != reference && (decoded == ";" || !decoded.ends_with(';'));
    whole.then_some(decoded)
}

/// All of it in one line, with single spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most so many bytes, and a mark where more was.
pub(crate) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(RAW_BYTES_MAX)]
}

/// What a terminal or a database could stumble over is gone.
fn shown(text: &str, bytes_max: usize) -> Option<String> {
    let text: String =
        text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| cut(text.to_owned(), bytes_max))
}

/// What a browser would show of HTML. Where nothing in it is markup, its lines stay as they are.
fn readable(html: &str, is_markup: fn(&str) -> bool) -> String {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut page = Page::default();
    let mut plain = String::new();
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        let (name, span, opens) = match token {
            Token::String(text) => {
                let text = String::from_utf8_lossy(&text.value);
                page.text(&text);
                plain.push_str(&text);
                continue;
            }
            Token::StartTag(tag) => (tag.name, tag.span, true),
            Token::EndTag(tag) => (tag.name, tag.span, false),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => continue,
        };
        let name = String::from_utf8_lossy(&name);
        match (is_markup(&name), opens) {
            (true, true) => page.open(&name),
            (true, false) => page.close(&name),
            (false, _) => {
                let written = html.get(span.start..span.end).unwrap_or_default();
                page.text(written);
                plain.push_str(written);
            }
        }
    }
    if page.has_markup { page.finished() } else { plain }
}

/// Text as it is laid out: spaces between words, lines between blocks.
#[derive(Default)]
struct Page {
    text: String,
    has_markup: bool,
    /// How many elements are open whose text nobody sees, one in another.
    hidden: usize,
}

impl Page {
    fn tree(&mut self, element: &Element) {
        for node in element.nodes() {
            match node {
                Node::Text(text) => self.text(text),
                Node::Element(element) => {
                    let name = element.local_name();
                    self.open(name);
                    self.tree(element);
                    self.close(name);
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        if self.hidden > 0 {
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.space();
        }
        for word in text.split_whitespace() {
            self.text.push_str(word);
            self.text.push(' ');
        }
        if !text.ends_with(char::is_whitespace) && !text.is_empty() {
            self.text.pop();
        }
    }

    fn open(&mut self, name: &str) {
        self.has_markup = true;
        match name {
            "script" | "style" => self.hidden += 1,
            "td" | "th" => self.space(),
            "li" => {
                self.line();
                self.text("- ");
            }
            _ if is_block(name) => self.line(),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        self.has_markup = true;
        match name {
            "script" | "style" => self.hidden = self.hidden.saturating_sub(1),
            _ if is_block(name) => self.line(),
            _ => {}
        }
    }

    fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    fn line(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn finished(self) -> String {
        self.text.trim().to_owned()
    }
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "br"
            | "dd"
            | "details"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hr"
            | "li"
            | "main"
            | "nav"
            | "ol"
            | "p"
            | "pre"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "tfoot"
            | "thead"
            | "tr"
            | "ul"
    )
}

/// Whether it may stand in a title, which is no place for a form or a script.
fn formats(name: &str) -> bool {
    matches!(
        name,
        "a" | "abbr"
            | "acronym"
            | "b"
            | "bdi"
            | "bdo"
            | "big"
            | "cite"
            | "code"
            | "del"
            | "dfn"
            | "em"
            | "font"
            | "i"
            | "img"
            | "ins"
            | "kbd"
            | "mark"
            | "nobr"
            | "q"
            | "s"
            | "samp"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "sub"
            | "sup"
            | "tt"
            | "u"
            | "var"
            | "wbr"
    ) || is_block(name)
}

fn is_html(name: &str) -> bool {
    matches!(
        name,
        "applet"
            | "area"
            | "audio"
            | "base"
            | "body"
            | "button"
            | "canvas"
            | "caption"
            | "center"
            | "col"
            | "colgroup"
            | "data"
            | "datalist"
            | "embed"
            | "form"
            | "frame"
            | "frameset"
            | "head"
            | "html"
            | "iframe"
            | "input"
            | "label"
            | "legend"
            | "link"
            | "map"
            | "meta"
            | "meter"
            | "noframes"
            | "noscript"
            | "object"
            | "optgroup"
            | "option"
            | "output"
            | "param"
            | "picture"
            | "progress"
            | "rp"
            | "rt"
            | "ruby"
            | "script"
            | "select"
            | "source"
            | "style"
            | "svg"
            | "td"
            | "template"
            | "textarea"
            | "th"
            | "time"
            | "title"
            | "track"
            | "video"
    ) || formats(name)
}

#[cfg(test)]
mod tests;
