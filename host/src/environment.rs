//! What this process was given in its environment, out of others' sight.
//!
//! A process's environment can be read in `/proc/PID/environ` for as long as it lives, by root's
//! programs whatever else is done, and nothing that it does to its own copy changes that. So one that
//! goes on for long begins again in its own place, with what may be seen, and the rest is handed over
//! in memory that has no name:
//!
//! ```text
//! started with everything ─► an unnamed file in memory ─► the same process, begun again, with what
//!                            holds everything              may be seen; it reads the file and closes it
//! ```
//! What it was given is looked up here and not in `std::env`, also when the configuration is read
//! again. Only what libraries look for by themselves stays where they look for it ([`is_public`]).

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;

/// Says which file is the unnamed one.
const HANDED_OVER: &str = "HILLOCK_ENVIRONMENT_FD";
/// What that file is called by the kernel.
const FILE: &str = "hillock-environment";
/// The subcommands that go on for long.
const LASTING: [&str; 3] = ["serve", "dev", "worker"];

/// What may be seen: what libraries and service managers look for by themselves. A password of a proxy
/// or a header for a collector is among it, where somebody uses one.
const PUBLIC: [&str; 51] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TZDIR",
    "TMPDIR",
    "TERM",
    "COLORTERM",
    "COLUMNS",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "CI",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
    "STATE_DIRECTORY",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "FAKETIME",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSFILE",
    "PGSSLMODE",
    "HILLOCK_CONFIG",
    "HILLOCK_DATA_DIR",
    "HILLOCK_URL",
    "HILLOCK_LISTEN",
    "HILLOCK_WORKSPACE",
    "HILLOCK_LOG",
    "HILLOCK_LOG_FORMAT",
    "HILLOCK_CLOCK_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];
/// The same for all that begin so.
const PUBLIC_PREFIXES: [&str; 8] =
    ["LC_", "XDG_", "FAKETIME_", "MIMALLOC_", "RAYON_", "WASMTIME_", "OTEL_", "PGSSLROOT"];

static GIVEN: OnceLock<HashMap<OsString, OsString>> = OnceLock::new();

/// A variable that this process was given.
pub fn var_os(name: impl AsRef<OsStr>) -> Option<OsString> {
    let name = name.as_ref();
    match GIVEN.get() {
        Some(given) => given.get(name).cloned(),
        None => env::var_os(name),
    }
}

/// One that is text; an empty one is none.
pub fn var(name: impl AsRef<OsStr>) -> Option<String> {
    var_os(name)?.into_string().ok().filter(|text| !text.is_empty())
}

/// Whether a variable stays where everybody who may look at this process sees it.
pub fn is_public(name: &OsStr) -> bool {
    let begins = |prefix: &&str| name.as_bytes().starts_with(prefix.as_bytes());
    PUBLIC.iter().any(|public| name == *public) || PUBLIC_PREFIXES.iter().any(begins)
}

/// Whether what this process was given is out of sight.
pub fn is_withdrawn() -> bool {
    GIVEN.get().is_some()
}

/// Closes this process's memory, files and environment to others of its user, and takes what it was
/// given out of sight if it goes on for long. Called before there are threads; it may begin the
/// process again.
///
/// # Errors
/// When that cannot be done; all goes on as it was.
pub fn withdraw() -> io::Result<()> {
    prctl::set_dumpable(false)?;
    if let Some(file) = handed_over() {
        let all = read(&file)?;
        let _ = GIVEN.set(parse(&all));
        return Ok(());
    }
    let lasting = |word: OsString| LASTING.iter().any(|lasting| word == *lasting);
    if env::args_os().skip(1).any(lasting) { begin_again() } else { Ok(()) }
}

/// The file that was handed over, if it is one of ours.
fn handed_over() -> Option<PathBuf> {
    let number: RawFd = env::var(HANDED_OVER).ok()?.parse().ok()?;
    let path = PathBuf::from(format!("/proc/self/fd/{number}"));
    let target = path.read_link().ok()?;
    target.to_string_lossy().starts_with(&format!("/memfd:{FILE}")).then_some(path)
}

/// Reads the file, and closes it.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    File::open(path)?.read_to_end(&mut all)?;
    let number = path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
    let number: RawFd = number.unwrap_or(-1);
    nix::unistd::close(number)?;
    Ok(all)
}

/// Variables as the kernel lays them out: `NAME=value` and a zero byte.
fn parse(all: &[u8]) -> HashMap<OsString, OsString> {
    let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    all.split(|&byte| byte == 0)
        .filter_map(|variable| {
            let equals = variable.iter().skip(1).position(|&byte| byte == b'=')? + 1;
            Some((owned(&variable[..equals]), owned(&variable[equals + 1..])))
        })
        .collect()
}

fn begin_again() -> io::Result<()> {
    // It is to outlive the exec that follows.
    let mut file = File::from(memfd_create(FILE, MFdFlags::empty())?);
    for (name, value) in env::vars_os() {
        file.write_all(&[name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat())?;
    }
    let mut arguments = env::args_os();
    let mut again = Command::new(this_program());
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments).env_clear().envs(env::vars_os().filter(|(name, _)| is_public(name)));
    again.env(HANDED_OVER, file.as_raw_fd().to_string());
    Err(again.exec())
}

/// By its name where it has one, for that is what others see; else what runs.
fn this_program() -> PathBuf {
    env::current_exe()
        .ok()
        .filter(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_they_were_written() {
        let given = parse(b"A=1\0EMPTY=\0TWO=a=b\nc\0=odd=\0no\0");
        let value = |name: &str| given.get(OsStr::new(name)).map(|value| value.to_str().unwrap());
        assert_eq!(value("A"), Some("1"));
        assert_eq!(value("EMPTY"), Some(""));
        assert_eq!(value("TWO"), Some("a=b\nc"));
        assert_eq!(value("=odd"), Some(""));
        assert_eq!(given.len(), 4);
    }

    #[test]
    fn what_may_hold_a_secret_is_not_public() {
        for name in ["GITHUB_WEBHOOK_SECRET", "HILLOCK_API_KEY", "HILLOCK_STORE_URL", "PGPASSWORD"]
        {
            assert!(!is_public(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "LC_ALL", "HILLOCK_DATA_DIR", "XDG_CONFIG_HOME"] {
            assert!(is_public(OsStr::new(name)), "{name}");
        }
    }
}
