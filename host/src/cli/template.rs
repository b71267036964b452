//! `hillock template`: prompts tried out, without a host and without a trigger.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use serde::Serialize;

use super::plain::{self, Plain};
use super::sample::{self, Sample};
use super::{Globals, input, output};
use crate::model::content::Content;
use crate::model::definition::prompt_fault;
use crate::model::name::Name;
use crate::sandbox::{Rendered, SandboxError};
use crate::telemetry;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Render the prompt that a template makes of an event.
    ///
    /// This is the prompt that a trigger with this template would give its agent. With --json, the
    /// output also says how much sender content it holds: `trusted` none, `fenced` some, all of it
    /// in fences, `unfenced` some outside a fence. If the template is invalid, all errors are
    /// listed by line and column; if the event lacks a field, its name.
    Render(Render),
}

/// Which template, and which event.
#[derive(Debug, clap::Args)]
pub struct Render {
    /// The template text; `-` is standard input.
    #[arg(value_name = "TEMPLATE-FILE")]
    file: PathBuf,
    #[command(flatten)]
    sample: Sample,
    /// The template component: a built-in one, or a plugin from hillock.toml.
    #[arg(long, value_name = "COMPONENT", default_value = "handlebars")]
    template: Name,
}

#[derive(Serialize)]
struct Shown<'r> {
    prompt: &'r str,
    untrusted_content: Content,
}

/// Does what was asked.
///
/// # Errors
/// When the template or the event is wrong, or they don't fit each other.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    telemetry::init("warn");
    let Command::Render(which) = command;
    let Rendered { prompt, content } = render(globals, &which).await?;
    if globals.json {
        let shown = Shown { prompt: &prompt, untrusted_content: content };
        output::print_value(&shown)?;
    } else {
        plain::write(&prompt)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn render(globals: &Globals, which: &Render) -> anyhow::Result<Rendered> {
    let Render { file, sample, template } = which;
    ensure!(
        !(input::is_stdin(file) && sample.is_stdin()),
        "only one of the template and the envelope can be standard input"
    );
    let name = input::name(file);
    let text = String::from_utf8(input::read(file)?).with_context(|| name.clone())?;
    let envelope = sample.read(globals)?;
    let sandbox = sample::components(globals).await?;
    let problems = {
        let (prompts, scope) = (sandbox.prompts(), &envelope.event().scope);
        sandbox.check_template(template, &text, &prompts, scope).await?
    };
    if !problems.is_empty() {
        return Err(sample::invalid(&name, "", &problems));
    }
    match sandbox.render(template, &text, &envelope).await {
        Ok(rendered) => match prompt_fault(&rendered.prompt) {
            Some(why) => bail!(why),
            None => Ok(rendered),
        },
        // The reason may quote what the sender sent.
        Err(SandboxError::Refused { reason, .. }) => bail!(Plain::from(reason.as_str())),
        Err(error) => Err(error.into()),
    }
}
