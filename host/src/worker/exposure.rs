//! What programs could do to the host, to the worker and to one another, in sentences for whoever
//! runs them: said at every start, and by whoever asks.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{AccessFlags, Uid, User, access, geteuid};

use super::WorkerError;
use super::account::Account;
use super::isolation::{Isolation, account};
use super::means::Means;
use super::register::Register;
use crate::config::{self, Private, Program, Worker};
use crate::environment;

/// What lets whoever may write to it do all that root may.
const ROOTS_DOORS: [&str; 4] = [
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/snapd.socket",
];

/// What the programs of a worker could do on this machine that they should not.
///
/// # Errors
/// When the worker could not begin as it is configured.
pub async fn find(
    worker: &Worker,
    data_dir: &Path,
    private: &Private,
) -> Result<Vec<String>, WorkerError> {
    let means = Means::find(environment::var_os("PATH").as_deref()).await;
    let private_now = Arc::new(private.clone());
    let private_now = Arc::new(move || (*private_now).clone());
    let register = Arc::new(Register::default());
    let isolation = Isolation::new(worker, means, None, data_dir, private_now, register)?;
    Ok(of(worker, &isolation, data_dir, private))
}

/// The same, with what a worker has found out already.
pub(super) fn of(
    worker: &Worker,
    isolation: &Isolation,
    data_dir: &Path,
    private: &Private,
) -> Vec<String> {
    match isolation.is_on() {
        true => despite_isolation(worker, isolation),
        false => without_isolation(worker, data_dir, private),
    }
}

fn despite_isolation(worker: &Worker, isolation: &Isolation) -> Vec<String> {
    let mut said = Vec::new();
    let own = by_account(worker, |account| account.is_none());
    if geteuid().is_root() && !own.is_empty() {
        said.push(format!(
            "{} run as root: they can read and change what is root's on this machine, such as \
             /etc/shadow and what root's services start from, though nothing of the host's. Let them \
             be another user's: `[worker] user`",
            programs(&own)
        ));
    }
    let open = |program: &&Program| {
        let account = account(worker, program).ok().flatten();
        let dir = program.dir.as_deref();
        isolation.open(worker, program, dir, account.as_ref())
    };
    let open: Vec<&Program> = worker.programs.iter().filter(open).collect();
    if !open.is_empty() {
        said.push(format!(
            "{} can see the configuration's folder, because they work there or everybody does: all but \
             hillock.toml, automations.d, the store, and secrets and data where they are named. Give \
             each a `dir` of its own, and the configuration a folder of its own",
            programs(&open)
        ));
    }
    said.extend(doors(&own));
    said
}

fn without_isolation(worker: &Worker, data_dir: &Path, private: &Private) -> Vec<String> {
    let why = match worker.isolation {
        config::Isolation::Off => "isolation is off",
        _ => "bubblewrap (`bwrap`) does not work on this machine",
    };
    let mut said = Vec::new();
    let own = by_account(worker, |account| account.is_none());
    if !own.is_empty() {
        let (who, more) = match geteuid().is_root() {
            true => ("root".to_owned(), "read this process's memory, "),
            false => (format!("the user {}, as this process does,", name(geteuid())), ""),
        };
        said.push(format!(
            "{} can be administrators of this host: {why}, and they run as {who} who can {more}read \
             {} and every secret, change the store and hillock.toml, and stop or end this process and \
             one another's. {}",
            programs(&own),
            data_dir.join(config::ADMIN_KEY).display(),
            remedy()
        ));
    }
    for (program, account) in others(worker) {
        let seen: Vec<String> = seen(&account, private);
        if !seen.is_empty() {
            said.push(format!(
                "{} can read {}: {why}, and the modes of these allow it. Close them with chmod",
                programs(&[program]),
                seen.join(", ")
            ));
        }
    }
    said.extend(beside_one_another(worker));
    said.extend(doors(&own));
    said
}

fn remedy() -> &'static str {
    match geteuid().is_root() {
        true => {
            "Install bubblewrap, let it make namespaces, or let them be another user's: `[worker] user`"
        }
        false => {
            "Install bubblewrap and let it make user namespaces, or run the worker on a machine or as \
             a user of its own (`hillock worker`)"
        }
    }
}

/// Programs of one user reach one another.
fn beside_one_another(worker: &Worker) -> Option<String> {
    let others = others(worker);
    let shares = |one: &Account, at: usize| {
        others.iter().enumerate().any(|(i, (_, other))| i != at && other == one)
    };
    let sharing = others.iter().enumerate().filter(|(i, (_, account))| shares(account, *i));
    let sharing: Vec<&Program> = sharing.map(|(_, (program, _))| *program).collect();
    (!sharing.is_empty()).then(|| {
        format!(
            "{} are one user's: each can read what the others are given and write, and end them. Give \
             each a `user` of its own, or install bubblewrap",
            programs(&sharing)
        )
    })
}

fn doors(own: &[&Program]) -> Option<String> {
    let open = |door: &&&str| access(Path::new(*door), AccessFlags::W_OK).is_ok();
    let open: Vec<&str> = ROOTS_DOORS.iter().filter(open).copied().collect();
    (!own.is_empty() && !open.is_empty()).then(|| {
        format!("{} can do all that root can, by way of {}", programs(own), open.join(" and "))
    })
}

fn by_account(worker: &Worker, is: impl Fn(Option<&Account>) -> bool) -> Vec<&Program> {
    let matching =
        |program: &&Program| account(worker, program).is_ok_and(|account| is(account.as_ref()));
    worker.programs.iter().filter(matching).collect()
}

fn others(worker: &Worker) -> Vec<(&Program, Account)> {
    let account = |program| Some((program, account(worker, program).ok()??));
    worker.programs.iter().filter_map(account).collect()
}

fn programs(programs: &[&Program]) -> String {
    let names: Vec<String> =
        programs.iter().map(|program| format!("`{}`", program.agent.name)).collect();
    format!("programs of {}", names.join(", "))
}

fn name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// What of these an account reaches, by the modes of the files and of the folders on the way.
fn seen(account: &Account, private: &Private) -> Vec<String> {
    let reaches = |path: &Path| {
        let meta = fs::metadata(path);
        let reads = meta.is_ok_and(|meta| account.may_read(meta.uid(), meta.gid(), meta.mode()));
        reads && path.parent().is_none_or(|folder| account.enters(folder))
    };
    let all = private.closed.iter().chain(&private.files);
    let real = all.filter_map(|path: &PathBuf| path.canonicalize().ok());
    real.filter(|path| reaches(path)).map(|path| path.display().to_string()).collect()
}
