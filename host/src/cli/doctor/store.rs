//! The store: whether it answers, whose it is, and whether its clock was this one.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use nix::unistd::geteuid;

use super::Finding;
use super::files::{above, is_writable, space};
use crate::clock::Clock;
use crate::model::time::Time;
use crate::store::look::{self, Seen};
use crate::store::{StoreError, backup};

const STORE: &str = "store";
/// How far the clocks of replicas may be apart.
const APART_MAX: Duration = Duration::from_secs(5);

/// Looks at the store at `url`.
pub(super) async fn look(url: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    if let Some(file) = backup::file(url) {
        findings.extend(file_of(file));
        findings.extend(space(STORE, file));
    }
    match look::look(url).await {
        Ok(seen) => {
            findings.push(tables(&seen));
            findings.extend(seen.latest.and_then(|latest| ahead(latest, Clock.now())));
        }
        Err(error) => findings.push(unreachable(error)),
    }
    findings
}

fn file_of(file: &Path) -> Option<Finding> {
    let place = file.display();
    let Ok(found) = fs::metadata(file) else {
        let folder = above(file)?;
        return (!is_writable(folder)).then(|| {
            let what = format!("{place} cannot be made: {} is not writable", folder.display());
            Finding::error(STORE, what, "have the host's user own the folder, or set store.url")
        });
    };
    if found.uid() != geteuid().as_raw() && !geteuid().is_root() {
        let what = format!("{place} belongs to user {}", found.uid());
        let advice = "run this as the host's user, or have it own the store, its -wal and its -shm";
        return Some(Finding::error(STORE, what, advice));
    }
    (found.mode() & 0o077 != 0).then(|| {
        let what = format!("others can read {place} (mode {:o})", found.mode() & 0o777);
        Finding::warning(STORE, what, format!("say: chmod 600 {place} {place}-wal {place}-shm"))
    })
}

fn tables(seen: &Seen) -> Finding {
    match seen.version {
        None => Finding::ok(STORE, "answers, and its tables are made at the first start"),
        Some(version) if seen.is_to_be_migrated() => {
            let wanted = seen.wanted;
            let what =
                format!("its tables are of version {version}, and a start makes {wanted} of it");
            let advice =
                "earlier versions of Hillock cannot use it then: `hillock backup FILE` first";
            Finding::warning(STORE, what, advice)
        }
        Some(version) => {
            Finding::ok(STORE, format!("answers; its tables are of version {version}"))
        }
    }
}

/// Something that happened later than now was noted by another clock, or by this one when it was
/// wrong.
fn ahead(latest: Time, now: Time) -> Option<Finding> {
    let by = latest.since(now);
    (by > APART_MAX).then(|| {
        let by = humantime::format_duration(Duration::from_secs(by.as_secs()));
        let what = format!("its latest event was received {by} from now, at {latest}");
        let advice = "this clock is behind, or another host's was ahead: set the clocks by NTP";
        Finding::warning("clock", what, advice)
    })
}

fn unreachable(error: StoreError) -> Finding {
    let advice = match &error {
        StoreError::Newer { .. } => "use that version of Hillock, or restore a backup",
        StoreError::Open { .. } | StoreError::Silent { .. } => {
            "see that the database runs and that store.url is right, with its user and password"
        }
        _ => "see what the database says of it",
    };
    Finding::error(STORE, format!("{:#}", anyhow::Error::new(error)), advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn what_is_to_come_was_noted_by_another_clock() {
        let now = Time::from_millis(1_000_000_000).unwrap();
        assert!(ahead(now, now).is_none());
        assert!(ahead(now + APART_MAX, now).is_none());
        let found = ahead(now + Duration::from_secs(3600), now).unwrap();
        assert_eq!(found.state, State::Warning);
        assert!(found.what.contains("1h from now"), "{}", found.what);
    }
}
