//! XML as far as feeds need it, and as far as they keep to it.
//!
//! The reader expands nothing: entities are those of XML and HTML and those that name a character
//! by its number, and any other stays as it is written, so nothing grows. What is written wrong
//! costs what it stands in and nothing else: a bare `&` or `<` is text, an end without a beginning
//! is passed over, what is left open ends with what it stands in, and where the document breaks off
//! what was complete counts.
//!
//! Items are handed over as they end, so that one of them is in memory at a time. Namespaces that
//! feeds use have a prefix of ours, whatever the feed calls them; those that a feed is written in
//! itself have none.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use url::Url;

use crate::text;

/// Elements within elements; what is deeper is text of those around it.
const DEPTH_MAX: usize = 100;
/// Elements and texts of one item, and of all that is no item; the rest is left out.
const NODES_MAX: usize = 10_000;
/// The attributes that are looked at, of one element.
const ATTRIBUTES_MAX: usize = 16;
/// The longest name of an entity, in bytes.
const ENTITY_BYTES_MAX: usize = 32;
/// How many entities of HTML are looked up once only.
const ENTITIES_MAX: usize = 300;

/// A namespace's name without its scheme, and what it is called here.
const PREFIXES: [(&str, &str); 16] = [
    ("www.w3.org/2005/atom", "atom:"),
    ("purl.org/atom/ns", "atom:"),
    ("purl.org/dc/elements/1.1", "dc:"),
    ("purl.org/dc/terms", "dcterms:"),
    ("purl.org/rss/1.0/modules/content", "content:"),
    ("search.yahoo.com/mrss", "media:"),
    ("www.itunes.com/dtds/podcast-1.0.dtd", "itunes:"),
    ("www.w3.org/1999/xhtml", "xhtml:"),
    ("www.w3.org/1999/02/22-rdf-syntax-ns", "rdf:"),
    ("purl.org/rss/1.0", ""),
    ("purl.org/net/rss1.1", ""),
    ("my.netscape.com/rdf/simple/0.9", ""),
    ("channel.netscape.com/rdf/simple/0.9", ""),
    ("my.netscape.com/publish/formats/rss-0.91", ""),
    ("backend.userland.com/rss2", ""),
    ("blogs.law.harvard.edu/tech/rss", ""),
];

/// An element with everything in it.
#[derive(Debug)]
pub(crate) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    nodes: Vec<Node>,
    base: Rc<Url>,
}

#[derive(Debug)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// Its name in lower case, with our prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its name without any prefix.
    pub(crate) fn local_name(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }

    /// An attribute, by its name in lower case and without a prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.trim())
    }

    /// What is directly in it.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The elements directly in it.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The elements of this name, directly in it.
    pub(crate) fn children<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.elements().filter(move |element| element.name == name)
    }

    /// All text in it, however deep, trimmed; none when there is none.
    pub(crate) fn text(&self) -> Option<String> {
        let mut text = String::new();
        self.collect(&mut text);
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    fn collect(&self, into: &mut String) {
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.collect(into),
                Node::Text(text) => into.push_str(text),
            }
        }
    }

    /// An address in it as an absolute one (RFC 3986, section 5): by `xml:base`, else by where the
    /// document is. One that is absolute, or none at all, stays as it is.
    pub(crate) fn resolved(&self, address: &str) -> String {
        absolute(&self.base, address)
    }
}

/// An address as an absolute one.
pub(crate) fn absolute(base: &Url, address: &str) -> String {
    match Url::parse(address) {
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            base.join(address).map_or_else(|_| address.to_owned(), Into::into)
        }
        _ => address.to_owned(),
    }
}

/// What is looked for in a document.
pub(crate) struct Shape {
    /// Whether a root of this name is the one.
    pub(crate) is_root: fn(&str) -> bool,
    /// Whether an element of this name is an item.
    pub(crate) is_item: fn(&str) -> bool,
}

/// What a document is, apart from its items.
#[derive(Debug)]
pub(crate) struct Document {
    /// The root that was looked for, without items.
    pub(crate) root: Option<Element>,
    /// The first root that it was not.
    pub(crate) other: Option<String>,
    /// Why there may be more than was read.
    pub(crate) flaw: Option<String>,
}

/// Reads a document that is at this address, and hands over its items as they stand there.
pub(crate) fn read(
    document: &str,
    at: &Url,
    shape: &Shape,
    item: impl FnMut(&Element),
) -> Document {
    let document = repaired(document);
    let mut reader = Reader::from_str(&document);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    let mut tree = Tree::new(at, shape, item);
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return tree.ended(None),
            Ok(event) => tree.grow(&event),
            Err(error) => {
                return tree.ended(Some(format!("{error}, at byte {}", reader.error_position())));
            }
        }
        if tree.root.is_some() {
            return tree.ended(None);
        }
    }
}

/// The document with every `<` escaped that begins nothing.
fn repaired(document: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let mut taken = 0;
    let mut at = 0;
    while let Some(found) = document[at..].find('<') {
        let begin = at + found;
        let rest = &document[begin..];
        at = match (section_bytes(rest), rest.as_bytes().get(1)) {
            (Some(bytes), _) => begin + bytes,
            (None, Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | b'/' | b'!' | b'?' | 0x80..)) => {
                begin + 1
            }
            (None, _) => {
                repaired.push_str(&document[taken..begin]);
                repaired.push_str("&lt;");
                taken = begin + 1;
                taken
            }
        };
    }
    if taken == 0 {
        return Cow::Borrowed(document);
    }
    repaired.push_str(&document[taken..]);
    Cow::Owned(repaired)
}

/// The length of a section or comment at the beginning, in which nothing is markup.
fn section_bytes(text: &str) -> Option<usize> {
    let end = [("<![CDATA[", "]]>"), ("<!--", "-->")]
        .into_iter()
        .find_map(|(begin, end)| text.starts_with(begin).then_some(end))?;
    Some(text.find(end).map_or(text.len(), |at| at + end.len()))
}

/// The elements that are open, outermost first.
struct Tree<'s, F> {
    shape: &'s Shape,
    item: F,
    names: NamespaceResolver,
    /// The namespace that the root is in.
    own: Option<String>,
    at: Rc<Url>,
    open: Vec<Open>,
    /// How many are open that are too deep.
    buried: usize,
    room: Room,
    entities: HashMap<String, String>,
    root: Option<Element>,
    other: Option<String>,
}

struct Open {
    element: Element,
    /// Its name as it is written.
    written: String,
    is_item: bool,
}

/// How many nodes there may still be.
struct Room {
    /// Directly in the root.
    in_root: usize,
    outside: usize,
    in_item: Option<usize>,
}

impl<'s, F: FnMut(&Element)> Tree<'s, F> {
    fn new(at: &Url, shape: &'s Shape, item: F) -> Self {
        Self {
            shape,
            item,
            names: NamespaceResolver::default(),
            own: None,
            at: Rc::new(at.clone()),
            open: Vec::new(),
            buried: 0,
            room: Room { in_root: NODES_MAX, outside: NODES_MAX, in_item: None },
            entities: HashMap::new(),
            root: None,
            other: None,
        }
    }

    fn grow(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(start) => self.start(start),
            Event::Empty(start) => {
                self.start(start);
                self.close();
            }
            Event::End(end) => self.end(end.name().into_inner()),
            Event::Text(text) => self.text(text.xml10_content()),
            Event::CData(text) => self.text(text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = self.referred(&reference.xml10_content());
                self.text(text.into());
            }
            _ => {}
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) {
        if self.open.len() == DEPTH_MAX {
            self.buried += 1;
            return;
        }
        // Too many of them, or one that is reserved: the others hold.
        let _ = self.names.push(start);
        let name = self.name(start);
        let attributes = self.attributes(start);
        let around = self.open.last().map_or(&self.at, |open| &open.element.base);
        let base = attributes.iter().find(|(name, _)| name == "xml:base").map(|(_, base)| base);
        let base = base.and_then(|base| around.join(base.trim()).ok());
        let base = base.map_or_else(|| Rc::clone(around), Rc::new);
        let is_item = self.room.in_item.is_none() && (self.shape.is_item)(&name);
        if is_item {
            self.room.in_item = Some(NODES_MAX);
        }
        let element = Element { name, attributes, nodes: Vec::new(), base };
        let written = start.name().into_inner().to_owned();
        self.open.push(Open { element, written, is_item });
    }

    /// Its name: without a prefix where it is of the feed's own.
    fn name(&mut self, start: &BytesStart<'_>) -> String {
        let (namespace, local) = self.names.resolve_element(start.name());
        let local = local.into_inner().to_ascii_lowercase();
        let namespace = match namespace {
            ResolveResult::Bound(bound) => Some(plain_namespace(bound.into_inner())),
            ResolveResult::Unbound => None,
            // Feeds forget to declare what everybody knows.
            ResolveResult::Unknown(prefix) => {
                return format!("{}:{local}", prefix.to_ascii_lowercase());
            }
        };
        if self.open.is_empty() {
            self.own.clone_from(&namespace);
        }
        let Some(namespace) = namespace else { return local };
        let known = PREFIXES.iter().find(|(name, _)| *name == namespace).map(|(_, prefix)| *prefix);
        match known {
            _ if self.own.as_ref() == Some(&namespace) => local,
            Some(prefix) => format!("{prefix}{local}"),
            None if start.name().prefix().is_none() => local,
            None => format!("other:{local}"),
        }
    }

    fn attributes(&mut self, start: &BytesStart<'_>) -> Vec<(String, String)> {
        let mut attributes = start.html_attributes();
        let attributes = attributes.with_checks(false).flatten().take(ATTRIBUTES_MAX);
        let attributes = attributes.map(|attribute| {
            let name = match attribute.key.into_inner() {
                "xml:base" => "xml:base".to_owned(),
                _ => attribute.key.local_name().into_inner().to_ascii_lowercase(),
            };
            (name, self.unescaped(&attribute.value))
        });
        attributes.collect()
    }

    /// What ends may have been left open within.
    fn end(&mut self, written: &str) {
        if self.buried > 0 {
            self.buried -= 1;
            return;
        }
        let Some(at) = self.open.iter().rposition(|open| open.written == written) else { return };
        while self.open.len() > at {
            self.close();
        }
    }

    fn close(&mut self) {
        if self.buried > 0 {
            self.buried -= 1;
            return;
        }
        let Some(Open { element, is_item, .. }) = self.open.pop() else { return };
        self.names.pop();
        if is_item {
            (self.item)(&element);
            self.room.in_item = None;
        } else if !self.open.is_empty() {
            self.attach(Node::Element(element));
        } else if (self.shape.is_root)(&element.name) {
            self.root = Some(element);
        } else {
            self.other.get_or_insert(element.name);
        }
    }

    fn text(&mut self, text: Cow<'_, str>) {
        let Some(parent) = self.open.last_mut() else { return };
        // The reader breaks text up at every reference.
        match parent.element.nodes.last_mut() {
            Some(Node::Text(before)) => before.push_str(&text),
            _ => self.attach(Node::Text(text.into_owned())),
        }
    }

    fn attach(&mut self, node: Node) {
        let room = match (&mut self.room, self.open.len()) {
            (Room { in_item: Some(room), .. }, _) => room,
            (Room { in_root, .. }, 1) => in_root,
            (Room { outside, .. }, _) => outside,
        };
        let (Some(parent), Some(left)) = (self.open.last_mut(), room.checked_sub(1)) else {
            return;
        };
        *room = left;
        parent.element.nodes.push(node);
    }

    /// The value of an attribute, in which a bare `&` is one.
    fn unescaped(&mut self, value: &str) -> String {
        let mut parts = value.split('&');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            match part.split_once(';') {
                Some((name, rest)) if name.len() <= ENTITY_BYTES_MAX => {
                    text.push_str(&self.referred(name));
                    text.push_str(rest);
                }
                _ => {
                    text.push('&');
                    text.push_str(part);
                }
            }
        }
        text
    }

    /// What stands for `&…;`.
    fn referred(&mut self, name: &str) -> String {
        if let Some(text) = resolve_predefined_entity(name) {
            return text.to_owned();
        }
        if let Some(known) = self.entities.get(name) {
            return known.clone();
        }
        let literal = || format!("&{name};");
        if name.len() > ENTITY_BYTES_MAX {
            return literal();
        }
        let text = text::entity(name).unwrap_or_else(literal);
        if self.entities.len() < ENTITIES_MAX {
            self.entities.insert(name.to_owned(), text.clone());
        }
        text
    }

    /// The end, or where it broke off: an item that was not read to its end does not count.
    fn ended(mut self, fault: Option<String>) -> Document {
        let within = self.open.last().map(|open| format!("it ends within <{}>", open.element.name));
        self.buried = 0;
        if let Some(item) = self.open.iter().position(|open| open.is_item) {
            self.open.truncate(item);
            self.room.in_item = None;
        }
        while !self.open.is_empty() {
            self.close();
        }
        Document { root: self.root, other: self.other, flaw: fault.or(within) }
    }
}

/// Namespaces are told apart by what nobody gets wrong.
fn plain_namespace(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let name =
        name.strip_prefix("http://").or_else(|| name.strip_prefix("https://")).unwrap_or(&name);
    name.trim_end_matches(['/', '#']).to_owned()
}
