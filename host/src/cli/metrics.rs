//! `hillock metrics`: what a host measures, and what there is to measure.

use std::process::ExitCode;

use super::client::Client;
use super::output::Table;
use super::{Globals, output};
use crate::metrics::{ALERTS, DASHBOARD, Described, Metrics};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Describe every metric, without a host.
    #[arg(long, conflicts_with_all = ["dashboard", "alerts"])]
    describe: bool,
    /// Print a Grafana dashboard, without a host.
    #[arg(long, conflicts_with = "alerts")]
    dashboard: bool,
    /// Print Prometheus alert rules, without a host.
    #[arg(long)]
    alerts: bool,
}

/// Prints what is asked for; a host's present values when nothing else is.
///
/// # Errors
/// When the host does not answer.
pub async fn run(globals: &Globals, args: Args) -> anyhow::Result<ExitCode> {
    if args.dashboard {
        output::print(DASHBOARD)?;
    } else if args.alerts {
        output::print(ALERTS)?;
    } else if args.describe {
        let metrics = Metrics::default();
        match globals.json {
            true => output::print_value(&metrics.described())?,
            false => output::print(&described(metrics.described()).to_string())?,
        }
    } else {
        let answer = Client::without_key(globals)?.metrics().await?;
        output::print(&String::from_utf8_lossy(&answer.body))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn described(metrics: &[Described]) -> Table {
    let rows = metrics.iter().map(|metric| {
        let labels = metric.labels.join(", ");
        let labels = if labels.is_empty() { output::NONE.to_owned() } else { labels };
        let name = metric.name.clone();
        [name, metric.kind.to_owned(), output::or_none(metric.unit), labels, metric.help.to_owned()]
    });
    output::table(["NAME", "TYPE", "UNIT", "LABELS", "MEANING"], rows).whole()
}
