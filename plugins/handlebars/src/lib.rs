//! Template `handlebars`: a prompt from an event, in a closed profile of Handlebars.
//!
//! The text is read as handlebars.js reads it (`syntax`) and compiled into a program that holds
//! nothing but the profile, so that a template either passes `check` or is refused with line and
//! column, and nothing is rendered differently from what Handlebars says. Rendering asks the host
//! for a field when it is reached, and never for the whole event.
//!
//! # The profile
//! - **Fields** `{{data.issue.title}}`, `{{data.labels.0.name}}`, `{{data.[odd key]}}`,
//!   `{{"odd key"}}` of the scope at hand. They start
//!   with `id`, `kind`, `scope`, `workspace_id`, `source`, `occurred_at`, `received_at`, `depth` or
//!   `data`. Nothing is escaped: `{{{…}}}` and `{{&…}}` mean the same as `{{…}}`.
//! - **Sections** `{{#data.x}}…{{/data.x}}` for each of an array, with an object, if it is anything
//!   else but false, null or missing; `{{^data.x}}…{{/data.x}}` for those and the empty array; each
//!   with `{{else}}` or `{{^}}`. Which it is, the event tells: fields within them are looked for when
//!   they are reached.
//! - **Blocks** `{{#if}}`, `{{#unless}}`, `{{#each}}`, `{{#with}}`, each with `{{else}}` and
//!   `{{else if}}`. Inside `each` and `with`: `this` or `.`, `../`, `@root`; inside `each`:
//!   `@index`, `@key`, `@first`, `@last`, `@../index`. Objects are walked in the order in which the
//!   sender has their keys.
//! - **Partials** `{{> name}}`, `{{> name data.issue}}`, `{{> name title="x"}}`: the host puts what
//!   is called so behind the template, as `{{#*inline "name"}}…{{/inline}}`, which a template may
//!   define itself, too. They may call others, but not in a circle.
//! - **Helpers**, also as arguments in parentheses:
//!   `{{json data.x}}` compact JSON;
//!   `{{default data.x "none"}}` the second when the first is missing, null or empty text;
//!   `{{truncate data.x 200}}` the first 200 characters, then `…` when there are more;
//!   `{{join data.labels ", "}}` the scalars of an array;
//!   `{{lookup data.names data.key}}` a field whose name is a value;
//!   `{{fence data.x}}` a Markdown code fence that the text cannot close, on lines of its own:
//!   `Body: {{fence data.x}} end` breaks the line before the fence and behind it.
//! - **Comments** `{{! }}`, `{{!-- --}}`, `{{~! ~}}`, whitespace control `{{~ ~}}`, `\{{` for a literal `{{`.
//!
//! Everything else is refused: partials with a block, other decorators, raw blocks, block parameters,
//! named arguments, other helpers and other fields.
//!
//! # What is missing, empty or no text
//! - A field that is not there is an error that names it, when it is reached. `if`, `unless` and
//!   `default` take it for absent; so do `each` and `with` that have an `{{else}}`.
//! - Null is empty text. `if` takes false, null, 0, the empty string and the empty array for false,
//!   everything else, the empty object included, for true; so does `with`.
//! - An object or array as text is an error; `json` and `join` are there for them.
//!
//! # Whose words the prompt holds
//! With each prompt goes what it holds of `data`, the sender's word: `trusted` none, `fenced` some,
//! all of it in fences, `unfenced` some outside of one. It goes by where a value comes from, not by
//! what it is, so a number counts as a sentence does:
//! - what is printed out of `data` counts, by whatever way: field, `this`, `../`, `lookup`, `@key`
//!   of an object, and what a helper makes of it; so does what is empty or null;
//! - conditions print nothing and don't count, nor do `@index`, `@first`, `@last` and the turns of
//!   an `each`; `default` counts as the one of its two that it is;
//! - `{{fence …}}` holds whatever it is given, so it stands outermost: `{{fence (json data.x)}}`.
//!   As an argument of another helper, or where it is no fence to who reads the prompt as Markdown
//!   (within a code fence that the template itself has open, an HTML comment, a `<pre>`), its text is
//!   unfenced.
//!
//! A template without `{{` is literal. Whitespace around the prompt is taken off. A prompt over
//! 256 KiB is an error.

mod compile;
mod failure;
mod fences;
mod frame;
mod helpers;
mod output;
mod profile;
mod program;
mod reference;
mod render;
mod syntax;
mod value;

use std::cell::RefCell;

use hillock_plugin_sdk::export_template;
use hillock_plugin_sdk::template::{Diagnostic, Event, RenderError, Template, declare};

use failure::Failure;
use program::Program;
use render::Prompt;
use value::Envelope;

struct Handlebars;

export_template!(Handlebars);

impl Template for Handlebars {
    fn check(template: String) -> Vec<Diagnostic> {
        compile::compile(&template).err().unwrap_or_default()
    }

    fn render(event: &Event, template: String) -> Result<String, RenderError> {
        LAST.with_borrow_mut(|last| {
            let (source, program) = match last.take() {
                Some((source, program)) if source == template => (source, program),
                _ => {
                    let program = compile::compile(&template).map_err(invalid_template)?;
                    (template, program)
                }
            };
            let rendered = render::render(&program, event).map_err(render_error);
            *last = Some((source, program));
            let Prompt { text, content } = rendered?;
            declare(content);
            Ok(text)
        })
    }
}

thread_local! {
    /// The template of the last call: an instance is reused for one template.
    static LAST: RefCell<Option<(String, Program)>> = const { RefCell::new(None) };
}

impl Envelope for Event {
    fn get(&self, path: &str) -> Option<String> {
        Event::get(self, path)
    }

    fn text(&self, path: &str) -> Option<String> {
        Event::text(self, path)
    }
}

fn invalid_template(diagnostics: Vec<Diagnostic>) -> RenderError {
    let lines: Vec<String> = diagnostics
        .into_iter()
        .map(|Diagnostic { path, message }| format!("{path}: {message}"))
        .collect();
    RenderError::InvalidTemplate(lines.join("; "))
}

fn render_error(failure: Failure) -> RenderError {
    match failure {
        Failure::Missing(path) => RenderError::MissingField(path),
        Failure::Failed(reason) => RenderError::Failed(reason),
    }
}
