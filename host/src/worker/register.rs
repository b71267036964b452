//! Which programs run, in a file of the worker's data folder: a worker that was killed is followed by
//! one that ends what is left of them before it takes work, so that no program runs beside its own
//! successor. Their keepers do so, too, and sooner; this is for what escaped them.
//!
//! A line is added when a program begins and when it has ended. The file is locked by the worker that
//! writes to it; another one with the same folder has none. A program is known by its command and by
//! which handing out of that it is: another worker of this machine may have the command by now.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::iter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};
use tokio::time::sleep;

use super::processes::{self, Process};
use crate::model::id::CommandId;

/// The file's name.
const FILE: &str = "worker.programs";
/// From when on it is written anew, in bytes.
const BYTES_MAX: u64 = 256 * 1024;
/// How often what is left is killed, and how long between.
const ROUNDS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// The programs that run.
#[derive(Debug, Default)]
pub(super) struct Register(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    running: HashMap<i32, Entry>,
}

/// A program: the process that leads its session, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pid: i32,
    started: u64,
    command: String,
    /// How often the command had been handed out; earlier versions did not note it.
    dispatch: Option<String>,
}

/// A program that is noted for as long as this lives.
#[derive(Debug)]
pub(super) struct Noted {
    register: Arc<Register>,
    pid: i32,
}

impl Register {
    /// The register kept in `data_dir`, once nothing is left of the programs that it names.
    pub(super) async fn open(data_dir: &Path) -> Self {
        let mut file = match open(&data_dir.join(FILE)) {
            Ok(Some(file)) => file,
            Ok(None) => return Self::default(),
            Err(error) => {
                let folder = data_dir.display();
                tracing::warn!(%error, "failed to record running programs in {folder}");
                return Self::default();
            }
        };
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        end(&left(&text, &processes::boot())).await;
        let state = State { file: Some(file), running: HashMap::new() };
        let register = Self(Mutex::new(state));
        register.change(|state| state.rewrite());
        register
    }

    /// Notes a program that has just begun.
    pub(super) fn note(self: &Arc<Self>, pid: i32, command: &CommandId, dispatch: u32) -> Noted {
        let started = processes::find(Pid::from_raw(pid)).map_or(0, |process| process.started);
        let (command, dispatch) = (command.to_string(), Some(dispatch.to_string()));
        let entry = Entry { pid, started, command, dispatch };
        self.change(|state| {
            let line = entry.line();
            state.running.insert(pid, entry);
            state.append(&line)
        });
        Noted { register: Arc::clone(self), pid }
    }

    fn change(&self, change: impl FnOnce(&mut State) -> io::Result<()>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = change(&mut state) {
            tracing::warn!(%error, "failed to record running programs");
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let pid = self.pid;
        self.register.change(|state| {
            state.running.remove(&pid);
            state.append(&format!("ended {pid}\n"))
        });
    }
}

impl State {
    fn append(&mut self, line: &str) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(line.as_bytes())?;
        if file.metadata()?.len() > BYTES_MAX { self.rewrite() } else { Ok(()) }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let lines: String = self.running.values().map(Entry::line).collect();
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(format!("boot {}\n{lines}", processes::boot()).as_bytes())
    }
}

impl Entry {
    fn line(&self) -> String {
        let Self { pid, started, command, dispatch } = self;
        let dispatch = dispatch.as_ref().map(|dispatch| format!(" {dispatch}"));
        format!("begun {pid} {started} {command}{}\n", dispatch.unwrap_or_default())
    }

    /// Whether a process is this program, or belongs to it.
    fn has(&self, process: &Process) -> bool {
        let leader = || processes::find(Pid::from_raw(self.pid));
        let is_leader = process.pid.as_raw() == self.pid && process.started == self.started;
        let in_session = process.session.as_raw() == self.pid
            && leader().is_none_or(|leader| leader.started == self.started);
        is_leader || in_session || processes::was_given(process.pid, &self.marks())
    }

    /// What its environment, and that of all it starts, says.
    fn marks(&self) -> Vec<String> {
        let command = format!("HILLOCK_COMMAND_ID={}", self.command);
        let dispatch = self.dispatch.as_ref().map(|n| format!("HILLOCK_DISPATCH={n}"));
        iter::once(command).chain(dispatch).collect()
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).append(true).create(true).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// The programs that a register names as running, if it is of this start of the machine.
fn left(text: &str, boot: &str) -> Vec<Entry> {
    let mut lines = text.lines();
    if lines.next().and_then(|line| line.strip_prefix("boot ")) != Some(boot) {
        return Vec::new();
    }
    let mut running = HashMap::new();
    for line in lines {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["begun", pid, started, command, ref dispatch @ ..] => {
                let (Ok(pid), Ok(started)) = (pid.parse(), started.parse()) else { continue };
                let dispatch = dispatch.first().map(|&dispatch| dispatch.to_owned());
                let command = command.to_owned();
                running.insert(pid, Entry { pid, started, command, dispatch });
            }
            ["ended", pid] => {
                let _ = pid.parse().map(|pid: i32| running.remove(&pid));
            }
            _ => {}
        }
    }
    running.into_values().collect()
}

async fn end(programs: &[Entry]) {
    if programs.is_empty() {
        return;
    }
    for round in 0..ROUNDS {
        let alive = alive(programs);
        if alive.is_empty() {
            return;
        }
        if round == 0 {
            tracing::warn!(processes = alive.len(), "ending programs that an earlier worker left");
        }
        for process in alive {
            let _ = kill(process.pid, Signal::SIGKILL);
        }
        sleep(PAUSE).await;
    }
    tracing::error!(
        "failed to end programs of an earlier worker: they run on beside their successors"
    );
}

/// What lives of these programs; never this process or one that led to it.
fn alive(programs: &[Entry]) -> Vec<Process> {
    let all = processes::all();
    let mut own = vec![getpid()];
    while let Some(parent) = all.iter().find(|process| own.last() == Some(&process.pid)) {
        own.push(parent.parent);
    }
    let is_left = |process: &Process| {
        !process.is_dead
            && !own.contains(&process.pid)
            && programs.iter().any(|program| program.has(process))
    };
    all.into_iter().filter(is_left).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::model::time::Time;

    fn command(n: u8) -> CommandId {
        CommandId::mint(Time::from_millis(1_000).unwrap(), [n; 10])
    }

    #[test]
    fn what_ran_is_read_from_its_lines() {
        let text = "boot b\nbegun 7 70 cmd_a 1\nbegun 8 80 cmd_b 2\nnonsense\nended 7\nbegun 9";
        let (command, dispatch) = ("cmd_b".to_owned(), Some("2".to_owned()));
        let wanted = Entry { pid: 8, started: 80, command, dispatch };
        assert_eq!(left(text, "b"), std::slice::from_ref(&wanted));
        let earlier = "boot b\nbegun 8 80 cmd_b\n";
        assert_eq!(left(earlier, "b"), [Entry { dispatch: None, ..wanted }]);
        assert_eq!(left(text, "another"), []);
        assert_eq!(left("", "b"), []);
    }

    #[tokio::test]
    async fn what_a_killed_worker_left_is_ended_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let start = |id: &CommandId, dispatch: u32| {
            let mut sleep = Command::new("sleep");
            sleep.arg("600").env("HILLOCK_COMMAND_ID", id.to_string());
            sleep.env("HILLOCK_DISPATCH", dispatch.to_string()).spawn().unwrap()
        };
        let (mut noted, mut escaped, other) =
            (start(&command(1), 1), start(&command(2), 1), start(&command(3), 1));
        // Another worker's, which has the command since.
        let successor = start(&command(2), 2);
        let register = Arc::new(Register::open(folder.path()).await);
        let first = register.note(noted.id().try_into().unwrap(), &command(1), 1);
        // Of this one only its command is known.
        let second = register.note(i32::MAX, &command(2), 1);
        drop(register.note(other.id().try_into().unwrap(), &command(3), 1));
        // As a kill does: nothing is taken back.
        std::mem::forget((first, second));
        let second = Register::open(folder.path()).await;
        assert!(second.0.lock().unwrap().file.is_none(), "the first one has it");
        register.0.lock().unwrap().file = None;

        let _next = Register::open(folder.path()).await;
        for ended in [&mut noted, &mut escaped] {
            assert!(!ended.wait().unwrap().success());
        }
        for mut left_alone in [other, successor] {
            assert!(left_alone.try_wait().unwrap().is_none());
            left_alone.kill().unwrap();
            left_alone.wait().unwrap();
        }
    }
}
