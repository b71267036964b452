//! The definitions of a host: those of `hillock.toml`, and those of the files in `automations.d`
//! beside it.
//!
//! What editors, copies and mounts leave in that folder is nobody's definition: hidden files, backups,
//! folders and links that lead nowhere are passed over, and said where they look like one. What is
//! there and cannot be read must not count as empty, or all that it defines would be deleted.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use super::definitions::{self, Broken, Declared};
use super::{CONFIG_BYTES_MAX, Syntax, content};
use crate::model::definition::{DefinitionKind, Plugin};
use crate::model::near::guess;
use crate::model::problem::Problems;

/// The folder beside `hillock.toml` whose `*.toml` hold definitions, too.
pub(super) const FOLDER_NAME: &str = "automations.d";

/// Everything defined in files.
#[derive(Debug)]
pub(super) struct Automations {
    pub(super) declared: Vec<Declared>,
    /// What is left of those that are wrong.
    pub(super) broken: Vec<Broken>,
    pub(super) plugins: Vec<Plugin>,
    /// Whether all files could be read.
    pub(super) complete: bool,
}

/// The files of the folder.
#[derive(Debug, Default)]
pub(super) struct Files {
    tables: Vec<(String, toml::Table)>,
    /// Whether there is one that cannot be read.
    unread: bool,
    /// What was passed over.
    pub(super) passed_over: Problems,
}

/// A file's lists of definitions: what each is, the prefix of its paths, and its tables.
type Lists = Vec<(DefinitionKind, String, Vec<Value>)>;

/// Parses the definitions in the main file's table, which it takes out of it, and in these further
/// files.
pub(super) fn parse(
    main: Option<&mut toml::Table>,
    others: Files,
    folder: &Path,
    problems: &mut Problems,
) -> Automations {
    let complete = main.is_some() && !others.unread;
    let (mut lists, mut plugins) = (Lists::new(), Vec::new());
    if let Some(main) = main {
        plugins = take(main, "plugins", "", problems);
        lists = lists_of(main, "", problems);
    }
    let plugins = definitions::plugins(plugins, folder, problems);
    for (name, mut table) in others.tables {
        let prefix = format!("{name}: ");
        lists.extend(lists_of(&mut table, &prefix, problems));
        for key in table.keys() {
            let known = DefinitionKind::ALL.iter().map(|(_, _, plural)| *plural);
            let reason = "only lists of definitions stand in this file".to_owned();
            problems.add(format!("{prefix}{key}"), reason + &guess(known, key));
        }
    }
    let (declared, broken) = definitions::parse_all(lists, folder, complete, problems);
    Automations { declared, broken, plugins, complete }
}

/// The further files of a folder of configuration, by name.
pub(super) fn read(folder: &Path, problems: &mut Problems) -> Files {
    let mut files = Files::default();
    let dir = folder.join(FOLDER_NAME);
    let names = match names(&dir) {
        Ok(names) => names,
        Err(error) => {
            problems.add(FOLDER_NAME, format!("cannot be read: {error}"));
            files.unread = true;
            return files;
        }
    };
    for name in names {
        let file = dir.join(&name);
        let name = name.to_string_lossy();
        let path = format!("{FOLDER_NAME}/{name}");
        if let Some(why) = nobodys(&name).or_else(|| no_file(&file)) {
            files.passed_over.add(path, format!("is passed over: {why}"));
            continue;
        }
        match table(&file) {
            Ok(table) => files.tables.push((path, table)),
            Err(reason) => {
                problems.add(path, reason);
                files.unread = true;
            }
        }
    }
    files
}

/// The names in the folder that say TOML, in order; none where there is no folder.
fn names(dir: &Path) -> std::io::Result<Vec<OsString>> {
    if let Err(error) = std::fs::symlink_metadata(dir)
        && error.kind() == ErrorKind::NotFound
    {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name.to_string_lossy().contains(".toml") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Why a name is not one that somebody gave to definitions.
fn nobodys(name: &str) -> Option<&'static str> {
    if name.starts_with(['.', '#', '~']) {
        return Some("it is hidden, as an editor's lock or copy is");
    }
    (!name.ends_with(".toml")).then_some("it does not end in .toml, as a backup does not")
}

/// Why something is not there as a file.
fn no_file(file: &Path) -> Option<&'static str> {
    match std::fs::metadata(file) {
        Ok(found) if found.is_dir() => Some("it is a folder"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some("it is a link that leads nowhere")
        }
        _ => None,
    }
}

fn table(file: &Path) -> Result<toml::Table, String> {
    let text = content::read_text(file, CONFIG_BYTES_MAX);
    let text = text.map_err(|error| format!("cannot be read: {error}"))?;
    super::toml_of(&text).map_err(|error: Syntax| format!("is not TOML: {error}"))
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
