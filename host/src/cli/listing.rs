//! Listings: which page is asked for, and how a page is shown.

use std::process::ExitCode;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::Answer;
use super::output::{self, Table};
use super::plain::Plain;
use crate::clock::Clock;
use crate::model::name::Name;
use crate::model::time::Time;

/// Which page of a listing.
#[derive(Clone, Debug, Default, clap::Args, Serialize)]
pub struct Paging {
    /// The maximum number of items; a page has at most 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    /// Continue after the page that returned this cursor.
    #[arg(long, value_name = "CURSOR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    reach: Reach,
}

/// Whose things.
#[derive(Clone, Copy, Debug, Default, clap::Args, Serialize)]
pub struct Reach {
    /// Include every workspace and the global scope.
    #[arg(long)]
    #[serde(
        rename = "workspace",
        serialize_with = "everywhere",
        skip_serializing_if = "std::ops::Not::not"
    )]
    all_workspaces: bool,
}

impl Reach {
    /// Every workspace's, or one's.
    pub fn of(all_workspaces: bool) -> Self {
        Self { all_workspaces }
    }
}

fn everywhere<S: serde::Serializer>(_: &bool, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(EVERYWHERE)
}

/// What stands for every workspace.
pub const EVERYWHERE: &str = "*";

/// An instant: RFC 3339, or a span such as 1h for so long ago.
///
/// # Errors
/// When it is neither.
pub fn instant(text: &str) -> Result<Time, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = humantime::parse_duration(text).map_err(|_| {
        format!("`{text}` is neither an RFC 3339 instant nor a span such as 30m for so long ago")
    })?;
    Ok(Clock.now() - ago)
}

/// The table with a column of workspaces before it, if its items are of several.
fn by_workspace(table: Table, page: &Page<Place>) -> Table {
    let place = |item: &Place| item.workspace_id.as_ref().map_or("-", Name::as_str).to_owned();
    let places: Vec<String> = page.items.iter().map(place).collect();
    if places.windows(2).all(|two| two[0] == two[1]) {
        return table;
    }
    table.led_by(std::iter::once("WORKSPACE".to_owned()).chain(places).collect())
}

/// Where an item belongs.
#[derive(Deserialize)]
struct Place {
    workspace_id: Option<Name>,
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
    render: impl FnOnce(&[T]) -> Table,
) -> anyhow::Result<ExitCode> {
    if json {
        answer.print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let page: Page<T> = answer.read()?;
    match page.items.as_slice() {
        [] => output::remark("there are none"),
        items => output::print(&by_workspace(render(items), &answer.read()?).to_string())?,
    }
    if let Some(cursor) = page.next_cursor {
        output::remark(format_args!("there are more: say the same with --cursor {cursor}"));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_several_workspaces_say_which() {
        let check = |places: &[Option<&str>], wanted: &str| {
            let place = |place: &Option<&str>| Place {
                workspace_id: place.map(|name| name.parse().unwrap()),
            };
            let items = places.iter().map(place).collect();
            let page = Page { items, next_cursor: None };
            let table = output::table(["ID"], ["1", "2"].map(|id| [id.to_owned()]));
            let text = by_workspace(table, &page).to_string();
            assert_eq!(anstream::adapter::strip_str(&text).to_string(), wanted);
        };
        check(&[None, None], "ID\n1\n2\n");
        check(&[Some("a"), Some("a")], "ID\n1\n2\n");
        check(&[None, Some("a")], "WORKSPACE  ID\n-          1\na          2\n");
    }

    #[test]
    fn an_instant_is_said_or_so_long_ago() {
        let said = "2026-01-31T09:00:00.000Z";
        assert_eq!(instant(said).unwrap().to_string(), said);
        assert!(Clock.now().since(instant("1h").unwrap()).as_secs() >= 3600);
        assert!(instant("yesterday").is_err());
    }
}
