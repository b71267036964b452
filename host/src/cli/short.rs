//! Identifiers as people give them: whole, or as much of one as says which is meant.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::bail;
use serde::{Deserialize, Serialize, Serializer};

use super::client::Client;
use crate::model::id::{DIGITS, DIGITS_MIN};
use crate::model::name::Name;

/// What identifiers begin with that may be said instead of a name.
const NAMED: [&str; 14] = [
    "agt", "btk", "cmd", "evt", "ext", "hok", "job", "obs", "run", "ses", "task", "trg", "wbh",
    "wrk",
];

/// An identifier, or how one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Short<I> {
    /// All of it.
    Whole(I),
    /// Its beginning.
    Beginning(String),
}

impl<I: FromStr> FromStr for Short<I> {
    type Err = I::Err;
    fn from_str(text: &str) -> Result<Self, I::Err> {
        let whole = match text.parse() {
            Ok(id) => return Ok(Self::Whole(id)),
            Err(error) => error,
        };
        let digits = text.split_once('_').map_or("", |(_, digits)| digits);
        let missing = DIGITS.saturating_sub(digits.len());
        // It begins one when it can be filled up to one.
        let filled = format!("{text}{}", "0".repeat(missing)).parse::<I>();
        match digits.len() >= DIGITS_MIN && filled.is_ok() {
            true => Ok(Self::Beginning(text.to_owned())),
            false => Err(whole),
        }
    }
}

#[derive(Deserialize)]
struct Found {
    ids: Vec<String>,
}

impl<I: FromStr<Err: Display>> Short<I> {
    /// The identifier that is meant.
    ///
    /// # Errors
    /// When none begins like this, or more than one does, or the host does not answer.
    pub async fn whole(self, client: &Client) -> anyhow::Result<I> {
        let beginning = match self {
            Self::Whole(id) => return Ok(id),
            Self::Beginning(beginning) => beginning,
        };
        match find(client, &beginning).await? {
            Some(id) => id.parse().map_err(|error: I::Err| anyhow::anyhow!("{error}")),
            None => bail!("no identifier begins with {beginning}"),
        }
    }

    /// Has a flag say all of the identifier, if it was given.
    ///
    /// # Errors
    /// As [`Self::whole`].
    pub async fn complete(given: &mut Option<Self>, client: &Client) -> anyhow::Result<()> {
        if let Some(short) = given.take() {
            *given = Some(Self::Whole(short.whole(client).await?));
        }
        Ok(())
    }
}

impl<I: Serialize> Serialize for Short<I> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(id) => id.serialize(to),
            Self::Beginning(beginning) => beginning.serialize(to),
        }
    }
}

/// What is meant by a text that may be a name or an identifier: where just one identifier begins
/// with it, that.
///
/// # Errors
/// When more than one does, or the host does not answer.
pub async fn named(client: &Client, text: &str) -> anyhow::Result<String> {
    let found = if may_begin(text) { find(client, text).await? } else { None };
    Ok(found.unwrap_or_else(|| text.to_owned()))
}

/// The same of what is a name if it is no identifier.
///
/// # Errors
/// As [`named`].
pub async fn name(client: &Client, name: &Name) -> anyhow::Result<Name> {
    Ok(named(client, name.as_str()).await?.parse()?)
}

/// The same of flags that may be absent.
///
/// # Errors
/// As [`named`].
pub async fn complete<T>(given: &mut Option<T>, client: &Client) -> anyhow::Result<()>
where
    T: Display + FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    if let Some(text) = given {
        *text = named(client, &text.to_string()).await?.parse()?;
    }
    Ok(())
}

/// Whether a text looks like the beginning of an identifier.
fn may_begin(text: &str) -> bool {
    text.split_once('_').is_some_and(|(sort, digits)| {
        NAMED.contains(&sort)
            && (DIGITS_MIN..DIGITS).contains(&digits.len())
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

async fn find(client: &Client, beginning: &str) -> anyhow::Result<Option<String>> {
    let Found { ids } = client.get(&["ids", beginning], &()).await?.read()?;
    match ids.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(id.clone())),
        [one, other, ..] => bail!(
            "more than one identifier begins with {beginning}, such as {one} and {other}: say more of it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RunId;

    #[test]
    fn a_beginning_is_one_of_its_sort() {
        let whole = format!("run_{}", "0a".repeat(16));
        assert!(matches!(whole.parse(), Ok(Short::<RunId>::Whole(_))));
        let short: Short<RunId> = "run_01a2".parse().unwrap();
        assert_eq!(short, Short::Beginning("run_01a2".to_owned()));
        let too_long = format!("{whole}0");
        for bad in ["run_01a", "run_", "run", "01a2", "evt_01a2", "run_01ax", "run_01A2", &too_long]
        {
            let read: Result<Short<RunId>, _> = bad.parse();
            assert!(read.is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_no_beginning() {
        let whole = format!("job_{}", "0a".repeat(16));
        for (text, wanted) in [
            ("job_01a2", true),
            ("job_01a", false),
            ("job_nightly", false),
            ("my_01a2", false),
            ("nightly", false),
            (&whole, false),
        ] {
            assert_eq!(may_begin(text), wanted, "{text}");
        }
    }
}
