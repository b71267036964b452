//! What keeps agents' programs from the host, from the worker and from one another.

mod environment;
mod hostile;
mod left;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether bubblewrap works here, for whoever runs the tests. What cannot be tried is said to be
/// skipped.
fn apart(test: &str) -> bool {
    let mut trial = Command::new("bwrap");
    trial.args(["--bind", "/", "/", "--proc", "/proc", "--unshare-pid", "--unshare-net", "true"]);
    let works = trial.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !works {
        eprintln!("skipped: {test}: bubblewrap does not work on this machine");
    }
    works
}

fn is_root(test: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: {test}: only root can run programs as another user");
    }
    is_root
}

/// A folder with the programs of this `PATH`, without bubblewrap.
fn path_without_bubblewrap(folder: &Path, path: &str) -> String {
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    for place in std::env::split_paths(path) {
        let names = fs::read_dir(place).into_iter().flatten().flatten();
        for file in names.filter(|file| file.file_name() != "bwrap") {
            let _ = std::os::unix::fs::symlink(file.path(), bin.join(file.file_name()));
        }
    }
    bin.display().to_string()
}
