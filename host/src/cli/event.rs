//! `hillock event`: what arrived, and what each trigger made of it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Globals;
use super::client::{Client, indented};
use super::explain::Explanation;
use super::listing::{self, Paging};
use super::output::{self, Table, fields, or_none, section, table};
use super::plain::Plain;
use super::short::Short;
use crate::model::decision::Outcome;
use crate::model::id::{EventId, RunId};
use crate::model::name::{Kind, Name, Slug};
use crate::model::time::Time;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List events, newest first.
    List(List),
    /// Show an event with its data and decisions.
    Show {
        /// The event's identifier.
        id: Short<EventId>,
    },
    /// Explain an event: how it arrived, what each trigger decided and why, and which runs it
    /// started.
    Explain {
        /// The event's identifier.
        id: Short<EventId>,
    },
    /// Replay an event as a new one, through the current triggers.
    Replay {
        /// The event's identifier.
        id: Short<EventId>,
    },
}

/// Which events.
#[derive(Debug, clap::Args, Serialize)]
pub struct List {
    /// Filter by kind.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    /// Filter by endpoint.
    #[arg(long, value_name = "SLUG")]
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<Slug>,
    /// Show events received at or after this time (RFC 3339, or an age such as 1h).
    #[arg(long, value_name = "TIME", value_parser = listing::instant)]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    /// Show events received before this time (RFC 3339, or an age such as 1h).
    #[arg(long, value_name = "TIME", value_parser = listing::instant)]
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Time>,
    /// Filter by outcome: events on which a trigger decided this.
    #[arg(long, value_parser = outcome())]
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    /// Filter by the sender's delivery identifier, such as X-GitHub-Delivery.
    #[arg(long, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

fn outcome() -> impl TypedValueParser<Value = Outcome> {
    PossibleValuesParser::new(Outcome::ALL.map(|(_, word)| word))
        .try_map(|word| word.parse::<Outcome>())
}

/// Does what was asked.
///
/// # Errors
/// When the host does not answer, or refuses.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let client = Client::open(globals)?;
    match command {
        Command::List(which) => {
            let answer = client.get(&["events"], &which).await?;
            listing::show(&answer, globals.json, listed)
        }
        Command::Show { id } => {
            let id = id.whole(&client).await?;
            let answer = client.get(&["events", id.as_str()], &()).await?;
            if globals.json {
                answer.print()?;
            } else {
                output::print(&shown(&answer.read()?, &answer.read()?)?)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain { id } => {
            let id = id.whole(&client).await?;
            let answer = client.get(&["events", id.as_str(), "explain"], &()).await?;
            if globals.json {
                answer.print()?;
            } else {
                output::print(&answer.read::<Explanation>()?.text())?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay { id } => {
            let id = id.whole(&client).await?;
            let answer = client.post(&["events", id.as_str(), "replay"]).await?;
            if globals.json {
                answer.print()?;
            } else {
                let id = answer.read::<Summary>()?.id;
                let say = format!("hillock event explain {id}");
                output::print(&format!("{id}; `{say}` says what became of it\n"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// An event as listings have it.
#[derive(Debug, Deserialize)]
pub struct Summary {
    id: EventId,
    kind: Kind,
    workspace_id: Option<Name>,
    endpoint: Option<Endpoint>,
    producer: Option<Producer>,
    received_at: Time,
    verified: Option<Verified>,
    repeat_of: Option<EventId>,
    /// When its triggers had all decided.
    pub activated_at: Option<Time>,
    /// How many triggers decided how; an older host does not say.
    #[serde(default)]
    outcomes: BTreeMap<Plain, u32>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    slug: Slug,
}

#[derive(Debug, Deserialize)]
struct Producer {
    name: Name,
}

impl Summary {
    /// What its triggers decided, in short: `fired, 2 deferred`.
    fn decided(&self) -> String {
        let one = |(outcome, count): (&Plain, &u32)| match count {
            1 => outcome.line(),
            count => format!("{count} {}", outcome.line()),
        };
        or_none(
            Some(self.outcomes.iter().map(one).collect::<Vec<_>>().join(", "))
                .filter(|decided| !decided.is_empty()),
        )
    }

    /// The endpoint, hook, observer or extension that it came by.
    fn via(&self) -> String {
        match (&self.endpoint, &self.producer) {
            (Some(endpoint), _) => endpoint.slug.to_string(),
            (None, producer) => or_none(producer.as_ref().map(|producer| &producer.name)),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Verified {
    scheme: Plain,
    key_ref: Plain,
}

/// What an event has beside its [`Summary`].
#[derive(Debug, Deserialize)]
pub struct Detail {
    envelope: Envelope,
    /// What each trigger made of it.
    pub decisions: Vec<Decision>,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    occurred_at: Time,
    origin: Origin,
    depth: u32,
    data: Box<RawValue>,
}

/// A component as it was when it made something.
#[derive(Debug, Deserialize)]
pub struct Origin {
    component: Name,
    version: Plain,
    digest: Plain,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.component, self.version, self.digest)
    }
}

/// What a trigger made of an event.
#[derive(Debug, Deserialize)]
pub struct Decision {
    trigger: Name,
    /// The decision's word, of which a newer host may know more.
    pub outcome: Plain,
    reason: Option<Plain>,
    retry_at: Option<Time>,
    /// The run it fired.
    pub run_id: Option<RunId>,
}

impl Decision {
    /// Whether something is broken, as opposed to the trigger having nothing to do.
    pub fn is_error(&self) -> bool {
        matches!(self.outcome.as_str(), "render_error" | "component_error")
    }

    /// The decision on one line.
    pub fn line(&self) -> String {
        let outcome = output::word(self.outcome.as_str());
        let why = match (&self.run_id, &self.reason, self.retry_at) {
            (Some(run), ..) => format!(" {run}"),
            (None, Some(reason), _) => format!(": {}", reason.line()),
            (None, None, Some(at)) if self.outcome.as_str() == "deferred" => {
                format!(": it waits for its turn, at {at}")
            }
            (None, None, Some(retry_at)) => format!(": it may fire again at {retry_at}"),
            (None, None, None) => String::new(),
        };
        format!("{}  {outcome}{why}\n", self.trigger)
    }
}

fn listed(events: &[Summary]) -> Table {
    let row = |event: &Summary| {
        [
            event.id.to_string(),
            event.kind.to_string(),
            event.via(),
            or_none(event.verified.as_ref().map(|verified| &verified.scheme)),
            event.received_at.to_string(),
            or_none(event.activated_at),
            event.decided(),
        ]
    };
    let headings = ["ID", "KIND", "VIA", "VERIFIED", "RECEIVED", "ACTIVATED", "DECIDED"];
    table(headings, events.iter().map(row))
}

fn shown(event: &Summary, detail: &Detail) -> anyhow::Result<String> {
    let Detail { envelope, decisions } = detail;
    let verified = event.verified.as_ref();
    let mut top = vec![
        ("id", event.id.to_string()),
        ("kind", event.kind.to_string()),
        ("workspace", or_none(event.workspace_id.as_ref())),
        ("via", event.via()),
        ("verified", or_none(verified.map(|v| format!("{} by {}", v.scheme, v.key_ref)))),
        ("origin", envelope.origin.to_string()),
        ("depth", envelope.depth.to_string()),
        ("occurred", envelope.occurred_at.to_string()),
        ("received", event.received_at.to_string()),
        ("activated", or_none(event.activated_at)),
    ];
    top.extend(event.repeat_of.as_ref().map(|earlier| ("repeat of", earlier.to_string())));
    let top = fields(top);
    let data = String::from_utf8(indented(envelope.data.get().as_bytes())?)?;
    let decisions: String = decisions.iter().map(Decision::line).collect();
    let decisions = if decisions.is_empty() { "none".to_owned() } else { decisions };
    Ok(top + &section("Decisions", decisions) + &section("Data", Plain::from(data.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "evt_00000000000000000000000000000001";
    const RUN: &str = "run_00000000000000000000000000000002";

    fn json() -> String {
        format!(
            r#"{{"id":"{ID}","kind":"github.push","scope":"global","source":"webhook",
            "endpoint":{{"webhook_id":"wbh_1","slug":"gh"}},
            "received_at":"2026-01-31T09:00:00.000Z","activated_at":null,
            "outcomes":{{"fired":1,"deferred":2}},
            "verified":{{"scheme":"github","key_ref":"env:S","at":"2026-01-31T09:00:00.000Z"}},
            "envelope":{{"occurred_at":"2026-01-31T08:59:59.000Z","depth":0,"data":{{"b":1,"a":2}},
              "origin":{{"component":"github","version":"0.1.0","digest":"sha256:ab"}}}},
            "decisions":[
              {{"trigger":"triage","outcome":"fired","reason":null,"run_id":"{RUN}"}},
              {{"trigger":"review","outcome":"filtered","reason":"data.b\nis 1","run_id":null}},
              {{"trigger":"off","outcome":"disabled","reason":null,"run_id":null}}]}}"#
        )
    }

    #[test]
    fn an_event_is_shown_with_what_became_of_it() {
        let (event, detail) = (json(), json());
        let event = serde_json::from_str(&event).unwrap();
        let text = shown(&event, &serde_json::from_str(&detail).unwrap()).unwrap();
        let wanted = format!(
            "id         {ID}\n\
             kind       github.push\n\
             workspace  -\n\
             via        gh\n\
             verified   github by env:S\n\
             origin     github 0.1.0 sha256:ab\n\
             depth      0\n\
             occurred   2026-01-31T08:59:59.000Z\n\
             received   2026-01-31T09:00:00.000Z\n\
             activated  -\n\
             \n\
             Decisions\n\
             triage  fired {RUN}\n\
             review  filtered: data.b is 1\n\
             off  disabled\n\
             \n\
             Data\n\
             {{\n  \"b\": 1,\n  \"a\": 2\n}}\n"
        );
        assert_eq!(Plain::from(text.as_str()).to_string(), wanted);
    }

    #[test]
    fn events_are_listed_one_a_line() {
        let text = listed(&[serde_json::from_str(&json()).unwrap()]).to_string();
        let text = Plain::from(text.as_str()).to_string();
        let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        let received = "2026-01-31T09:00:00.000Z";
        let decided = ["2", "deferred,", "fired"];
        let row_wanted = [ID, "github.push", "gh", "github", received, "-"];
        assert_eq!(row, [&row_wanted[..], &decided].concat());
    }
}
