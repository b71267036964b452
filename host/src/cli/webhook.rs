//! `hillock webhook send`: a delivery as a sender makes it, to try an endpoint out.
//!
//! What the flags leave open, the endpoint's definition in hillock.toml answers. The secret is read
//! where the host would read it, so this works on the host's machine or with a copy of its secret.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::Globals;
use super::client::{Answer, Client};
use super::event::{self, Decision};
use super::input;
use super::logs::Form;
use super::output;
use super::plain::Plain;
use super::run;
use super::sign::{Delivery, Scheme};
use crate::clock::Clock;
use crate::config::secrets;
use crate::model::definition::Endpoint;
use crate::model::id::{EventId, RunId};
use crate::model::name::Slug;
use crate::model::run::RunStatus;
use crate::model::scope::Scope;
use crate::model::secret::SecretRef;

/// How often an event is asked for its decisions.
const POLL: Duration = Duration::from_millis(250);

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign a file as the endpoint's sender would, and send it.
    Send(Send),
}

/// What to send, and as whom.
#[derive(Debug, clap::Args)]
pub struct Send {
    /// The endpoint's slug.
    endpoint: Slug,
    /// The body file; `-` is standard input.
    #[arg(long)]
    file: PathBuf,
    /// The event name, for senders that give it in a header (X-GitHub-Event).
    #[arg(long, default_value = "push")]
    event: String,
    /// The sender to imitate [default: the endpoint's source].
    #[arg(long)]
    source: Option<Scheme>,
    /// The secret to sign with, env:NAME or file:PATH [default: the endpoint's first].
    #[arg(long, value_name = "REF")]
    secret: Option<SecretRef>,
    /// The delivery identifier [default: a new one]; a repeated one is a duplicate.
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
    /// Add or replace a header. Repeatable.
    #[arg(long = "header", value_name = "K: V")]
    headers: Vec<Header>,
    /// Show the decisions and follow the runs; exits with 0 only if all of them completed.
    #[arg(long)]
    wait: bool,
}

/// Does what was asked.
///
/// # Errors
/// When the delivery cannot be made, or the host does not answer or refuses it.
pub async fn run(globals: &Globals, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Send(send) = command;
    let client = if send.wait { Client::open(globals)? } else { Client::without_key(globals)? };
    let body = input::read(&send.file)?;
    let headers = send.headers(globals, &body)?;
    let answer = client.deliver(&path(&globals.scope, &send.endpoint), headers, body).await?;
    let event = received(&answer, globals.json)?;
    match event {
        Some(event) if send.wait => follow(&client, &event, globals.json).await,
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn path<'p>(scope: &'p Scope, endpoint: &'p Slug) -> Vec<&'p str> {
    match scope {
        Scope::Global => vec!["webhooks", endpoint.as_str()],
        Scope::Workspace(name) => vec!["webhooks", name.as_str(), endpoint.as_str()],
    }
}

impl Send {
    /// A file, sent and waited for as the endpoint's definition says.
    pub(super) fn as_defined(endpoint: Slug, file: PathBuf, event: &str) -> Self {
        Self {
            endpoint,
            file,
            event: event.to_owned(),
            source: None,
            secret: None,
            delivery: None,
            headers: Vec::new(),
            wait: true,
        }
    }

    fn headers(&self, globals: &Globals, body: &[u8]) -> anyhow::Result<HeaderMap> {
        let (scheme, secret) = self.identity(globals)?;
        let secret = secret.as_ref().map(secrets::read).transpose()?;
        let fresh = || uuid::Builder::from_random_bytes(Clock.random()).into_uuid().to_string();
        let id = self.delivery.clone().unwrap_or_else(fresh);
        let delivery = Delivery { id: &id, at: Clock.now(), event: &self.event, body };
        let signed = match scheme {
            Some(scheme) => scheme.headers(secret.as_ref(), &delivery)?,
            None => vec![],
        };
        assemble(signed, &self.headers)
    }

    /// Whose headers the delivery has, and which secret signs it.
    fn identity(&self, globals: &Globals) -> anyhow::Result<(Option<Scheme>, Option<SecretRef>)> {
        if let (Some(scheme), Some(secret)) = (self.source, &self.secret) {
            return Ok((Some(scheme), Some(secret.clone())));
        }
        let config = globals.found_config()?;
        let endpoints = config.map(|config| config.definitions().endpoints).unwrap_or_default();
        let defined =
            endpoints.into_iter().find(|e| e.slug == self.endpoint && e.scope == globals.scope);
        self.identity_beside(defined)
    }

    fn identity_beside(
        &self,
        defined: Option<Endpoint>,
    ) -> anyhow::Result<(Option<Scheme>, Option<SecretRef>)> {
        let Some(endpoint) = defined else {
            let slug = &self.endpoint;
            let scheme = self.source.with_context(|| {
                format!("hillock.toml has no endpoint `{slug}`: say its --source (and --secret)")
            })?;
            return Ok((Some(scheme), self.secret.clone()));
        };
        let scheme = self.source.or_else(|| Scheme::of_source(endpoint.source.as_str()));
        let secret = self.secret.clone().or_else(|| endpoint.secrets.into_iter().next());
        if scheme.is_none() && secret.is_some() {
            let source = endpoint.source;
            anyhow::bail!("deliveries for `{source}` cannot be signed here: say another --source");
        }
        Ok((scheme, secret))
    }
}

/// The sender's headers, and the user's own in place of those of the same name.
fn assemble(signed: Vec<(&'static str, String)>, own: &[Header]) -> anyhow::Result<HeaderMap> {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
    for (name, value) in signed {
        let value =
            value.parse().with_context(|| format!("{value:?} cannot be a header's value"))?;
        headers.insert(name, value);
    }
    for Header(name, _) in own {
        headers.remove(name);
    }
    for Header(name, value) in own {
        headers.append(name, value.clone());
    }
    Ok(headers)
}

/// A header as it is written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header(HeaderName, HeaderValue);

impl FromStr for Header {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once(':')
            .and_then(|(name, value)| Some(Self(name.parse().ok()?, value.trim().parse().ok()?)));
        parsed.ok_or_else(|| "a header is written `Name: value`".to_owned())
    }
}

#[derive(Deserialize)]
struct Receipt {
    event_id: EventId,
}

/// Says what the host answered; the event, if there is one.
fn received(answer: &Answer, json: bool) -> anyhow::Result<Option<EventId>> {
    let receipt: Option<Receipt> = answer.read().ok();
    if json && receipt.is_some() {
        answer.print()?;
    } else {
        output::print(&acknowledged(answer, receipt.as_ref()))?;
    }
    Ok(receipt.map(|receipt| receipt.event_id))
}

fn acknowledged(answer: &Answer, receipt: Option<&Receipt>) -> String {
    let status = answer.status;
    match receipt {
        Some(Receipt { event_id }) if status == StatusCode::OK => {
            format!("{status}: already known as {event_id} (duplicate)\n")
        }
        Some(Receipt { event_id }) => format!("{status}: accepted as {event_id}\n"),
        // A source may make no event of a request, or answer a challenge in its sender's way.
        None => {
            let body = Plain::from(String::from_utf8_lossy(&answer.body).as_ref());
            format!("{status}, without an event\n{body}")
        }
    }
}

async fn follow(client: &Client, event: &EventId, json: bool) -> anyhow::Result<ExitCode> {
    let (answer, decisions) = decided(client, event).await?;
    if json {
        answer.print()?;
    } else {
        output::print(&told(&decisions))?;
    }
    let form = if json { Form::JsonLines } else { Form::Text };
    let runs: Vec<&RunId> = decisions.iter().filter_map(|d| d.run_id.as_ref()).collect();
    let mut good = !decisions.iter().any(Decision::is_error);
    for id in runs {
        good &= run::follow(client, id, 0, form).await? == RunStatus::Completed;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The event and its decisions, once all of them are made.
async fn decided(client: &Client, id: &EventId) -> anyhow::Result<(Answer, Vec<Decision>)> {
    loop {
        let answer = client.get(&["events", id.as_str()], &()).await?;
        if answer.read::<event::Summary>()?.activated_at.is_some() {
            let decisions = answer.read::<event::Detail>()?.decisions;
            return Ok((answer, decisions));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn told(decisions: &[Decision]) -> String {
    if decisions.is_empty() {
        return "no trigger considers such an event\n".to_owned();
    }
    decisions.iter().map(Decision::line).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::config::{Config, Overrides};

    fn send(flags: &[&str]) -> Send {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            send: Send,
        }
        let line = [&["send", "hooks", "--file", "-"], flags].concat();
        <Line as clap::Parser>::parse_from(line).send
    }

    fn endpoint(fields: &str) -> Endpoint {
        let text = format!("[[endpoints]]\nslug = \"hooks\"\n{fields}\n");
        let config = Config::parse(&text, Path::new("hillock.toml"), &Overrides::default());
        config.unwrap().definitions().endpoints.remove(0)
    }

    #[test]
    fn flags_win_over_the_endpoints_definition() {
        let github = "source = \"github\"\nsecret_refs = [\"env:NEW\", \"env:OLD\"]";
        let acme = "source = \"acme\"\nsecret_ref = \"env:ACME\"";
        let open = "source = \"acme\"\nverification = \"none\"";
        let secret = |name: &str| Some(SecretRef::Env(name.to_owned()));
        let explicit: &[&str] = &["--source", "generic", "--secret", "env:MINE"];
        for (flags, defined, wanted) in [
            (&[][..], Some(github), Some((Some(Scheme::Github), secret("NEW")))),
            (explicit, Some(github), Some((Some(Scheme::Generic), secret("MINE")))),
            (&explicit[2..], Some(github), Some((Some(Scheme::Github), secret("MINE")))),
            (&explicit[..2], None, Some((Some(Scheme::Generic), None))),
            (&[], Some(open), Some((None, None))),
            (&[], Some(acme), None),
            (&[], None, None),
        ] {
            let identity = send(flags).identity_beside(defined.map(endpoint));
            assert_eq!(identity.ok(), wanted, "{flags:?} beside {defined:?}");
        }
    }

    #[test]
    fn own_headers_replace_the_senders() {
        let own: Vec<Header> = ["X-GitHub-Event: ping", "x-github-event:again", "X-New: 1"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let signed = vec![("x-github-event", "push".to_owned()), ("x-github-delivery", "7".into())];
        let headers = assemble(signed, &own).unwrap();
        let events: Vec<_> = headers.get_all("x-github-event").iter().collect();
        assert_eq!(events, ["ping", "again"]);
        assert_eq!(headers["x-github-delivery"], "7");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["x-new"], "1");
        assert!(assemble(vec![("x-github-event", "a\nb".to_owned())], &[]).is_err());
    }

    #[test]
    fn the_answer_is_told_in_a_line() {
        let id = "evt_00000000000000000000000000000001";
        let receipt = format!("{{\"event_id\":\"{id}\"}}");
        for (status, body, wanted) in [
            (202, receipt.as_str(), format!("202 Accepted: accepted as {id}\n")),
            (200, receipt.as_str(), format!("200 OK: already known as {id} (duplicate)\n")),
            (200, "challenge", "200 OK, without an event\nchallenge".to_owned()),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, body: Bytes::from(body.to_owned()) };
            assert_eq!(acknowledged(&answer, answer.read().ok().as_ref()), wanted);
        }
    }
}
