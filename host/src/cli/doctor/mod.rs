//! `hillock doctor`: everything that a host needs on this machine, looked at without starting one, and
//! what to do about what is wrong.
//!
//! It changes nothing. What it finds holds for the user who runs it: run it as the one that the host
//! runs as.

mod files;
mod machine;
mod store;

use std::process::ExitCode;

use serde::Serialize;

use super::Globals;
use super::output::{self, word};
use crate::app::{self, Examined};
use crate::config::{Config, Draft};
use crate::model::problem::Problem;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Ok,
    /// A host starts, and something may not be meant so.
    Warning,
    /// A host does not start, or does not work.
    Error,
}

/// What was seen of something.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    subject: &'static str,
    state: State,
    what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, what: impl Into<String>) -> Self {
        Self { subject, state: State::Ok, what: what.into(), advice: None }
    }

    fn warning(subject: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        let (what, advice) = (what.into(), Some(advice.into()));
        Self { subject, state: State::Warning, what, advice }
    }

    fn error(subject: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Error, ..Self::warning(subject, what, advice) }
    }
}

#[derive(Serialize)]
struct Report<'f> {
    healthy: bool,
    findings: &'f [Finding],
}

/// Looks, and says.
///
/// # Errors
/// When it cannot look at all, or standard output does not take what it found.
pub async fn run(globals: &Globals) -> anyhow::Result<ExitCode> {
    let findings = look(globals).await?;
    let healthy = findings.iter().all(|finding| finding.state != State::Error);
    match globals.json {
        true => output::print_value(&Report { healthy, findings: &findings })?,
        false => output::print(&shown(&findings))?,
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(globals: &Globals) -> anyhow::Result<Vec<Finding>> {
    let drafted = Config::place(globals.config.as_deref())
        .and_then(|path| Config::draft(&path, &globals.overrides()));
    let mut draft = match drafted {
        Ok(draft) => draft,
        Err(error) => {
            let what = format!("{:#}", anyhow::Error::new(error));
            let advice = "name the file with --config, or begin with `hillock dev`";
            return Ok(vec![Finding::error("configuration", what, advice)]);
        }
    };
    let examined = app::examine(&mut draft).await?;
    let mut findings = of_configuration(&draft, &examined);
    let Some(config) = &draft.config else { return Ok(findings) };
    findings.extend(files::data_folder(&config.data_dir));
    findings.extend(store::look(&config.store_url).await);
    findings.push(machine::time().await);
    findings.push(machine::address(config.listen).await);
    findings.push(machine::certificates());
    if let Some(worker) = &config.worker {
        findings.extend(machine::bounds().await);
        let private = config.private(&config.definitions());
        findings.extend(machine::exposure(worker, &config.data_dir, &private).await);
    }
    Ok(findings)
}

/// What the files say, and what this machine has of it.
fn of_configuration(draft: &Draft, examined: &Examined) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Examined { lacking, warnings } = examined;
    for problem in draft.clone().sound().err().iter().flat_map(problems) {
        let advice = "mend it: a host does not start with it, and a running one keeps what it has";
        findings.push(Finding::error("configuration", problem.to_string(), advice));
    }
    for problem in lacking.iter() {
        let advice = "put it in place, or have the configuration name another";
        findings.push(Finding::error(subject(problem), problem.to_string(), advice));
    }
    for problem in warnings.iter() {
        let advice = "mend it if it is not meant so";
        findings.push(Finding::warning(subject(problem), problem.to_string(), advice));
    }
    for subject in ["configuration", "secrets", "programs"] {
        if findings.iter().all(|finding| finding.subject != subject) {
            findings.push(Finding::ok(subject, praise(subject, draft)));
        }
    }
    findings
}

fn problems(error: &crate::config::ConfigError) -> Vec<Problem> {
    error.problems().iter().cloned().collect()
}

fn praise(subject: &str, draft: &Draft) -> String {
    let config = draft.config.as_ref();
    match subject {
        "configuration" => config
            .map_or_else(String::new, |config| super::config::praise(config).trim_end().to_owned()),
        "secrets" => "those that are named are there".to_owned(),
        _ => match config.and_then(|config| config.worker.as_ref()) {
            Some(worker) => format!("the worker's {} are there", worker.programs.len()),
            None => "there is no [worker] here".to_owned(),
        },
    }
}

/// What a problem is about.
fn subject(problem: &Problem) -> &'static str {
    match problem.path.as_str() {
        path if path.contains("secret_ref") => "secrets",
        path if path.starts_with("worker.agents") => "programs",
        path if path.starts_with("store.") => "store",
        path if path.starts_with("server.data_dir") => "data folder",
        _ => "configuration",
    }
}

fn shown(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    let line = |finding: &Finding| {
        let Finding { subject, state, what, advice } = finding;
        let (coloured, blanks) = match state {
            State::Ok => (word("ok"), "     "),
            State::Warning => (word("warning"), ""),
            State::Error => (word("error"), "  "),
        };
        let indent = format!("\n{:1$}", "", width + 11);
        let what = what.replace('\n', &indent);
        let advice = advice.iter().map(|advice| format!("{indent}→ {advice}"));
        format!("{coloured}{blanks}  {subject:width$}  {what}{}\n", advice.collect::<String>())
    };
    findings.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_stand_below_each_other_with_what_to_do() {
        let findings =
            [Finding::ok("clock", "is right"), Finding::error("secrets", "a is not set", "set it")];
        let text = anstream::adapter::strip_str(&shown(&findings)).to_string();
        let wanted = "ok       clock    is right\n\
                      error    secrets  a is not set\n                  → set it\n";
        assert_eq!(text, wanted);
    }
}
