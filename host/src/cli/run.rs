//! `hillock run`: what was activated, how it goes, and calling it off.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::event::Origin;
use super::fit;
use super::listing::{self, Paging};
use super::live;
use super::logs::{self, Form};
use super::output::{self, Table, fields, or_none, section, table, word};
use super::plain::Plain;
use super::short::{self, Short};
use super::waiting::{Absence, Waiting};
use super::{Globals, task};
use crate::clock::Clock;
use crate::model::content::Content;
use crate::model::definition::Priority;
use crate::model::id::{EventId, RunId, TaskId};
use crate::model::name::Name;
use crate::model::run::RunStatus;
use crate::model::time::Time;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List runs, newest first.
    List(List),
    /// Show a run with its prompt and the components that made it.
    Show {
        /// The run's identifier.
        id: Short<RunId>,
    },
    /// Print the logs of a run.
    Logs(Logs),
    /// Cancel a run.
    Cancel {
        /// The run's identifier.
        id: Short<RunId>,
    },
    /// Retry a run that has ended, as a new run with the same prompt.
    Retry {
        /// The run's identifier.
        id: Short<RunId>,
    },
    /// Send input to a run, during or after its work.
    Input {
        /// The run's identifier.
        id: Short<RunId>,
        #[command(flatten)]
        said: task::Said,
    },
}

/// Which runs.
#[derive(Debug, clap::Args, Serialize)]
pub struct List {
    /// Filter by status.
    #[arg(long, value_parser = status())]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<RunStatus>,
    /// Show failed runs only.
    #[arg(long, conflicts_with = "status")]
    #[serde(skip)]
    failed: bool,
    /// Filter by trigger: its identifier or current name.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<Name>,
    /// Filter by job: its identifier or current name.
    #[arg(long, value_name = "NAME", conflicts_with = "trigger")]
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Name>,
    /// Filter by task.
    #[arg(long, value_name = "ID", conflicts_with_all = ["trigger", "job"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Short<TaskId>>,
    /// Filter by owner: the identifier of a trigger, job or task.
    #[arg(long, value_name = "ID", conflicts_with_all = ["trigger", "job", "task"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// Filter by agent.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Name>,
    /// Filter by session: its key or identifier.
    #[arg(long, value_name = "KEY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// Show runs created at or after this time (RFC 3339, or an age such as 1h).
    #[arg(long, value_name = "TIME", value_parser = listing::instant)]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    /// Show runs created before this time (RFC 3339, or an age such as 1h).
    #[arg(long, value_name = "TIME", value_parser = listing::instant)]
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    /// Exclude runs by status, owner kind (trigger, job, task) or owner identifier;
    /// comma-separated.
    #[arg(long, value_name = "WORDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<String>,
    /// Filter by the event that started the run.
    #[arg(long = "event", value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Short<EventId>>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

impl List {
    /// Says in full what was said in short.
    async fn complete(&mut self, client: &Client) -> anyhow::Result<()> {
        if self.failed {
            self.status = Some(RunStatus::Failed);
        }
        short::complete(&mut self.trigger, client).await?;
        short::complete(&mut self.job, client).await?;
        short::complete(&mut self.owner, client).await?;
        short::complete(&mut self.session, client).await?;
        Short::complete(&mut self.task, client).await?;
        Short::complete(&mut self.event_id, client).await
    }
}

/// Which lines of which log.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// The run's identifier.
    id: Short<RunId>,
    /// Follow the logs until the run ends; exits with 0 only if it completed.
    #[arg(short, long)]
    follow: bool,
    /// Skip the lines up to this number.
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
}

pub(super) fn status() -> impl TypedValueParser<Value = RunStatus> {
    PossibleValuesParser::new(RunStatus::ALL.map(|(_, word)| word))
        .try_map(|word| word.parse::<RunStatus>())
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    match command {
        Command::List(mut which) => {
            which.complete(&client).await?;
            let answer = client.get(&["runs"], &which).await?;
            if !globals.json {
                say_whose(&answer.read()?);
            }
            let shown = listing::show(&answer, globals.json, listed)?;
            if !globals.json {
                say_who_is_missing(&answer.read()?);
            }
            Ok(shown)
        }
        Command::Show { id } => show(&client, &id.whole(&client).await?, globals.json).await,
        Command::Logs(which) => log(&client, which, globals.json).await,
        Command::Cancel { id } => cancel(&client, &id.whole(&client).await?, globals.json).await,
        Command::Retry { id } => retry(&client, &id.whole(&client).await?, globals.json).await,
        Command::Input { id, said } => {
            let id = id.whole(&client).await?;
            task::give(&client, &["runs", id.as_str(), "input"], &said, globals.json).await
        }
    }
}

/// Follows a run's log to its end and says how it ended: success when it completed.
///
/// # Errors
/// When the host does not answer, or a stream does not take a line.
pub async fn follow(
    client: &Client,
    id: &RunId,
    after: u64,
    form: Form,
) -> anyhow::Result<RunStatus> {
    let live::End { status, error } = live::follow(client, id, after, form).await?;
    let why = error.map_or_else(String::new, |error| format!(": {error}"));
    output::remark(format_args!("{id} {}{why}", word(status.as_str())));
    Ok(status)
}

async fn show(client: &Client, id: &RunId, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.get(&["runs", id.as_str()], &()).await?;
    if json {
        answer.print()?;
    } else {
        output::print(&shown(&answer.read()?, &answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn log(client: &Client, which: Logs, json: bool) -> anyhow::Result<ExitCode> {
    let Logs { id, follow: to_its_end, after } = which;
    let id = &id.whole(client).await?;
    match (to_its_end, json) {
        (true, _) => {
            let form = if json { Form::JsonLines } else { Form::Text };
            return Ok(exit_code(follow(client, id, after, form).await?));
        }
        (false, true) => {
            let path = ["runs", id.as_str(), "logs"];
            client.get(&path, &[("after", after)]).await?.print()?;
        }
        (false, false) => logs::print(client, id, after).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn exit_code(status: RunStatus) -> ExitCode {
    if status == RunStatus::Completed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn cancel(client: &Client, id: &RunId, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.post(&["runs", id.as_str(), "cancel"]).await?;
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let run: Summary = answer.read()?;
    output::print(&match run.status.is_terminal() {
        true => format!("{id} {}\n", word(run.status.as_str())),
        false => format!("{id} is {}, and was asked to stop\n", word(run.status.as_str())),
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn retry(client: &Client, id: &RunId, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.post(&["runs", id.as_str(), "retry"]).await?;
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let run: Summary = answer.read()?;
    output::print(&format!("{} {}\n", run.id, word(run.status.as_str())))?;
    Ok(ExitCode::SUCCESS)
}

/// What a name stood for.
#[derive(Debug, Deserialize)]
struct Meant {
    of: Option<Of>,
    note: Option<Plain>,
}

#[derive(Debug, Deserialize)]
struct Of {
    kind: Plain,
    id: Plain,
}

fn say_whose(meant: &Meant) {
    if let Some(Of { kind, id }) = &meant.of {
        output::remark(format_args!("of the {kind} that is called so now, {id}"));
    }
    if let Some(note) = &meant.note {
        output::remark(note);
    }
}

/// A page of runs, as far as it says for whose absence they wait.
#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    agent: Name,
    #[serde(default)]
    waiting: Option<Absence>,
}

fn say_who_is_missing(page: &Page) {
    let mut waiting = BTreeMap::<(&Name, String), u32>::new();
    for Listed { agent, waiting: why } in &page.items {
        if let Some(why) = why {
            *waiting.entry((agent, why.said())).or_default() += 1;
        }
    }
    for ((agent, why), runs) in waiting {
        let runs = if runs == 1 { "1 run waits".to_owned() } else { format!("{runs} runs wait") };
        output::remark(format_args!("{runs} for the agent {agent}: {why}"));
    }
}

/// A run as listings have it.
#[derive(Debug, Deserialize)]
struct Summary {
    id: RunId,
    status: RunStatus,
    agent: Name,
    trigger: Option<Name>,
    job: Option<Name>,
    event_id: Option<EventId>,
    scheduled_at: Option<Time>,
    workspace_id: Option<Name>,
    priority: Priority,
    attempt: u32,
    due_at: Option<Time>,
    created_at: Time,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    error: Option<Plain>,
}

impl Summary {
    /// What it is a fire of.
    fn owner(&self) -> String {
        match (&self.trigger, &self.job) {
            (Some(trigger), _) => format!("trigger {trigger}"),
            (None, Some(job)) => format!("job {job}"),
            (None, None) => "-".to_owned(),
        }
    }
}

impl Summary {
    /// How long its last attempt took, or takes already.
    fn duration(&self, now: Time) -> Option<Duration> {
        Some(self.ended_at.unwrap_or(now).since(self.started_at?))
    }
}

/// What a run has beside its [`Summary`].
#[derive(Debug, Deserialize)]
struct Detail {
    prompt: Plain,
    untrusted_content: Content,
    stages: Stages,
    #[serde(default)]
    event_removed: bool,
    #[serde(default)]
    waiting: Option<Waiting>,
}

#[derive(Debug, Deserialize)]
struct Stages {
    source: Option<Origin>,
    filter: Option<Origin>,
    template: Option<Origin>,
    #[serde(default)]
    hooks: Vec<Origin>,
}

fn listed(runs: &[Summary]) -> Table {
    let row = |run: &Summary| {
        [
            run.id.to_string(),
            run.status.to_string(),
            run.agent.to_string(),
            run.owner(),
            run.attempt.to_string(),
            run.created_at.to_string(),
            or_none(run.ended_at),
            or_none(run.duration(Clock.now()).map(fit::span)),
        ]
    };
    let headings = ["ID", "STATUS", "AGENT", "FIRED BY", "ATTEMPT", "CREATED", "ENDED", "DURATION"];
    table(headings, runs.iter().map(row))
}

fn shown(run: &Summary, detail: &Detail) -> String {
    let Detail { prompt, untrusted_content, stages, event_removed, waiting } = detail;
    let removed = if *event_removed { " (removed)" } else { "" };
    let event = run.event_id.as_ref().map(|event| format!("{event}{removed}"));
    let hooks: Vec<String> = stages.hooks.iter().map(Origin::to_string).collect();
    let hooks = (!hooks.is_empty()).then(|| hooks.join(", "));
    let top = fields([
        ("id", run.id.to_string()),
        ("status", word(run.status.as_str())),
        ("error", or_none(run.error.as_ref())),
        ("agent", run.agent.to_string()),
        ("fired by", run.owner()),
        ("event", or_none(event)),
        ("slot", or_none(run.scheduled_at)),
        ("workspace", or_none(run.workspace_id.as_ref())),
        ("priority", run.priority.to_string()),
        ("attempt", run.attempt.to_string()),
        ("next due", or_none(run.due_at)),
        ("created", run.created_at.to_string()),
        ("started", or_none(run.started_at)),
        ("ended", or_none(run.ended_at)),
        ("source", or_none(stages.source.as_ref())),
        ("filter", or_none(stages.filter.as_ref())),
        ("template", or_none(stages.template.as_ref())),
        ("hooks", or_none(hooks)),
        ("untrusted", untrusted_content.to_string()),
    ]);
    let waits = waiting.as_ref().map(Waiting::shown).unwrap_or_default();
    top + &waits + &section("Prompt", prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "run_00000000000000000000000000000002";
    const EVENT: &str = "evt_00000000000000000000000000000001";

    fn json() -> String {
        format!(
            r#"{{"id":"{ID}","status":"failed","agent":"triager","trigger":"triage",
            "trigger_id":"trg_1","job":null,"priority":"high","scheduled_at":null,"due_at":null,
            "untrusted_content":"fenced","event_id":"{EVENT}","scope":"workspace","workspace_id":"acme",
            "attempt":2,"created_at":"2026-01-31T09:00:00.000Z",
            "started_at":"2026-01-31T09:00:01.000Z","ended_at":null,
            "error":"exit 1\nno \u001b[1mluck","prompt":"Look at\n\u001b]0;title\u0007this.\n",
            "stages":{{"source":{{"component":"github","version":"1","digest":"sha256:aa"}},
              "template":{{"component":"handlebars","version":"1","digest":"sha256:bb"}}}}}}"#
        )
    }

    fn uncoloured(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_run_is_shown_with_its_prompt() {
        let run = serde_json::from_str(&json()).unwrap();
        let text = shown(&run, &serde_json::from_str(&json()).unwrap());
        assert!(!text.contains("\u{1b}]") && !text.contains('\u{7}'), "{text:?}");
        let wanted = format!(
            "id         {ID}\n\
             status     failed\n\
             error      exit 1\n           no luck\n\
             agent      triager\n\
             fired by   trigger triage\n\
             event      {EVENT}\n\
             slot       -\n\
             workspace  acme\n\
             priority   high\n\
             attempt    2\n\
             next due   -\n\
             created    2026-01-31T09:00:00.000Z\n\
             started    2026-01-31T09:00:01.000Z\n\
             ended      -\n\
             source     github 1 sha256:aa\n\
             filter     -\n\
             template   handlebars 1 sha256:bb\n\
             hooks      -\n\
             untrusted  fenced\n\
             \n\
             Prompt\n\
             Look at\n\\u{{1b}}]0;title\\u{{7}}this.\n"
        );
        assert_eq!(uncoloured(&text), wanted);
    }

    #[test]
    fn runs_are_listed_one_a_line() {
        let text = uncoloured(&listed(&[serde_json::from_str(&json()).unwrap()]).to_string());
        let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        let created = "2026-01-31T09:00:00.000Z";
        let wanted = [ID, "failed", "triager", "trigger", "triage", "2", created];
        assert_eq!((&row[..7], row[7]), (&wanted[..], "-"));
        let mut run: Summary = serde_json::from_str(&json()).unwrap();
        let at = |secs| run.created_at + Duration::from_secs(secs);
        let (now, ended) = (at(100), at(43));
        assert_eq!(run.duration(now).map(|took| took.as_secs()), Some(99));
        run.ended_at = Some(ended);
        assert_eq!(run.duration(now).map(|took| took.as_secs()), Some(42));
        run.started_at = None;
        assert_eq!(run.duration(now), None);
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        which: List,
    }

    #[test]
    fn a_listing_asks_for_what_was_said_and_nothing_else() {
        let query = |args: &[&str]| {
            let line = <Line as clap::Parser>::parse_from([&["list"], args].concat());
            let _ = rustls::crypto::ring::default_provider().install_default();
            let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
            let request = client.get("http://h").query(&line.which).build();
            request.unwrap().url().query().unwrap_or_default().to_owned()
        };
        assert_eq!(query(&[]), "");
        assert_eq!(
            query(&["--status", "failed", "--event", EVENT, "--limit", "3", "--cursor", "a=b"]),
            format!("status=failed&event_id={EVENT}&limit=3&cursor=a%3Db")
        );
    }
}
