//! The processes of this machine, as `/proc` shows them.

use std::fs;
use std::path::PathBuf;

use nix::unistd::Pid;

/// What is told of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: Pid,
    /// Its parent's.
    pub(super) parent: Pid,
    /// Its session's.
    pub(super) session: Pid,
    /// When it started, in ticks since the machine did: with the number, it is this one and no other.
    pub(super) started: u64,
    /// Whether it has ended, and its parent has not looked yet.
    pub(super) is_dead: bool,
}

/// All of them.
pub(super) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let number = |name: std::ffi::OsString| name.to_str()?.parse().ok();
    entries.filter_map(|entry| find(Pid::from_raw(number(entry.ok()?.file_name())?))).collect()
}

/// The one with this number.
pub(super) fn find(pid: Pid) -> Option<Process> {
    read(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Those that have this parent.
pub(super) fn children_of(parent: Pid) -> Vec<Pid> {
    all()
        .into_iter()
        .filter(|process| process.parent == parent)
        .map(|process| process.pid)
        .collect()
}

/// Whether these variables stand in a process's environment; not when that cannot be read.
pub(super) fn was_given(pid: Pid, variables: &[String]) -> bool {
    let path = PathBuf::from(format!("/proc/{pid}/environ"));
    let given = fs::read(path).unwrap_or_default();
    let given: Vec<&[u8]> = given.split(|&byte| byte == 0).collect();
    variables.iter().all(|variable| given.contains(&variable.as_bytes()))
}

/// This start of the machine; numbers of another say nothing.
pub(super) fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// `PID (NAME) STATE PARENT GROUP SESSION …`, as proc(5) has it; a name may hold anything.
fn read(pid: Pid, text: &str) -> Option<Process> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse().ok().map(Pid::from_raw);
    Some(Process {
        pid,
        parent: number(1)?,
        session: number(3)?,
        started: fields.get(19)?.parse().ok()?,
        is_dead: matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use nix::unistd::{getpid, getppid, getsid};

    use super::*;

    #[test]
    fn this_process_is_told_of() {
        let this = find(getpid()).unwrap();
        assert_eq!((this.pid, this.parent), (getpid(), getppid()));
        assert_eq!(this.session, getsid(None).unwrap());
        assert!(this.started > 0 && !this.is_dead);
        assert!(children_of(getppid()).contains(&getpid()));
    }

    #[test]
    fn a_name_may_hold_anything() {
        let text = "7 (a) b (c) S 3 7 5 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4711 1 1";
        let (pid, [parent, session]) = (Pid::from_raw(7), [3, 5].map(Pid::from_raw));
        let wanted = Process { pid, parent, session, started: 4711, is_dead: false };
        assert_eq!(read(pid, text), Some(wanted));
        assert_eq!(read(pid, "7 (a"), None);
    }
}
