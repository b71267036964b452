//! `hillock config`: whether hillock.toml says what it should.

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use super::Globals;
use super::output;
use crate::app;
use crate::config::{Config, ConfigError, FILE_NAME};
use crate::model::problem::{Problem, Problems};

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say everything that is wrong with hillock.toml; fails when anything is.
    Check,
}

/// Does what was asked.
///
/// # Errors
/// When the components cannot be loaded, or standard output does not take the result. A wrong file
/// is a result.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Check = command;
    let mut checked = Config::load(globals.config.as_deref(), &globals.overrides());
    let mut absent = Problems::default();
    if let Ok(config) = &checked {
        let (problems, secrets) = app::examine(config).await?;
        absent = secrets;
        if !problems.is_empty() {
            checked = Err(ConfigError::Invalid { path: config.path.clone(), problems });
        }
    }
    match (&checked, globals.json) {
        (_, true) => {
            let report = report(&checked, &absent);
            output::print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
        }
        (Ok(config), false) => {
            output::print(&praise(config))?;
            // The file may be right and the machine another than the one it is for.
            absent.iter().for_each(|problem| output::remark(format_args!("warning: {problem}")));
        }
        (Err(error), false) => output::remark(blame(error)),
    }
    Ok(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    valid: bool,
    problems: Vec<Problem>,
    /// What only a machine that serves has to have.
    warnings: Vec<Problem>,
}

fn report(checked: &Result<Config, ConfigError>, absent: &Problems) -> Report {
    Report {
        valid: checked.is_ok(),
        problems: checked.as_ref().err().map_or(vec![], problems),
        warnings: absent.iter().cloned().collect(),
    }
}

/// What is wrong within the file by its dotted paths, and what is wrong with the file by its own.
fn problems(error: &ConfigError) -> Vec<Problem> {
    let (path, reason) = match error {
        ConfigError::Invalid { problems, .. } => return problems.iter().cloned().collect(),
        ConfigError::Missing { .. } => (FILE_NAME.to_owned(), error.to_string()),
        ConfigError::Unreadable { path, source } => {
            (path.display().to_string(), source.to_string())
        }
        ConfigError::Malformed { path, source } => (path.display().to_string(), source.to_string()),
    };
    vec![Problem { path, reason }]
}

fn praise(config: &Config) -> String {
    let defined = &config.definitions;
    format!(
        "{} is good: {}, {}, {}, {}\n",
        config.path.display(),
        count(defined.endpoints.len(), "endpoint"),
        count(defined.triggers.len(), "trigger"),
        count(defined.agents.len(), "agent"),
        count(defined.plugins.len(), "plugin"),
    )
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
    use crate::config::Overrides;

    fn check(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new(FILE_NAME), &Overrides::default())
    }

    #[test]
    fn a_good_file_is_counted() {
        let checked = check(
            "[[agents]]\nname = \"triager\"\n\n\
             [[endpoints]]\nslug = \"a\"\nverification = \"none\"\n\n\
             [[endpoints]]\nslug = \"b\"\nsecret_ref = \"env:B\"\n",
        );
        assert_eq!(
            report(&checked, &Problems::default()),
            Report { valid: true, problems: vec![], warnings: vec![] }
        );
        let wanted = "hillock.toml is good: 2 endpoints, 0 triggers, 1 agent, 0 plugins\n";
        assert_eq!(praise(&checked.unwrap()), wanted);
    }

    #[test]
    fn everything_wrong_is_reported() {
        let checked = check("[[agents]]\nname = \"A\"\n\n[[agents]]\nname = \"B\"\n");
        let Report { valid, problems, .. } = report(&checked, &Problems::default());
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!((valid, paths), (false, vec!["agents[0].name", "agents[1].name"]));

        let Report { valid, problems, .. } = report(&check("agents ="), &Problems::default());
        assert_eq!((valid, problems[0].path.as_str()), (false, FILE_NAME));
        let missing = Config::load(Some(Path::new("/nowhere/h.toml")), &Overrides::default());
        assert_eq!(report(&missing, &Problems::default()).problems[0].path, "/nowhere/h.toml");
        assert!(blame(&missing.unwrap_err()).starts_with("cannot read /nowhere/h.toml: "));
    }
}
