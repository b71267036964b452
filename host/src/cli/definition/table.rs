//! A definition's table, put together from a file, flags and single settings; the later win.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value};

use crate::config::to_json;
use crate::model::json;

type Fields = Map<String, Value>;

/// Where a table comes from beside flags.
#[derive(Debug, Args)]
pub(super) struct Table {
    /// Read the definition from this TOML or JSON file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Set a field, such as `retry.max_retries=5`. The value is TOML, or else text. Repeatable.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

/// What a patch takes away.
#[derive(Debug, Args)]
pub(super) struct Unset {
    /// Remove a field, so that its default applies. Repeatable.
    #[arg(long, value_name = "PATH")]
    unset: Vec<String>,
}

impl Table {
    /// The whole table.
    pub(super) fn read(&self, flags: Fields) -> anyhow::Result<Fields> {
        let mut table = match &self.file {
            Some(file) => read(file).with_context(|| format!("cannot use {}", file.display()))?,
            None => Fields::new(),
        };
        lay_over(&mut table, flags);
        for setting in &self.set {
            let set = parse_setting(setting);
            lay_over(&mut table, set.with_context(|| format!("cannot set `{setting}`"))?);
        }
        Ok(table)
    }
}

impl Unset {
    /// Puts nulls into a patch.
    pub(super) fn add_to(&self, patch: &mut Fields) -> anyhow::Result<()> {
        for path in &self.unset {
            lay_over(patch, at_path(path, Value::Null)?);
        }
        Ok(())
    }
}

fn read(file: &Path) -> anyhow::Result<Fields> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file)?;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if text.trim_start().starts_with('{') {
        return Ok(json::read(text.as_bytes())?);
    }
    fields(toml::from_str(text)?)
}

/// `path=value` as TOML reads it; where the value is none, as text.
fn parse_setting(setting: &str) -> anyhow::Result<Fields> {
    let Some((path, value)) = setting.split_once('=') else { bail!("there is no `=` in it") };
    match toml::from_str(setting) {
        Ok(table) => fields(table),
        Err(_) => at_path(path, value.into()),
    }
}

/// A table that has nothing but this, at a path as TOML writes it.
fn at_path(path: &str, value: Value) -> anyhow::Result<Fields> {
    let table = toml::from_str(&format!("{path} = 0"));
    let mut table = fields(table.with_context(|| format!("`{path}` is not a path"))?)?;
    table.values_mut().for_each(|inner| fill(inner, &value));
    Ok(table)
}

fn fields(table: toml::Table) -> anyhow::Result<Fields> {
    match to_json(table.into()) {
        Value::Object(fields) => Ok(fields),
        _ => bail!("it is not a table"),
    }
}

/// As a patch does it, but for nulls, which stay.
fn lay_over(table: &mut Fields, over: Fields) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => lay_over(below, above),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

fn fill(value: &mut Value, with: &Value) {
    match value {
        Value::Object(table) => table.values_mut().for_each(|inner| fill(inner, with)),
        leaf => *leaf = with.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_toml_or_text() {
        for (setting, wanted) in [
            ("enabled=false", json!({ "enabled": false })),
            ("agent=triager", json!({ "agent": "triager" })),
            ("agent=\"triager\"", json!({ "agent": "triager" })),
            ("retry.max_retries=5", json!({ "retry": { "max_retries": 5 } })),
            ("retry.base_delay=5s", json!({ "retry": { "base_delay": "5s" } })),
            ("points=[\"run.failed\"]", json!({ "points": ["run.failed"] })),
            ("filter.\"data.action\"=opened", json!({ "filter": { "data.action": "opened" } })),
            ("prompt=a = b", json!({ "prompt": "a = b" })),
            ("prompt=", json!({ "prompt": "" })),
            ("at=2026-01-01T00:00:00Z", json!({ "at": "2026-01-01T00:00:00Z" })),
        ] {
            assert_eq!(Value::Object(parse_setting(setting).unwrap()), wanted, "{setting}");
        }
        for bad in ["enabled", "a b=1", "=1"] {
            assert!(parse_setting(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_later_wins_and_nulls_stay() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.toml", "agent = \"a\"\n[schedule]\nevery = \"1m\"\n"),
            ("a.json", "{ \"agent\": \"a\", \"schedule\": { \"every\": \"1m\" } }"),
        ] {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            let set = vec!["agent=c".to_owned(), "schedule.timezone=UTC".to_owned()];
            let table = Table { file: Some(file), set };
            let flags = json!({ "agent": "b", "schedule": { "every": null, "cron": "@daily" } });
            let Value::Object(flags) = flags else { panic!() };
            let mut read = table.read(flags).unwrap();
            let schedule = json!({ "every": null, "cron": "@daily", "timezone": "UTC" });
            let wanted = json!({ "agent": "c", "schedule": schedule });
            assert_eq!(Value::Object(read.clone()), wanted);
            let unset = Unset { unset: vec!["retry.base_delay".to_owned()] };
            unset.add_to(&mut read).unwrap();
            assert_eq!(read["retry"], json!({ "base_delay": null }));
        }
    }
}
