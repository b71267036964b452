//! XML as far as feeds need it: a tree of bounded size.
//!
//! Namespaces that feeds use have a prefix of ours, whatever the feed calls them. Entities are the
//! five that XML has and those that name a character by its number; any other stays as it is
//! written, so nothing grows. Declarations, comments and instructions are passed over.

use std::borrow::Cow;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};

const DEPTH_MAX: usize = 100;
const NODES_MAX: usize = 100_000;
/// The attributes that are looked at, of one element.
const ATTRIBUTES_MAX: usize = 16;

/// A namespace's name, and what it is called here.
const PREFIXES: [(&str, &str); 8] = [
    ("http://www.w3.org/2005/Atom", "atom:"),
    ("http://purl.org/atom/ns#", "atom:"),
    ("http://purl.org/dc/elements/1.1/", "dc:"),
    ("http://purl.org/rss/1.0/modules/content/", "content:"),
    ("http://www.w3.org/1999/02/22-rdf-syntax-ns#", "rdf:"),
    ("http://purl.org/rss/1.0/", ""),
    ("http://my.netscape.com/rdf/simple/0.9/", ""),
    ("http://backend.userland.com/rss2", ""),
];

/// An element with everything in it.
#[derive(Debug, Default)]
pub(crate) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// Its name, with our prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// An attribute, by its name without a prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let mut found = self.attributes.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The elements of this name, directly in it.
    pub(crate) fn children<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.nodes.iter().filter_map(move |node| match node {
            Node::Element(element) if element.name == name => Some(element),
            _ => None,
        })
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
}

/// The document's root.
///
/// # Errors
/// When it is not well-formed, or too deep or too large; says where.
pub(crate) fn parse(document: &str) -> Result<Element, String> {
    let mut reader = NsReader::from_str(document);
    let mut tree = Tree::default();
    loop {
        let next = reader.read_resolved_event().map_err(|error| error.to_string());
        let step = next.and_then(|(namespace, event)| tree.grow(namespace, event));
        match step {
            Ok(true) => {}
            Ok(false) => return tree.root.ok_or_else(|| "there is nothing in it".to_owned()),
            Err(reason) => return Err(format!("{reason}, at byte {}", reader.buffer_position())),
        }
    }
}

/// The elements that are open, outermost first, and the root when it is closed.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    nodes: usize,
}

impl Tree {
    /// Takes one event; says whether more will come.
    fn grow(&mut self, namespace: ResolveResult<'_>, event: Event<'_>) -> Result<bool, String> {
        match event {
            Event::Start(start) => self.open(element(namespace, &start))?,
            Event::Empty(start) => {
                self.open(element(namespace, &start))?;
                self.close();
            }
            Event::End(_) => self.close(),
            Event::Text(text) => self.text(text.xml10_content())?,
            Event::CData(text) => self.text(text.xml10_content())?,
            Event::GeneralRef(reference) => self.text(referred(&reference).into())?,
            Event::Eof => return self.ended(),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        Ok(true)
    }

    fn open(&mut self, element: Element) -> Result<(), String> {
        if self.open.len() == DEPTH_MAX {
            return Err(format!("elements are nested deeper than {DEPTH_MAX}"));
        }
        self.count()?;
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) {
        // The reader refuses an end without a beginning.
        let Some(done) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.nodes.push(Node::Element(done)),
            None => self.root = Some(done),
        }
    }

    fn text(&mut self, text: Cow<'_, str>) -> Result<(), String> {
        let Some(parent) = self.open.last_mut() else { return Ok(()) };
        // The reader breaks text up at every reference.
        if let Some(Node::Text(before)) = parent.nodes.last_mut() {
            before.push_str(&text);
            return Ok(());
        }
        parent.nodes.push(Node::Text(text.into_owned()));
        self.count()
    }

    fn count(&mut self) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("there are more than {NODES_MAX} elements and texts"));
        }
        Ok(())
    }

    fn ended(&self) -> Result<bool, String> {
        match self.open.last() {
            Some(open) => Err(format!("it ends within <{}>", open.name)),
            None => Ok(false),
        }
    }
}

fn element(namespace: ResolveResult<'_>, start: &BytesStart<'_>) -> Element {
    let local = start.local_name();
    let local = local.as_ref();
    let name = match namespace {
        ResolveResult::Bound(bound) => {
            let known = PREFIXES.iter().find(|(name, _)| *name == bound.as_ref());
            format!("{}{local}", known.map_or("other:", |(_, prefix)| prefix))
        }
        // Feeds forget to declare what everybody knows.
        ResolveResult::Unknown(prefix) => format!("{prefix}:{local}"),
        ResolveResult::Unbound => local.to_owned(),
    };
    let mut attributes = start.attributes();
    let attributes = attributes.with_checks(false).flatten().take(ATTRIBUTES_MAX);
    let attributes = attributes.map(|attribute| {
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_or_else(|_| attribute.value.to_string(), Cow::into_owned);
        (attribute.key.local_name().as_ref().to_owned(), value)
    });
    Element { name, attributes: attributes.collect(), nodes: Vec::new() }
}

/// What stands for `&…;`.
fn referred(reference: &BytesRef<'_>) -> String {
    let name = reference.xml10_content();
    match (reference.resolve_char_ref(), resolve_predefined_entity(&name)) {
        (Ok(Some(character)), _) => character.to_string(),
        (_, Some(text)) => text.to_owned(),
        _ => format!("&{name};"),
    }
}
