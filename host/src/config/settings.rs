//! The tables of settings, read key by key: one that is wrong keeps nobody from hearing of the next.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::definitions::fields::unknown;
use crate::model::problem::Problems;

/// The settings of `[name]`, taken out of the file; what is wrong has its default.
pub(super) fn section<T: DeserializeOwned + Default>(
    file: &mut Table,
    name: &str,
    problems: &mut Problems,
) -> T {
    file.remove(name).map_or_else(T::default, |value| nested(name, value, problems))
}

/// The settings of the table at `path`; what is wrong has its default. Each has to be one that a
/// table may lack.
pub(super) fn nested<T: DeserializeOwned + Default>(
    path: &str,
    value: Value,
    problems: &mut Problems,
) -> T {
    let Value::Table(table) = value else {
        problems.add(path, format!("is not a table: write [{path}]"));
        return T::default();
    };
    let mut sound = Table::new();
    for (key, value) in table {
        let alone = Table::from_iter([(key.clone(), value.clone())]);
        match alone.try_into::<T>() {
            Ok(_) => drop(sound.insert(key, value)),
            Err(error) => problems.add(format!("{path}.{key}"), in_words(&key, error.message())),
        }
    }
    sound.try_into().unwrap_or_default()
}

/// What serde says, in the words of the other errors and without the value, which may be a secret.
fn in_words(key: &str, said: &str) -> String {
    let (what, wanted) = said.split_once(", expected ").unwrap_or((said, ""));
    if what == format!("unknown field `{key}`") {
        let known: Vec<&str> = wanted.split('`').skip(1).step_by(2).collect();
        return unknown(&known, key);
    }
    match wanted {
        "u32" | "u64" | "usize" => "is not a whole number, or not one that can stand here".into(),
        "i64" => "is not a whole number".into(),
        "a string" | "path string" => "is not text".into(),
        "a boolean" => "is not true or false".into(),
        "a sequence" => "is not a list".into(),
        "a map" => "is not a table".into(),
        "" => said.to_owned(),
        wanted => {
            format!("is none of {}", wanted.trim_start_matches("one of ").replace(" or ", ", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        url: Option<String>,
        count: Option<u32>,
        flag: Option<bool>,
        #[serde(default)]
        list: Vec<String>,
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }

    #[test]
    fn everything_wrong_is_said_and_the_rest_is_taken() {
        let text = "[s]\nuri = \"hunter2\"\ncount = -1\nflag = \"yes\"\nlist = 1\nurl = \"u\"\n\
                    colour = 1\nlabels = { a = 1 }";
        let (mut file, mut problems) = (toml::from_str(text).unwrap(), Problems::default());
        let settings: Settings = section(&mut file, "s", &mut problems);
        assert_eq!(settings.url.as_deref(), Some("u"));
        let Settings { count, flag, list, labels, .. } = settings;
        assert_eq!((count, flag, list.len(), labels.len()), (None, None, 0, 0));
        let mut said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        said.sort();
        assert_eq!(
            said,
            [
                "s.colour: is unknown; fields here are url, count, flag, list, labels",
                "s.count: is not a whole number, or not one that can stand here",
                "s.flag: is not true or false",
                "s.labels: is not text",
                "s.list: is not a list",
                "s.uri: is unknown; did you mean `url`?",
            ]
        );
        let mut file = toml::from_str("s = 1").unwrap();
        let mut problems = Problems::default();
        let _: Settings = section(&mut file, "s", &mut problems);
        assert_eq!(problems.to_string(), "s: is not a table: write [s]");
    }
}
