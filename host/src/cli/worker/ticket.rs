//! What lets a worker join: a token, from where nobody else can read it.
//!
//! A command line is no such place: every user of the machine sees it in the list of processes.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::cli::output;
use crate::environment;

/// The environment variable that holds one.
const VARIABLE: &str = "HILLOCK_JOIN_TOKEN";
/// The longest that is read, in bytes.
const BYTES_MAX: u64 = 4096;

/// Where it is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Ticket {
    /// The token to join the host with, or `-` for standard input [default: $HILLOCK_JOIN_TOKEN].
    /// Needed once: the host's credential is then kept in the data folder. Also takes the
    /// credential that `hillock worker rotate` printed. Every user of this machine can see a token
    /// given here.
    #[arg(long, value_name = "TOKEN", conflicts_with = "join_file")]
    join: Option<String>,
    /// A file with the token.
    #[arg(long, value_name = "FILE")]
    join_file: Option<PathBuf>,
}

impl Ticket {
    /// The file that holds the token, if one does.
    pub fn file(&self) -> Option<PathBuf> {
        self.join_file.clone()
    }

    /// The token, if there is one.
    ///
    /// # Errors
    /// When it cannot be read from where it should be.
    pub fn read(&self) -> anyhow::Result<Option<String>> {
        match (self.join.as_deref(), &self.join_file) {
            (Some("-"), _) => first_line(io::stdin(), "standard input").map(Some),
            (Some(token), _) => {
                output::remark(
                    "warning: every user of this machine can read the token of --join in the list \
                     of processes. Say --join-file FILE, `--join -`, or $HILLOCK_JOIN_TOKEN",
                );
                Ok(Some(token.to_owned()).filter(|token| !token.is_empty()))
            }
            (None, Some(path)) => {
                let name = path.display().to_string();
                let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
                let regular = file.metadata().is_ok_and(|meta| !meta.is_dir());
                ensure!(regular, "{name} is no file");
                first_line(file, &name).map(Some)
            }
            (None, None) => Ok(environment::var(VARIABLE)),
        }
    }
}

fn first_line(from: impl Read, name: &str) -> anyhow::Result<String> {
    let mut line = String::new();
    let read = BufReader::new(from.take(BYTES_MAX)).read_line(&mut line);
    read.with_context(|| format!("cannot read the join token from {name}"))?;
    let token = line.trim();
    ensure!(!token.is_empty(), "there is no join token in {name}");
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_first_line() {
        assert_eq!(first_line(&b" hlk_boot_1 \nmore"[..], "here").unwrap(), "hlk_boot_1");
        let none = first_line(&b"\n"[..], "here").unwrap_err().to_string();
        assert_eq!(none, "there is no join token in here");
        assert!(first_line(&[0xff, 0xfe][..], "here").is_err());
    }

    #[test]
    fn it_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let ticket = Ticket { join: None, join_file: Some(file.clone()) };
        assert!(ticket.read().unwrap_err().to_string().starts_with("cannot read "));
        std::fs::write(&file, "hlk_boot_2\n").unwrap();
        assert_eq!(ticket.read().unwrap().as_deref(), Some("hlk_boot_2"));
        let dir = Ticket { join: None, join_file: Some(folder.path().to_owned()) };
        assert!(dir.read().unwrap_err().to_string().ends_with("is no file"));
    }
}
