//! The help of every subcommand, as users read it: a change of it is seen in review.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};
use hillock::cli::Cli;

const SHOWN: &str = include_str!("help.txt");
/// Set, it has the file written anew.
const UPDATE: &str = "HILLOCK_UPDATE_HELP";

/// The flags that every subcommand takes are shown once, at the top.
#[test]
fn the_help_of_every_subcommand_is_as_written() {
    let mut text = String::new();
    add(&mut text, "", &Cli::command());
    if std::env::var_os(UPDATE).is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cli/help.txt");
        return std::fs::write(path, text).unwrap();
    }
    let first = text.lines().zip(SHOWN.lines()).find(|(is, was)| is != was);
    assert!(
        text == SHOWN,
        "the help differs from tests/cli/help.txt, first in {first:#?}: {UPDATE}=1 writes it anew"
    );
}

fn add(text: &mut String, path: &str, command: &Command) {
    let path = format!("{path} {}", command.get_name()).trim().to_owned();
    // Not built with its parent, it does not repeat what that has for all.
    let mut alone = command.clone().term_width(100).bin_name(&path).disable_help_subcommand(true);
    let help = alone.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(text, "# {path}\n\n{}\n", lines.join("\n")).unwrap();
    for subcommand in command.get_subcommands() {
        add(text, &path, subcommand);
    }
}
