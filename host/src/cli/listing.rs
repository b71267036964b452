//! Listings: which page is asked for, and how a page is shown.

use std::process::ExitCode;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::Answer;
use super::output;
use super::plain::Plain;

/// Which page of a listing.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
pub struct Paging {
    /// How many at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    /// Where the page before ended.
    #[arg(long, value_name = "CURSOR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<Plain>,
}

/// Shows a page: as JSON, or as the table that `render` makes of its items.
///
/// # Errors
/// When the answer is no page of these, or standard output does not take it.
pub fn show<T: DeserializeOwned>(
    answer: &Answer,
    json: bool,
    render: impl FnOnce(&[T]) -> String,
) -> anyhow::Result<ExitCode> {
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let page: Page<T> = answer.read()?;
    match page.items.as_slice() {
        [] => output::remark("there are none"),
        items => output::print(&render(items))?,
    }
    if let Some(cursor) = page.next_cursor {
        output::remark(format_args!("there are more: say the same with --cursor {cursor}"));
    }
    Ok(ExitCode::SUCCESS)
}
