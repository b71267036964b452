//! `hillock task`: work asked of an agent, how it goes, and telling it more.

mod create;

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::{Answer, Client};
use super::listing::{self, Paging};
use super::logs::{self, Form};
use super::output::{self, Table, fields, or_none, section, table, word};
use super::plain::Plain;
use super::short::{self, Short};
use super::{Globals, run};
use crate::model::definition::Priority;
use crate::model::id::{RunId, TaskId};
use crate::model::input::{InputMode, InputOutcome};
use crate::model::name::Name;
use crate::model::run::RunStatus;
use crate::model::task::TaskStatus;
use crate::model::time::Time;

/// How often a task that is waited for is looked at.
const POLL: Duration = Duration::from_millis(300);

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a task for an agent.
    Create(Box<create::Create>),
    /// List tasks, newest first.
    List(List),
    /// Show a task with its message and runs.
    Show {
        /// The task's identifier.
        id: Short<TaskId>,
    },
    /// Cancel a task.
    Cancel {
        /// The task's identifier.
        id: Short<TaskId>,
    },
    /// Archive a task that has ended.
    Archive {
        /// The task's identifier.
        id: Short<TaskId>,
    },
    /// Restore an archived task.
    Unarchive {
        /// The task's identifier.
        id: Short<TaskId>,
    },
    /// Print the result of a task that has ended.
    Result {
        /// The task's identifier.
        id: Short<TaskId>,
    },
    /// Print the logs of a task's current run, or of its latest.
    Logs(Logs),
    /// Send input to a task, during or after its work.
    Input(Input),
}

/// Whose log.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// The task's identifier.
    id: Short<TaskId>,
    /// Follow the logs until the task ends; exits with 0 only if it is done.
    #[arg(short, long)]
    follow: bool,
}

/// Which tasks.
#[derive(Debug, clap::Args, Serialize)]
pub struct List {
    /// Filter by state.
    #[arg(long, value_parser = status())]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<TaskStatus>,
    /// Filter by agent.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Name>,
    /// Filter by session: its key or identifier.
    #[arg(long, value_name = "KEY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// Filter by title.
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Show archived tasks only.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    archived: bool,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

/// What to tell whom.
#[derive(Debug, clap::Args)]
pub struct Input {
    /// The task's identifier.
    id: Short<TaskId>,
    #[command(flatten)]
    said: Said,
}

/// What to tell a task or a run, and when.
#[derive(Debug, clap::Args)]
pub struct Said {
    /// The text to send; `-` is standard input.
    text: String,
    /// When to deliver it: `followup` once the agent has asked or ended, `queue` once it has ended,
    /// `steer` during its work, `interrupt` at once.
    #[arg(long, value_parser = mode(), default_value = "followup")]
    mode: InputMode,
    /// Do nothing if this key was used before.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

fn status() -> impl TypedValueParser<Value = TaskStatus> {
    PossibleValuesParser::new(TaskStatus::ALL.iter().map(|(_, word)| word))
        .try_map(|word| word.parse::<TaskStatus>())
}

fn mode() -> impl TypedValueParser<Value = InputMode> {
    PossibleValuesParser::new(InputMode::ALL.iter().map(|(_, word)| word))
        .try_map(|word| word.parse::<InputMode>())
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    let json = globals.json;
    match command {
        Command::Create(wanted) => create(&client, &wanted, json).await,
        Command::List(mut which) => {
            short::complete(&mut which.session, &client).await?;
            listing::show(&client.get(&["tasks"], &which).await?, json, listed)
        }
        Command::Show { id } => show(&client, &id.whole(&client).await?, json).await,
        Command::Cancel { id } => {
            let id = id.whole(&client).await?;
            let answer = client.post(&["tasks", id.as_str(), "cancel"]).await?;
            say(&answer, json, |task| match task.status.is_terminal() {
                true => format!("{id} {}\n", word(task.status.as_str())),
                false => format!("{id} is {}, and was asked to stop\n", word(task.status.as_str())),
            })
        }
        Command::Archive { id } => {
            let id = id.whole(&client).await?;
            let answer = client.post(&["tasks", id.as_str(), "archive"]).await?;
            say(&answer, json, |_| format!("{id} was put away\n"))
        }
        Command::Unarchive { id } => {
            let id = id.whole(&client).await?;
            let answer = client.post(&["tasks", id.as_str(), "unarchive"]).await?;
            say(&answer, json, |_| format!("{id} is in sight again\n"))
        }
        Command::Result { id } => result(&client, &id.whole(&client).await?, json).await,
        Command::Logs(which) => log(&client, which, json).await,
        Command::Input(Input { id, said }) => {
            let id = id.whole(&client).await?;
            give(&client, &["tasks", id.as_str(), "input"], &said, json).await
        }
    }
}

async fn create(client: &Client, wanted: &create::Create, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.create(&["tasks"], &wanted.body()?).await?;
    let task: Summary = answer.read()?;
    if wanted.follow {
        output::remark(format_args!("{} is {}", task.id, task.run_id));
        let form = if json { Form::JsonLines } else { Form::Text };
        return Ok(exit_code(follow(client, &task.id, form).await?));
    }
    if wanted.wait {
        let task = ended(client, &task.id).await?;
        let path = ["tasks", task.id.as_str()];
        say(&client.get(&path, &()).await?, json, outcome)?;
        return Ok(exit_code(task.status));
    }
    say(&answer, json, |task| format!("{}\n", task.id))
}

/// Follows the task's runs from its present one on, one after the other, until it has ended.
async fn follow(client: &Client, id: &TaskId, form: Form) -> anyhow::Result<TaskStatus> {
    let mut followed = None;
    loop {
        let task: Following = client.get(&["tasks", id.as_str()], &()).await?.read()?;
        if let Some(next) = task.after(followed.as_ref()) {
            run::follow(client, next, 0, form).await?;
            followed = Some(next.clone());
        } else if task.status.is_terminal() {
            return Ok(task.status);
        } else {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Writes what the task's present run wrote, or follows all that come.
async fn log(client: &Client, which: Logs, json: bool) -> anyhow::Result<ExitCode> {
    let Logs { id, follow: to_its_end } = which;
    let id = &id.whole(client).await?;
    if to_its_end {
        let form = if json { Form::JsonLines } else { Form::Text };
        return Ok(exit_code(follow(client, id, form).await?));
    }
    let task: Following = client.get(&["tasks", id.as_str()], &()).await?.read()?;
    let run = task.present();
    if json {
        client.get(&["runs", run.as_str(), "logs"], &()).await?.print()?;
    } else {
        logs::print(client, run, 0).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The task, once it has ended.
async fn ended(client: &Client, id: &TaskId) -> anyhow::Result<Summary> {
    loop {
        let task: Summary = client.get(&["tasks", id.as_str()], &()).await?.read()?;
        if task.status.is_terminal() {
            return Ok(task);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn exit_code(status: TaskStatus) -> ExitCode {
    if status == TaskStatus::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn outcome(task: &Summary) -> String {
    let why = task.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    format!("{} {}{why}\n", task.id, word(task.status.as_str()))
}

fn say(
    answer: &Answer,
    json: bool,
    text: impl FnOnce(&Summary) -> String,
) -> anyhow::Result<ExitCode> {
    if json {
        answer.print()?;
    } else {
        output::print(&text(&answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(client: &Client, id: &TaskId, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.get(&["tasks", id.as_str()], &()).await?;
    if json {
        answer.print()?;
    } else {
        output::print(&shown(&answer.read()?, &answer.read()?))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn result(client: &Client, id: &TaskId, json: bool) -> anyhow::Result<ExitCode> {
    let answer = client.get(&["tasks", id.as_str(), "result"], &()).await?;
    let came: Came = answer.read()?;
    match (json, &came.result) {
        (true, _) => answer.print()?,
        (false, Some(serde_json::Value::String(text))) => {
            super::plain::write(text)?;
        }
        (false, Some(result)) => {
            output::print_value(result)?;
        }
        (false, None) => {
            let why = came.error.map_or_else(String::new, |error| format!(": {error}"));
            output::remark(format_args!("{id} is {} without a result{why}", came.status));
        }
    }
    Ok(exit_code(came.status))
}

/// Gives an input at `path`, and says what became of it.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn give(
    client: &Client,
    path: &[&str],
    said: &Said,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let body = json!({
        "text": create::said(&said.text)?,
        "mode": said.mode,
        "idempotency_key": said.idempotency_key,
    });
    let answer = client.create(path, &body).await?;
    if json {
        answer.print()?;
    } else {
        let given: Given = answer.read()?;
        output::print(&format!("{} {}\n", given.outcome, given.run_id))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A task as listings have it.
#[derive(Debug, Deserialize)]
struct Summary {
    id: TaskId,
    status: TaskStatus,
    agent: Name,
    label: Option<Plain>,
    session: Option<Plain>,
    workspace_id: Option<Name>,
    priority: Priority,
    run_id: RunId,
    created_at: Time,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    archived_at: Option<Time>,
    error: Option<Plain>,
}

/// What a task has beside its [`Summary`].
#[derive(Debug, Deserialize)]
struct Detail {
    message: Plain,
    runs: Vec<Run>,
}

/// A task, as far as whoever follows it minds.
#[derive(Debug, Deserialize)]
struct Following {
    status: TaskStatus,
    run_id: RunId,
    /// Oldest first.
    runs: Vec<Run>,
}

impl Following {
    /// The run that works or waits, the oldest first; else the latest.
    fn present(&self) -> &RunId {
        let open = self.runs.iter().find(|run| !run.status.is_terminal());
        open.map_or(&self.run_id, |run| &run.id)
    }

    /// The run to follow when this one has ended; the present one to begin with.
    fn after(&self, followed: Option<&RunId>) -> Option<&RunId> {
        let Some(followed) = followed else { return Some(self.present()) };
        let place = self.runs.iter().position(|run| run.id == *followed);
        match place {
            Some(place) => self.runs.get(place + 1).map(|run| &run.id),
            // So many have come since that it is not among them.
            None => Some(self.present()).filter(|present| *present != followed),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    id: RunId,
    status: RunStatus,
    attempt: u32,
    created_at: Time,
    ended_at: Option<Time>,
}

#[derive(Debug, Deserialize)]
struct Came {
    status: TaskStatus,
    result: Option<serde_json::Value>,
    error: Option<Plain>,
}

#[derive(Debug, Deserialize)]
struct Given {
    outcome: InputOutcome,
    run_id: RunId,
}

fn listed(tasks: &[Summary]) -> Table {
    let row = |task: &Summary| {
        [
            task.id.to_string(),
            task.status.to_string(),
            task.agent.to_string(),
            or_none(task.label.as_ref().map(Plain::line)),
            task.priority.to_string(),
            task.created_at.to_string(),
            or_none(task.ended_at),
        ]
    };
    let headings = ["ID", "STATUS", "AGENT", "LABEL", "PRIORITY", "CREATED", "ENDED"];
    table(headings, tasks.iter().map(row))
}

fn shown(task: &Summary, detail: &Detail) -> String {
    let top = fields([
        ("id", task.id.to_string()),
        ("status", word(task.status.as_str())),
        ("error", or_none(task.error.as_ref())),
        ("agent", task.agent.to_string()),
        ("label", or_none(task.label.as_ref())),
        ("session", or_none(task.session.as_ref())),
        ("workspace", or_none(task.workspace_id.as_ref())),
        ("priority", task.priority.to_string()),
        ("run", task.run_id.to_string()),
        ("created", task.created_at.to_string()),
        ("started", or_none(task.started_at)),
        ("ended", or_none(task.ended_at)),
        ("archived", or_none(task.archived_at)),
    ]);
    top + &section("Message", &detail.message) + &section("Runs", runs(&detail.runs))
}

/// Runs as a table.
pub(super) fn runs(runs: &[Run]) -> Table {
    let row = |run: &Run| {
        [
            run.id.to_string(),
            run.status.to_string(),
            run.attempt.to_string(),
            run.created_at.to_string(),
            or_none(run.ended_at),
        ]
    };
    table(["ID", "STATUS", "ATTEMPT", "CREATED", "ENDED"], runs.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "task_00000000000000000000000000000001";
    const RUN: &str = "run_00000000000000000000000000000002";

    fn json() -> String {
        format!(
            r#"{{"id":"{ID}","status":"error","agent":"triager","label":"a\u001b[1mb",
            "session":"ticket 42","session_id":"ses_1","scope":"global","priority":"high",
            "run_id":"{RUN}","created_at":"2026-01-31T09:00:00.000Z","started_at":null,
            "ended_at":null,"archived_at":null,"error":"exit 1","message":"Look\n\u0007at this.",
            "runs":[{{"id":"{RUN}","status":"failed","attempt":2,
              "created_at":"2026-01-31T09:00:00.000Z","ended_at":null}}]}}"#
        )
    }

    #[test]
    fn a_task_is_shown_with_its_message_and_runs() {
        let text =
            shown(&serde_json::from_str(&json()).unwrap(), &serde_json::from_str(&json()).unwrap());
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(text.contains("label      ab\n"), "{text}");
        assert!(text.contains("session    ticket 42\n"), "{text}");
        assert!(text.contains("\nMessage\nLook\n\\u{7}at this.\n"), "{text}");
        assert!(text.contains(&format!("{RUN}  failed  2        2026")), "{text}");
    }

    #[test]
    fn runs_are_followed_from_the_present_one_on_and_none_is_left_out() {
        let id = |n: u32| format!("run_{n:032}").parse::<RunId>().unwrap();
        let run = |n, status: &str| Run {
            id: id(n),
            status: status.parse().unwrap(),
            attempt: 1,
            created_at: Time::EPOCH,
            ended_at: None,
        };
        let runs =
            vec![run(1, "failed"), run(2, "running"), run(3, "scheduled"), run(4, "scheduled")];
        let task = Following { status: TaskStatus::Running, run_id: id(4), runs };
        assert_eq!(task.after(None), Some(&id(2)));
        assert_eq!(task.after(Some(&id(2))), Some(&id(3)));
        assert_eq!(task.after(Some(&id(4))), None);
        assert_eq!(task.after(Some(&id(9))), Some(&id(2)));
        let runs = vec![run(1, "failed"), run(2, "completed")];
        let task = Following { status: TaskStatus::Done, run_id: id(2), runs };
        assert_eq!((task.after(None), task.after(Some(&id(2)))), (Some(&id(2)), None));
    }

    #[test]
    fn tasks_are_listed_one_a_line() {
        let task: Summary = serde_json::from_str(&json()).unwrap();
        let text = anstream::adapter::strip_str(&listed(&[task]).to_string()).to_string();
        let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, [ID, "error", "triager", "ab", "high", "2026-01-31T09:00:00.000Z", "-"]);
    }
}
