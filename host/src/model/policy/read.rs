//! A policy as somebody wrote it, field by field: everything wrong is noted at its path.

use serde_json::{Map, Value};

use super::{
    Ask, Attempts, HostKind, PolicyDraft, Resources, RuntimeType, Security, WorkspaceAccess,
};
use crate::model::problem::Problems;

/// The most attempts of a task.
const ATTEMPTS_MAX: u64 = 100;
/// The longest wait between them: a day.
const DELAY_MS_MAX: u64 = 24 * 60 * 60 * 1000;

pub(super) fn draft(value: &Value, path: &str, problems: &mut Problems) -> Option<PolicyDraft> {
    let mut table = Table::open(value, path, problems)?;
    let draft = PolicyDraft {
        host: table.word("host", HostKind::ALL),
        security: table.word("security", Security::ALL),
        ask: table.word("ask", Ask::ALL),
        runtime_type: table.word("runtime_type", RuntimeType::ALL),
        workspace_access: table.word("workspace_access", WorkspaceAccess::ALL),
        network_enabled: table.flag("network_enabled"),
        interactive: table.flag("interactive"),
        resources: table.table("resources", resources).unwrap_or_default(),
        retry: table.table("retry", attempts),
    };
    table.close().then_some(draft)
}

/// `cpu` is a number of cores, `memory` a number of bytes or a text such as `512MiB`.
fn resources(table: &mut Table<'_>) -> Resources {
    Resources {
        cpu_millis: table.parsed("cpu", "a number of cores above 0", cores),
        memory_bytes: table.parsed("memory", "a size such as \"512MiB\"", bytes),
        gpu: table.whole("gpu", 0, 64).and_then(|n| u32::try_from(n).ok()),
    }
}

fn attempts(table: &mut Table<'_>) -> Attempts {
    let default = super::Policy::default().retry;
    let attempts = table.whole("attempts", 1, ATTEMPTS_MAX).and_then(|n| u32::try_from(n).ok());
    Attempts {
        attempts: attempts.unwrap_or(default.attempts),
        delay_ms: table.whole("delay_ms", 0, DELAY_MS_MAX).unwrap_or(default.delay_ms),
    }
}

fn cores(value: &Value) -> Option<u32> {
    let millis = (value.as_f64()? * 1000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    (1.0..=1_000_000.0).contains(&millis).then_some(millis as u32)
}

fn bytes(value: &Value) -> Option<u64> {
    let Some(text) = value.as_str() else { return value.as_u64().filter(|bytes| *bytes > 0) };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

/// One table, what was read already taken out.
struct Table<'p> {
    path: &'p str,
    left: Map<String, Value>,
    sound: bool,
    problems: &'p mut Problems,
}

impl<'p> Table<'p> {
    fn open(value: &Value, path: &'p str, problems: &'p mut Problems) -> Option<Self> {
        let Value::Object(left) = value else {
            problems.add(path, "is not a table");
            return None;
        };
        Some(Self { path, left: left.clone(), sound: true, problems })
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        wanted: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.left.remove(name).filter(|value| !value.is_null())?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.wrong(name, &format!("is {value}, not {wanted}"));
        }
        parsed
    }

    fn word<T: Copy>(&mut self, name: &str, all: &[(T, &str)]) -> Option<T> {
        let words: Vec<&str> = all.iter().map(|(_, word)| *word).collect();
        let wanted = format!("one of {}", words.join(", "));
        self.parsed(name, &wanted, |value| {
            let text = value.as_str()?;
            all.iter().find(|(_, word)| *word == text).map(|(value, _)| *value)
        })
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, "true or false", Value::as_bool)
    }

    fn whole(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        let wanted = format!("a whole number from {min} to {max}");
        self.parsed(name, &wanted, |value| value.as_u64().filter(|n| (min..=max).contains(n)))
    }

    fn table<T>(&mut self, name: &str, read: impl FnOnce(&mut Table<'_>) -> T) -> Option<T> {
        let value = self.left.remove(name).filter(|value| !value.is_null())?;
        let path = format!("{}.{name}", self.path);
        let inner = Table::open(&value, &path, self.problems);
        let (read, sound) = match inner {
            Some(mut inner) => {
                let read = read(&mut inner);
                (Some(read), inner.close())
            }
            None => (None, false),
        };
        self.sound &= sound;
        read
    }

    fn wrong(&mut self, name: &str, reason: &str) {
        self.sound = false;
        self.problems.add(format!("{}.{name}", self.path), reason);
    }

    /// What is left is unknown. Whether all was right.
    fn close(mut self) -> bool {
        for name in std::mem::take(&mut self.left).keys() {
            self.wrong(name, "is unknown");
        }
        self.sound
    }
}
