//! `hillock config`: whether hillock.toml says what it should, and having it read again.

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::Globals;
use super::client::Client;
use super::definition::Warning;
use super::output;
use super::plain::Plain;
use crate::app::{self, Examined};
use crate::config::{Config, ConfigError};
use crate::model::definition::DefinitionKind;
use crate::model::problem::{Problem, Problems};
use crate::store::definitions::Counts;

/// How long reading the files and checking them may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check hillock.toml and automations.d, and that this machine has what they name.
    ///
    /// Reports all errors at once and starts nothing. Exits with 1 if there are any.
    Check(Check),
    /// Reload the configuration of the running host, if all of it is valid.
    Reload(Reload),
}

/// How to have it read.
#[derive(Clone, Copy, Debug, clap::Args, Serialize)]
pub struct Reload {
    /// Reload even if other definitions lose an agent or endpoint that they refer to.
    #[arg(long)]
    force: bool,
}

/// Where the files are for.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Check files for another machine: missing secrets, programs and folders are only warnings.
    #[arg(long)]
    elsewhere: bool,
}

/// Does what was asked.
///
/// # Errors
/// When the components cannot be loaded, or standard output does not take the result. A wrong file
/// is a result.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(which) => check(globals, &which).await,
        Command::Reload(how) => reload(globals, how).await,
    }
}

async fn reload(globals: &Globals, how: Reload) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    let answer = client.order(&["config", "reload"], &how, PATIENCE).await?;
    if globals.json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let Reloaded { counts, restart_needed, left_behind, warnings } = answer.read()?;
    output::print(&format!("definitions: {counts}\n"))?;
    for Left { kind, name, names } in &left_behind {
        let (kind, name) = (kind.line(), name.line());
        let (gone, called) = (names.kind.line(), names.name.line());
        output::remark(format_args!(
            "the {kind} `{name}` names the {gone} `{called}`, which is configured no more"
        ));
    }
    if !restart_needed.is_empty() {
        let sections: Vec<String> = restart_needed.iter().map(Plain::line).collect();
        let sections = sections.join(", ");
        output::remark(format_args!("what has changed in {sections} takes a restart"));
    }
    warnings.iter().for_each(Warning::say);
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Deserialize)]
struct Reloaded {
    #[serde(flatten)]
    counts: Counts,
    restart_needed: Vec<Plain>,
    #[serde(default)]
    left_behind: Vec<Left>,
    #[serde(default)]
    warnings: Vec<Warning>,
}

/// What names something that is gone.
#[derive(Debug, Deserialize)]
struct Left {
    kind: Plain,
    name: Plain,
    names: Gone,
}

#[derive(Debug, Deserialize)]
struct Gone {
    kind: Plain,
    name: Plain,
}

async fn check(globals: &Globals, which: &Check) -> anyhow::Result<ExitCode> {
    let (checked, warnings) = checked(globals, which.elsewhere).await?;
    match (&checked, globals.json) {
        (_, true) => output::print_value(&report(&checked, &warnings))?,
        (Ok(config), false) => output::print(&praise(config))?,
        (Err(error), false) => output::remark(blame(error)),
    }
    if !globals.json {
        warnings.iter().for_each(|problem| output::remark(format_args!("warning: {problem}")));
    }
    Ok(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the files say, if all of it is right, and what may not be meant so.
async fn checked(
    globals: &Globals,
    elsewhere: bool,
) -> anyhow::Result<(Result<Config, ConfigError>, Problems)> {
    let drafted = Config::place(globals.config.as_deref())
        .and_then(|path| Config::draft(&path, &globals.overrides()));
    let mut draft = match drafted {
        Ok(draft) => draft,
        Err(error) => return Ok((Err(error), Problems::default())),
    };
    let Examined { lacking, mut warnings } = app::examine(&mut draft).await?;
    if elsewhere { &mut warnings } else { &mut draft.problems }.append(lacking);
    Ok((draft.sound(), warnings))
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    valid: bool,
    problems: Vec<Problem>,
    /// What is no error, and may not be meant so.
    warnings: Vec<Problem>,
}

fn report(checked: &Result<Config, ConfigError>, warnings: &Problems) -> Report {
    Report {
        valid: checked.is_ok(),
        problems: checked
            .as_ref()
            .err()
            .map_or(vec![], |error| error.problems().iter().cloned().collect()),
        warnings: warnings.iter().cloned().collect(),
    }
}

pub(super) fn praise(config: &Config) -> String {
    let of_kind = |kind| config.declared.iter().filter(|one| one.kind == kind).count();
    let mut counts: Vec<String> = DefinitionKind::ALL
        .iter()
        .map(|(kind, word, _)| (of_kind(*kind), *word))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| count(number, word))
        .collect();
    if !config.plugins.is_empty() {
        counts.push(count(config.plugins.len(), "plugin"));
    }
    if counts.is_empty() {
        counts.push("nothing is defined".to_owned());
    }
    format!("{} is good: {}\n", config.path.display(), counts.join(", "))
}

fn count(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

fn blame(error: &ConfigError) -> String {
    match error {
        ConfigError::Unreadable { source, .. } => format!("{error}: {source}"),
        ConfigError::Malformed { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{FILE_NAME, Overrides};

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new(FILE_NAME), &Overrides::default())
    }

    #[test]
    fn a_good_file_is_counted() {
        let checked = parse(
            "[[agents]]\nname = \"triager\"\n\n\
             [[endpoints]]\nslug = \"a\"\nverification = \"none\"\n\n\
             [[endpoints]]\nslug = \"b\"\nsecret_ref = \"env:B\"\n",
        );
        assert_eq!(
            report(&checked, &Problems::default()),
            Report { valid: true, problems: vec![], warnings: vec![] }
        );
        let wanted = "hillock.toml is good: 1 agent, 2 endpoints\n";
        assert_eq!(praise(&checked.unwrap()), wanted);
    }

    #[test]
    fn everything_wrong_is_reported() {
        let checked = parse("[[agents]]\nname = \"A\"\n\n[[agents]]\nname = \"B\"\n");
        let Report { valid, problems, .. } = report(&checked, &Problems::default());
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!((valid, paths), (false, vec!["agents[0].name", "agents[1].name"]));

        let Report { valid, problems, .. } = report(&parse("agents ="), &Problems::default());
        assert_eq!((valid, problems[0].path.as_str()), (false, FILE_NAME));
        let missing = Config::load(Some(Path::new("/nowhere/h.toml")), &Overrides::default());
        assert_eq!(report(&missing, &Problems::default()).problems[0].path, "/nowhere/h.toml");
        assert!(blame(&missing.unwrap_err()).starts_with("cannot read /nowhere/h.toml: "));
    }
}
