//! What keeps programs from the host, from the worker and from one another, and what does not: decided
//! once when a worker begins, and applied to each program that it runs.
//!
//! ```text
//! bubblewrap works          own processes, and nothing of others' in sight (`sight.rs`)
//! the worker is root,       another user's programs: what the file system and the kernel keep from
//!   and has a `user`          that user
//! neither                   nothing; `exposure.rs` says what that means
//! ```

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::geteuid;

use super::account::Account;
use super::confinement::Confinement;
use super::context::Context;
use super::environment::Variables;
use super::means::Means;
use super::program::Order;
use super::register::Register;
use super::sight::{Own, Sight};
use super::{PrivateNow, WorkerError};
use crate::config::{self, Private, Program, Worker};
use crate::environment;
use crate::model::policy::{Policy, WorkspaceAccess};

/// Where programs work that are given no place, below the data folder.
const WORK: &str = "work";
/// Where what comes with runs is, below the data folder.
const CONTEXTS: &str = "context";
/// What ssh takes from nobody but root and its own user, and which bubblewrap shows as nobody's.
const SSH: &str = "/etc/ssh/ssh_config.d";
/// How much of that is shown, in files.
const SSH_FILES_MAX: usize = 64;

/// What a worker has for it.
#[derive(Clone)]
pub(super) struct Isolation {
    /// The programs that bound others.
    pub(super) means: Means,
    /// Who keeps a program.
    pub(super) keeper: Option<PathBuf>,
    /// Where programs are noted.
    pub(super) register: Arc<Register>,
    wanted: config::Isolation,
    data_dir: PathBuf,
    private: PrivateNow,
    /// A copy of [`SSH`] that is this user's.
    ssh: Option<PathBuf>,
}

impl std::fmt::Debug for Isolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Isolation").field("means", &self.means).finish_non_exhaustive()
    }
}

/// How one program is run.
#[derive(Debug)]
pub(super) struct Cell {
    /// The argument list.
    pub(super) argv: Vec<OsString>,
    /// Whether that is bubblewrap's.
    pub(super) is_apart: bool,
    /// The working folder, unless it is the worker's.
    pub(super) dir: Option<PathBuf>,
    /// What its environment says otherwise.
    pub(super) instead: Variables,
}

impl Isolation {
    /// Finds out what there is, and sees to it that it is what is wanted.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn new(
        worker: &Worker,
        means: Means,
        keeper: Option<PathBuf>,
        data_dir: &Path,
        private: PrivateNow,
        register: Arc<Register>,
    ) -> Result<Self, WorkerError> {
        let possible = means.bubblewrap.is_some();
        let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
        let ssh = if possible && !geteuid().is_root() { copied(&data_dir) } else { None };
        let wanted = worker.isolation;
        Self { means, keeper, register, wanted, data_dir, private, ssh }.of_worker(worker)
    }

    /// The same for another worker of this process.
    ///
    /// # Errors
    /// When there is not what it wants.
    pub(super) fn of_worker(self, worker: &Worker) -> Result<Self, WorkerError> {
        let wanted = worker.isolation;
        if wanted == config::Isolation::Required && self.means.bubblewrap.is_none() {
            return Err(WorkerError::NotIsolated);
        }
        for program in &worker.programs {
            let account = account(worker, program).map_err(WorkerError::User)?;
            if account.is_some() && self.means.setpriv.is_none() {
                return Err(WorkerError::User("there is no setpriv to become it by".to_owned()));
            }
        }
        Ok(Self { wanted, ..self })
    }

    /// Whether programs are kept apart where nothing else is asked.
    pub(super) fn is_on(&self) -> bool {
        self.wanted != config::Isolation::Off && self.means.bubblewrap.is_some()
    }

    /// Writes what comes with a run where its program will see it, and others will not: in the data
    /// folder, unless nothing but another user keeps the program from that.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn context(
        &self,
        worker: &Worker,
        program: &Program,
        order: &Order,
    ) -> Result<Context, String> {
        let account = account(worker, program)?;
        let folder = match account.is_some() && !self.is_on() {
            true => std::env::temp_dir(),
            false => self.data_dir.join(CONTEXTS),
        };
        Context::of(&folder, order, account.as_ref())
    }

    /// How a program is run under this policy.
    ///
    /// # Errors
    /// When it cannot be run so.
    pub(super) fn cell(
        &self,
        worker: &Worker,
        program: &Program,
        policy: Option<&Policy>,
        context: &Path,
    ) -> Result<Cell, String> {
        let account = account(worker, program)?;
        let dir = self.dir(program, account.as_ref())?;
        let mut instead = account.as_ref().map(Account::variables).unwrap_or_default();
        let access = policy.map_or(WorkspaceAccess::Rw, |policy| policy.workspace_access);
        let mut confinement = Confinement { account, ..Confinement::of(policy) };
        if self.is_on() || access != WorkspaceAccess::Rw {
            let (work, mut sight) =
                self.sight(worker, program, dir.as_deref(), access, confinement.account.as_ref())?;
            sight.show_context(context);
            let home = home(confinement.account.as_ref());
            if home.is_some_and(|home| sight.hides(&home)) && !sight.hides(&work) {
                instead.retain(|(name, _)| name != "HOME");
                instead.push(("HOME".to_owned(), work.clone().into()));
            }
            confinement = Confinement { sight: Some(sight), work: Some(work), ..confinement };
        }
        let argv = confinement.around(&program.command, &self.means)?;
        Ok(Cell { argv, is_apart: confinement.is_apart(), dir, instead })
    }

    /// Where a program works. The data folder is no place to work in.
    fn dir(&self, program: &Program, account: Option<&Account>) -> Result<Option<PathBuf>, String> {
        let own = |dir: &Path| dir.canonicalize().is_ok_and(|dir| dir == self.data_dir);
        if let Some(dir) = &program.dir {
            return match self.is_on() && own(dir) {
                true => Err(format!("its folder {} is the data folder", dir.display())),
                false => Ok(Some(dir.clone())),
            };
        }
        if let Some(account) = account {
            return Ok(Some(account.home().to_owned()));
        }
        let here = std::env::current_dir().unwrap_or_default();
        if !self.is_on() || !here.starts_with(&self.data_dir) {
            return Ok(None);
        }
        let scope = program.agent.scope.workspace_id();
        let folder = self.data_dir.join(WORK).join(format!("{}@{scope}", program.agent.name));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| format!("cannot make its folder {}: {error}", folder.display()))?;
        Ok(Some(folder))
    }

    /// The sight of a program, and where it works, by its real path.
    pub(super) fn sight(
        &self,
        worker: &Worker,
        program: &Program,
        dir: Option<&Path>,
        access: WorkspaceAccess,
        account: Option<&Account>,
    ) -> Result<(PathBuf, Sight), String> {
        let dir = dir.unwrap_or(Path::new("."));
        let work = dir.canonicalize().map_err(|error| {
            let name = program.command.first().map(String::as_str).unwrap_or_default();
            format!("cannot start `{name}` in {}: {error}", dir.display())
        })?;
        if access == WorkspaceAccess::None && work.parent().is_none() {
            return Err("workspace_access = none needs a working folder other than /".to_owned());
        }
        let home = home(account);
        let own = Own {
            work: &work,
            home: home.as_deref(),
            command: &program.command,
            visible: &program.visible,
            access,
        };
        let (private, others) = match self.is_on() {
            true => (self.private(account), others(worker, program)),
            false => Default::default(),
        };
        let mut sight = Sight::of(&own, &private, &others);
        if let Some(ssh) = &self.ssh {
            sight.replace(Path::new(SSH), ssh.clone());
        }
        Ok((work, sight))
    }

    /// Whether a program sees a private folder nevertheless.
    pub(super) fn open(
        &self,
        worker: &Worker,
        program: &Program,
        dir: Option<&Path>,
        account: Option<&Account>,
    ) -> bool {
        let sight = self.sight(worker, program, dir, WorkspaceAccess::Rw, account);
        sight.is_ok_and(|(_, sight)| !sight.open.is_empty())
    }

    /// What is not for programs, with what would start others outside of all bounds.
    fn private(&self, account: Option<&Account>) -> Private {
        let mut private = (self.private)();
        private.closed.push(self.data_dir.clone());
        private.closed.extend(environment::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from));
        if account.is_none() {
            let own = PathBuf::from(format!("/run/user/{}", geteuid()));
            private.closed.push(own.join("systemd"));
            private.files.push(own.join("bus"));
        }
        if account.is_none() && geteuid().is_root() {
            private.files.push("/run/systemd/private".into());
            private.files.push("/run/dbus/system_bus_socket".into());
        }
        private
    }
}

/// The user that a program runs as, where that is another than the worker's.
pub(super) fn account(worker: &Worker, program: &Program) -> Result<Option<Account>, String> {
    let user = program.user.as_ref().or(worker.user.as_ref());
    user.map_or(Ok(None), |user| Account::find(user))
}

fn home(account: Option<&Account>) -> Option<PathBuf> {
    match account {
        Some(account) => Some(account.home().to_owned()),
        None => environment::var_os("HOME").map(PathBuf::from),
    }
}

/// Where other programs work.
fn others(worker: &Worker, program: &Program) -> Vec<PathBuf> {
    let others = worker.programs.iter().filter(|other| other.agent != program.agent);
    others.filter_map(|other| other.dir.clone()).collect()
}

/// A copy of what ssh reads, as this user's own.
fn copied(data_dir: &Path) -> Option<PathBuf> {
    let copy = || -> io::Result<PathBuf> {
        let folder = data_dir.join("shown").join("ssh_config.d");
        let entries: Vec<_> = fs::read_dir(SSH)?.flatten().take(SSH_FILES_MAX).collect();
        let _ = fs::remove_dir_all(&folder);
        DirBuilder::new().recursive(true).mode(0o755).create(&folder)?;
        for entry in entries.iter().filter(|entry| entry.path().is_file()) {
            fs::write(folder.join(entry.file_name()), fs::read(entry.path())?)?;
        }
        Ok(folder)
    };
    copy().ok()
}
