//! The partials of a host: those of `[prompts]`, and the files of `prompts.d` beside `hillock.toml`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::content;
use crate::model::problem::Problems;
use crate::model::prompts::{Prompts, check_name};

/// The folder beside `hillock.toml` whose `*.hbs` hold a partial each, called as the file is.
const FOLDER_NAME: &str = "prompts.d";
/// The longest partial, in bytes; no prompt is longer.
const PARTIAL_BYTES_MAX: u64 = 256 * 1024;
/// All of them together, in bytes.
const ALL_BYTES_MAX: usize = 1024 * 1024;

/// All partials, those of the table and those in the folder, and what was passed over there.
pub(super) fn read(
    table: Option<toml::Value>,
    folder: &Path,
    problems: &mut Problems,
    passed_over: &mut Problems,
) -> Prompts {
    let mut partials = BTreeMap::new();
    let mut bytes = 0;
    let tables = of_table(table, problems);
    for (path, name, text) in tables.into_iter().chain(files(folder, problems, passed_over)) {
        bytes += text.len();
        if let Err(reason) = check_name(&name) {
            problems.add(path, reason);
        } else if text.len() as u64 > PARTIAL_BYTES_MAX {
            problems.add(path, format!("has more than {PARTIAL_BYTES_MAX} bytes"));
        } else if partials.insert(name.clone(), text).is_some() {
            problems.add(path, format!("the partial `{name}` stands in [prompts], too"));
        }
    }
    if bytes > ALL_BYTES_MAX {
        problems.add("prompts", format!("have more than {ALL_BYTES_MAX} bytes together"));
    }
    Prompts::new(partials)
}

/// Where each partial is, its name and its text.
type Found = Vec<(String, String, String)>;

fn of_table(table: Option<toml::Value>, problems: &mut Problems) -> Found {
    let table = match table {
        None => return Vec::new(),
        Some(toml::Value::Table(table)) => table,
        Some(_) => {
            problems.add("prompts", "is not a table: write [prompts] and NAME = \"text\" below");
            return Vec::new();
        }
    };
    let mut found = Vec::with_capacity(table.len());
    for (name, value) in table {
        let path = format!("prompts.{name}");
        match value {
            toml::Value::String(text) => found.push((path, name, text)),
            _ => problems.add(path, "is not text"),
        }
    }
    found
}

fn files(folder: &Path, problems: &mut Problems, passed_over: &mut Problems) -> Found {
    let dir = folder.join(FOLDER_NAME);
    let mut names = match names(&dir) {
        Ok(names) => names,
        Err(error) => {
            problems.add(FOLDER_NAME, format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    names.sort();
    let mut files = Vec::with_capacity(names.len());
    for file in names {
        let path = format!("{FOLDER_NAME}/{file}");
        let Some(name) = file.strip_suffix(".hbs").filter(|_| !file.starts_with(['.', '#', '~']))
        else {
            passed_over.add(path, "is passed over: it is hidden, or a backup");
            continue;
        };
        match content::read_text(&dir.join(&file), PARTIAL_BYTES_MAX) {
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
                files.push((path, name.to_owned(), text));
            }
            Err(error) => problems.add(path, format!("cannot be read: {error}")),
        }
    }
    files
}

/// The names in the folder that say `.hbs`; none where there is no folder.
fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains(".hbs") {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(folder: &Path, table: &[(&str, &str)]) -> Result<Prompts, String> {
        let table = table.iter().map(|(name, text)| ((*name).to_owned(), (*text).into()));
        let table = toml::Value::Table(table.collect());
        let (mut problems, mut passed_over) = (Problems::default(), Problems::default());
        let prompts = read(Some(table), folder, &mut problems, &mut passed_over);
        assert!(!passed_over.to_string().contains("prompts.d/b.hbs:"), "{passed_over}");
        problems.unless_any(prompts).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_table_and_a_folder_make_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(told(folder.path(), &[]), Ok(Prompts::default()));
        let dir = folder.path().join(FOLDER_NAME);
        std::fs::create_dir(&dir).unwrap();
        for (file, text) in [
            ("b.hbs", "\u{feff}B {{kind}}\n"),
            (".b.hbs.hbs", "hidden"),
            ("b.hbs~", "old"),
            ("notes.md", "no"),
        ] {
            std::fs::write(dir.join(file), text).unwrap();
        }
        let both = told(folder.path(), &[("a", "A")]).unwrap();
        assert!(both.compose("{{> a}}{{> b}}").text.contains("\nA{{/inline}}"));
        assert!(both.compose("{{> b}}").text.contains("\nB {{kind}}\n{{/inline}}"));
        let twice = told(folder.path(), &[("b", "B")]).unwrap_err();
        assert!(twice.contains("prompts.d/b.hbs: the partial `b` stands in [prompts], too"));
        let odd = told(folder.path(), &[("a b", "B")]).unwrap_err();
        assert!(odd.contains("prompts.a b: a partial's name has"), "{odd}");

        nix::unistd::mkfifo(&dir.join("pipe.hbs"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(dir.join("long.hbs"), "x".repeat(256 * 1024 + 1)).unwrap();
        let refused = told(folder.path(), &[]).unwrap_err();
        for file in ["pipe", "long"] {
            assert!(
                refused.contains(&format!("prompts.d/{file}.hbs: cannot be read: it ")),
                "{refused}"
            );
        }
    }
}
