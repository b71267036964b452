//! What a worker is, by flags: over hillock.toml's `[worker]`, or in its place.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{bail, ensure};

use crate::config::{Config, PROGRAM_TIMEOUT, Program, Worker, tag};
use crate::model::definition::Agent;
use crate::model::name::Name;
use crate::model::scope::Scope;

/// The flags. They win over the file; what is a list adds to the file's.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// The worker's name [default: the hostname and the end of its identifier].
    #[arg(long)]
    name: Option<String>,
    /// How many programs run at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    capacity: Option<u32>,
    /// A label that runs may require. Repeatable.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A capability that runs may require. Repeatable.
    #[arg(long = "capability", value_name = "WORD", value_parser = tag)]
    capabilities: Vec<String>,
    /// A tool that runs may require. Repeatable.
    #[arg(long = "tool", value_name = "WORD", value_parser = tag)]
    tools: Vec<String>,
    /// The worker's cluster.
    #[arg(long, value_name = "WORD", value_parser = tag)]
    cluster: Option<String>,
    /// The worker's region.
    #[arg(long, value_name = "WORD", value_parser = tag)]
    region: Option<String>,
    /// An agent and its program. Repeatable. The command line is split at spaces without a shell:
    /// quotes and variables have no meaning. For arguments that contain spaces, name one agent and
    /// put its program after `--`.
    #[arg(long = "agent", value_name = "NAME=PROGRAM")]
    agents: Vec<AgentFlag>,
    /// An environment variable to pass to these agents' programs. Repeatable.
    #[arg(long = "env", value_name = "NAME", requires = "agents")]
    env: Vec<String>,
    /// The working folder of these programs.
    #[arg(long, value_name = "DIR", requires = "agents")]
    dir: Option<PathBuf>,
    /// The time limit of these programs.
    #[arg(long, value_name = "DURATION", requires = "agents", value_parser = duration)]
    timeout: Option<Duration>,
    /// Keep standard input open: these programs read JSON lines from it while they run.
    #[arg(long, requires = "agents")]
    interactive: bool,
    /// Let these programs see a file or folder that is hidden from them by default. Repeatable.
    #[arg(long = "visible", value_name = "PATH", requires = "agents")]
    visible: Vec<PathBuf>,
    /// Run all programs as this user, by name or number; only root can.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The program, with its arguments, of the one agent that is named without.
    #[arg(last = true, value_name = "PROGRAM", requires = "agents")]
    program: Vec<String>,
}

/// An agent, and its program unless that stands after `--`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AgentFlag {
    name: Name,
    command: Option<Vec<String>>,
}

impl FromStr for AgentFlag {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = match text.split_once('=') {
            Some((name, command)) => (name, Some(command)),
            None => (text, None),
        };
        let name = name.parse().map_err(|invalid| format!("{invalid}"))?;
        let command = command.map(|text| text.split_whitespace().map(str::to_owned).collect());
        if command.as_ref().is_some_and(Vec::is_empty) {
            return Err("no program stands after `=`".to_owned());
        }
        Ok(Self { name, command })
    }
}

impl Flags {
    /// The file's worker with what the flags say; none when neither says what to run.
    ///
    /// # Errors
    /// When it is not clear which program is which agent's.
    pub fn over(&self, config: Option<&Config>, scope: &Scope) -> anyhow::Result<Option<Worker>> {
        let programs = self.programs(scope)?;
        let in_file = config.and_then(|config| config.worker.clone());
        if in_file.is_none() && programs.is_empty() {
            return Ok(None);
        }
        let mut worker = in_file.unwrap_or_default();
        worker.programs.retain(|known| programs.iter().all(|new| new.agent != known.agent));
        worker.programs.extend(programs);
        worker.name = self.name.clone().or(worker.name.take());
        worker.capacity = self.capacity.unwrap_or(worker.capacity);
        worker.user = self.user.clone().or(worker.user.take());
        let offer = &mut worker.offer;
        offer.labels.extend(self.labels.iter().cloned());
        offer.capabilities.extend(self.capabilities.iter().cloned());
        offer.tools.extend(self.tools.iter().cloned());
        offer.cluster = self.cluster.clone().or(offer.cluster.take());
        offer.region = self.region.clone().or(offer.region.take());
        Ok(Some(worker))
    }

    fn programs(&self, scope: &Scope) -> anyhow::Result<Vec<Program>> {
        let mut programs: Vec<Program> = Vec::new();
        let bare = self.agents.iter().filter(|agent| agent.command.is_none()).count();
        ensure!(bare < 2, "more than one --agent has no program: write --agent NAME=PROGRAM");
        ensure!(
            bare == 1 || self.program.is_empty(),
            "whose program is it that stands after `--`? Name its agent by --agent NAME"
        );
        for AgentFlag { name, command } in &self.agents {
            let command = command.clone().unwrap_or_else(|| self.program.clone());
            let agent = Agent { scope: scope.clone(), name: name.clone() };
            if command.is_empty() {
                bail!("--agent {name} has no program: write --agent {name}=PROGRAM");
            }
            if programs.iter().any(|known| known.agent == agent) {
                bail!("--agent {name} stands twice");
            }
            programs.push(Program {
                agent,
                command,
                env: self.env.clone(),
                dir: self.dir.clone(),
                timeout: self.timeout.unwrap_or(PROGRAM_TIMEOUT),
                interactive: self.interactive,
                visible: self.visible.clone(),
                user: None,
            });
        }
        Ok(programs)
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label is KEY=VALUE")?;
    Ok((tag(key)?, tag(value)?))
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(span) if span.is_zero() => Err("a duration of zero".to_owned()),
        Ok(span) => Ok(span),
        Err(reason) => Err(format!("not a duration such as 30s or 5m: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn worker(line: &[&str], file: Option<&str>) -> anyhow::Result<Option<Worker>> {
        let flags = Line::try_parse_from(["worker"].iter().chain(line))?.flags;
        let path = PathBuf::from("/nowhere/hillock.toml");
        let config = file.map(|text| Config::parse(text, &path, &Default::default()).unwrap());
        flags.over(config.as_ref(), &Scope::Global)
    }

    #[test]
    fn flags_alone_make_a_worker() {
        let line = [
            "--name",
            "m2",
            "--capacity",
            "2",
            "--label",
            "team=core",
            "--label",
            "tier=1",
            "--capability",
            "git",
            "--tool",
            "cargo",
            "--cluster",
            "a",
            "--region",
            "eu",
            "--agent",
            "a=/bin/agent --fast",
            "--agent",
            "b",
            "--env",
            "KEY",
            "--timeout",
            "5m",
            "--interactive",
            "--",
            "run it",
            "$HOME",
        ];
        let worker = worker(&line, None).unwrap().unwrap();
        assert_eq!((worker.name.as_deref(), worker.capacity), (Some("m2"), 2));
        let commands: Vec<_> = worker.programs.iter().map(|program| &program.command).collect();
        assert_eq!(commands, [&["/bin/agent", "--fast"], &["run it", "$HOME"]]);
        let program = &worker.programs[0];
        assert_eq!((program.timeout.as_secs(), program.interactive), (300, true));
        assert_eq!(program.env, ["KEY"]);
        let labels: Vec<_> = worker.offer.labels.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(labels, [("team", "core"), ("tier", "1")]);
        assert_eq!(worker.offer.region.as_deref(), Some("eu"));
        assert!(worker.offer.tools.contains("cargo"));
        assert!(worker.offer.capabilities.contains("git"));
    }

    #[test]
    fn flags_win_over_the_file_and_lists_add_to_it() {
        let file = r#"
            [worker]
            name = "filed"
            capacity = 7
            labels = { team = "infra", tier = "1" }
            region = "us"
            agents = [{ name = "a", command = ["old"] }, { name = "b", command = ["kept"] }]
        "#;
        let line = ["--label", "team=core", "--agent", "a=new", "--region", "eu"];
        let over = worker(&line, Some(file)).unwrap().unwrap();
        assert_eq!((over.name.as_deref(), over.capacity), (Some("filed"), 7));
        assert_eq!((&*over.offer.labels["team"], &*over.offer.labels["tier"]), ("core", "1"));
        assert_eq!(over.offer.region.as_deref(), Some("eu"));
        let commands: Vec<_> = over.programs.iter().map(|program| &*program.command[0]).collect();
        assert_eq!(commands, ["kept", "new"]);
        assert_eq!(worker(&[], Some(file)).unwrap().unwrap().offer.region.as_deref(), Some("us"));
        assert_eq!(worker(&["--name", "x"], Some("")).unwrap(), None);
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for line in [
            &["--agent", "a"][..],
            &["--agent", "a="],
            &["--agent", "A=b"],
            &["--agent", "a=b", "--agent", "a=c"],
            &["--agent", "a", "--agent", "b", "--", "c"],
            &["--agent", "a=b", "--", "c"],
            &["--", "c"],
            &["--agent", "a=b", "--label", "x"],
            &["--agent", "a=b", "--label", "=x"],
            &["--agent", "a=b", "--capacity", "0"],
            &["--agent", "a=b", "--timeout", "0s"],
            &["--env", "X"],
        ] {
            assert!(worker(line, None).is_err(), "{line:?}");
        }
    }
}
