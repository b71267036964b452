//! Whether the programs that a worker is to run are there.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Program;
use crate::environment;
use crate::model::problem::Problems;

/// Where programs are looked for when nobody says.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Every program that is not there or cannot be run, at its place in `worker.agents`.
pub fn missing(programs: &[Program], places: &[usize]) -> Problems {
    let mut problems = Problems::default();
    let path = environment::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into());
    for (program, place) in programs.iter().zip(places) {
        let at = format!("worker.agents[{place}]");
        let dir = program.dir.as_deref();
        if let Some(dir) = dir.filter(|dir| !dir.is_dir()) {
            problems.add(format!("{at}.dir"), format!("there is no folder {}", dir.display()));
        }
        let name = program.command.first().map_or("", String::as_str);
        if let Err(reason) = find(name, dir, &path) {
            problems.add(format!("{at}.command"), reason);
        }
    }
    problems
}

/// Says in the log which programs are not there: their runs fail.
pub fn warn_of_missing(programs: &[Program]) {
    let places: Vec<usize> = (0..programs.len()).collect();
    for problem in missing(programs, &places).iter() {
        tracing::warn!("{problem}; its runs fail until it is there");
    }
}

/// The program that a name means, as execvp(3) looks for it.
///
/// # Errors
/// When there is none that can be run.
fn find(name: &str, dir: Option<&Path>, path: &OsStr) -> Result<PathBuf, String> {
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![dir.unwrap_or(Path::new("")).join(name)]
    } else {
        std::env::split_paths(path).map(|folder| folder.join(name)).collect()
    };
    let there: Vec<&PathBuf> = candidates.iter().filter(|file| file.exists()).collect();
    match there.iter().find(|file| is_program(file)) {
        Some(program) => Ok(program.to_path_buf()),
        None if there.is_empty() => Err(format!("there is no program `{name}` on this machine")),
        None => Err(format!("{} is not a program that can be run", there[0].display())),
    }
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn programs_are_found_as_they_are_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, mode: u32| {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            file
        };
        let program = file("program", 0o755);
        file("text", 0o644);
        fs::create_dir(folder.path().join("folder")).unwrap();
        let (dir, path) = (Some(folder.path()), folder.path().as_os_str());
        for (name, dir, found) in [
            ("program", None, true),
            ("./program", dir, true),
            (program.to_str().unwrap(), None, true),
            ("./program", None, false),
            ("text", None, false),
            ("folder", None, false),
            ("nothing", dir, false),
        ] {
            assert_eq!(find(name, dir, path).is_ok(), found, "{name}");
        }
        let said = find("text", None, path).unwrap_err();
        assert!(said.ends_with("text is not a program that can be run"), "{said}");
    }
}
