//! The definitions of a host: those of `hillock.toml`, and those of the files in `automations.d`
//! beside it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::definitions::{self, Declared};
use super::{ConfigError, Syntax};
use crate::model::definition::{DefinitionKind, Plugin};
use crate::model::problem::Problems;

/// The folder beside `hillock.toml` whose `*.toml` hold definitions, too.
pub(super) const FOLDER_NAME: &str = "automations.d";

/// Everything defined in files.
#[derive(Debug)]
pub(super) struct Automations {
    pub(super) declared: Vec<Declared>,
    pub(super) plugins: Vec<Plugin>,
}

/// A file's lists of definitions: what each is, the prefix of its paths, and its tables.
type Lists = Vec<(DefinitionKind, String, Vec<Value>)>;

/// Parses the definitions in `main` and in these further files.
pub(super) fn parse(
    mut main: toml::Table,
    others: Vec<(String, toml::Table)>,
    folder: &Path,
    problems: &mut Problems,
) -> Automations {
    let plugins = take(&mut main, "plugins", "", problems);
    let plugins = definitions::plugins(plugins, folder, problems);
    let mut lists = lists_of(&mut main, "", problems);
    for (name, mut table) in others {
        let prefix = format!("{name}: ");
        lists.extend(lists_of(&mut table, &prefix, problems));
        for key in table.keys() {
            problems.add(format!("{prefix}{key}"), "only lists of definitions stand in this file");
        }
    }
    let declared = definitions::parse_all(lists, folder, problems);
    Automations { declared, plugins }
}

/// The further files of a folder of configuration, by name.
pub(super) fn read(folder: &Path) -> Result<Vec<(String, toml::Table)>, ConfigError> {
    let dir = folder.join(FOLDER_NAME);
    let unreadable = |path: &Path, source| ConfigError::Unreadable { path: path.into(), source };
    // Only a folder that is not there has no files: what cannot be read must not count as empty, or
    // everything defined in it would be deleted.
    if let Err(error) = std::fs::symlink_metadata(&dir)
        && error.kind() == std::io::ErrorKind::NotFound
    {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&dir).map_err(|source| unreadable(&dir, source))?;
    let paths: std::io::Result<Vec<PathBuf>> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(|source| unreadable(&dir, source))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut tables = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|source| unreadable(&path, source))?;
        let table = toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path: path.clone(),
            source: Syntax::of(&error, &text),
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        tables.push((format!("{FOLDER_NAME}/{name}"), table));
    }
    Ok(tables)
}

fn lists_of(table: &mut toml::Table, prefix: &str, problems: &mut Problems) -> Lists {
    DefinitionKind::ALL
        .iter()
        .map(|(kind, _, plural)| (*kind, prefix.to_owned(), take(table, plural, prefix, problems)))
        .collect()
}

fn take(table: &mut toml::Table, key: &str, prefix: &str, problems: &mut Problems) -> Vec<Value> {
    match table.remove(key) {
        None => Vec::new(),
        Some(toml::Value::Array(items)) => items.into_iter().map(to_json).collect(),
        Some(_) => {
            problems.add(format!("{prefix}{key}"), format!("is not a list: write [[{key}]]"));
            Vec::new()
        }
    }
}

/// TOML as JSON; a date is its text.
pub fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(instant) => instant.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, to_json(value))).collect()
        }
    }
}
