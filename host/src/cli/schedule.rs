//! `hillock schedule`: when a schedule is due, for trying one out. It needs no host and reads no
//! configuration.

use std::iter;
use std::process::ExitCode;

use clap::{Args, Subcommand, value_parser};
use serde::Serialize;

use super::Globals;
use super::output;
use crate::clock::Clock;
use crate::model::problem::Problems;
use crate::model::schedule::{Mode, Schedule, Spec};
use crate::model::time::Time;

/// Its subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show when a schedule is due next, in UTC and in its time zone.
    Next(Next),
}

/// A schedule, and which of its slots.
#[derive(Debug, Args)]
pub struct Next {
    #[command(flatten)]
    when: When,
    /// Read the first field of the cron expression as seconds.
    #[arg(long)]
    seconds: bool,
    /// The IANA time zone of the cron expression [default: UTC].
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Where counting starts for --every, instead of --from.
    #[arg(long, value_name = "INSTANT")]
    anchor: Option<String>,
    /// Show slots after this time instead of after now.
    #[arg(long, value_name = "INSTANT")]
    from: Option<Time>,
    /// The number of slots to show.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u16).range(1..=1000))]
    count: u16,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct When {
    /// A cron expression: minute, hour, day of month, month and day of week, or a word such as
    /// @daily.
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// A duration such as 15m, at least a second.
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
    /// An RFC 3339 time, to fire once.
    #[arg(long, value_name = "INSTANT")]
    at: Option<String>,
}

/// Does what was asked.
///
/// # Errors
/// When it is no schedule, or standard output does not take the result. That there are fewer slots
/// than asked for is none.
pub fn run(globals: &Globals, command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Next(next) = command;
    let from = next.from.unwrap_or_else(|| Clock.now());
    let schedule = Schedule::parse(&next.spec()).map_err(|problems| blame(&problems))?;
    let slots = slots(&schedule, from, next.count);
    if globals.json {
        let report = Report::new(&schedule, from, slots);
        output::print_value(&report)?;
    } else if slots.is_empty() {
        output::remark(format_args!("nothing is due after {from}"));
    } else {
        output::print(&slots.iter().map(|slot| line(&schedule, *slot)).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Next {
    fn spec(&self) -> Spec<'_> {
        let When { cron, every, at } = &self.when;
        Spec {
            cron: cron.as_deref(),
            every: every.as_deref(),
            at: at.as_deref(),
            seconds: self.seconds,
            anchor: self.anchor.as_deref(),
            timezone: self.timezone.as_deref(),
        }
    }
}

fn slots(schedule: &Schedule, from: Time, count: u16) -> Vec<Time> {
    let after = |slot: Time| schedule.next_after(slot, from);
    iter::successors(after(from), |slot| after(*slot)).take(count.into()).collect()
}

/// The flags are named as the fields that they fill.
fn blame(problems: &Problems) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(|problem| format!("--{problem}")).collect();
    anyhow::Error::msg(lines.join("\n"))
}

fn line(schedule: &Schedule, slot: Time) -> String {
    match schedule.timezone() {
        "UTC" => format!("{slot}\n"),
        _ => format!("{slot}  {}\n", schedule.local(slot)),
    }
}

#[derive(Debug, Serialize)]
struct Report<'s> {
    mode: Mode,
    expression: &'s str,
    timezone: &'s str,
    from: Time,
    next: Vec<Time>,
}

impl<'s> Report<'s> {
    fn new(schedule: &'s Schedule, from: Time, next: Vec<Time>) -> Self {
        let (expression, timezone) = (schedule.expression(), schedule.timezone());
        Self { mode: schedule.mode(), expression, timezone, from, next }
    }
}
