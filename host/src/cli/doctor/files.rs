//! The data folder and what is in it, and the space there is.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use indicatif::HumanBytes;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access, geteuid};

use super::Finding;
use crate::config::ADMIN_KEY;

/// With less space than this, it is a matter of hours, in bytes.
const SPACE_LITTLE: u64 = 1 << 30;
/// With less than this, nothing goes any more, in bytes.
const SPACE_NONE: u64 = 32 << 20;

const DATA_FOLDER: &str = "data folder";

/// The data folder.
pub(super) fn data_folder(folder: &Path) -> Vec<Finding> {
    let place = folder.display();
    let found = match fs::metadata(folder) {
        Ok(found) => found,
        Err(_) if above(folder).is_some_and(is_writable) => {
            return vec![Finding::ok(DATA_FOLDER, format!("{place} is made at the first start"))];
        }
        Err(error) => {
            let advice =
                "make the folder for the host's user, with mode 0700, or set server.data_dir";
            return vec![Finding::error(DATA_FOLDER, format!("{place}: {error}"), advice)];
        }
    };
    let mut findings: Vec<Finding> = faults(folder, &found).into_iter().collect();
    findings.extend(key(&folder.join(ADMIN_KEY)));
    if findings.is_empty() {
        findings.push(Finding::ok(DATA_FOLDER, format!("{place} is this user's alone")));
    }
    findings.extend(space(DATA_FOLDER, folder));
    findings
}

fn faults(folder: &Path, found: &Metadata) -> Option<Finding> {
    let (place, owner) = (folder.display(), found.uid());
    if owner != geteuid().as_raw() {
        let what = format!("{place} belongs to user {owner}, and this is user {}", geteuid());
        let advice = format!("run this as the host's user, or say: chown -R USER {place}");
        return Some(Finding::error(DATA_FOLDER, what, advice));
    }
    if !is_writable(folder) {
        let advice = format!("say: chmod 700 {place}; or mount it writable");
        return Some(Finding::error(DATA_FOLDER, format!("{place} cannot be written to"), advice));
    }
    (found.mode() & 0o077 != 0).then(|| {
        let what = format!("others can look into {place} (mode {:o})", found.mode() & 0o777);
        Finding::warning(DATA_FOLDER, what, format!("say: chmod 700 {place}"))
    })
}

fn key(file: &Path) -> Option<Finding> {
    let (found, place) = (fs::metadata(file).ok()?, file.display());
    (found.mode() & 0o077 != 0).then(|| {
        let what = format!("others can read {place}, which is an administrator's key");
        let advice = "a start takes it from them; they may have it: remove it for another";
        Finding::warning(DATA_FOLDER, what, advice)
    })
}

/// The space that is left where a file is, when it is little.
pub(super) fn space(subject: &'static str, place: &Path) -> Option<Finding> {
    let place = place.ancestors().find(|folder| folder.exists())?;
    let stat = statvfs(place).ok()?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let what = format!("{} are free at {}", HumanBytes(free), place.display());
    match free {
        free if free < SPACE_NONE => {
            let advice = "make room: senders hear 503 until there is some";
            Some(Finding::error(subject, what, advice))
        }
        free if free < SPACE_LITTLE => {
            let advice = "make room, or keep less: see [retention]";
            Some(Finding::warning(subject, what, advice))
        }
        _ => None,
    }
}

/// The nearest folder above that is there.
pub(super) fn above(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).map(or_here).find(|folder| folder.is_dir())
}

fn or_here(path: &Path) -> &Path {
    if path == Path::new("") { Path::new(".") } else { path }
}

/// Whether this user may make files in it.
pub(super) fn is_writable(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}
