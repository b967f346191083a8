//! `cargo xtask … | head -1`: the reader goes first.

use std::io::{Result, pipe};
use std::process::Command;

/// How it ends when nobody reads what it says.
fn unread(arguments: &[&str]) -> Result<Option<i32>> {
    let (output, errors) = (pipe()?.1, pipe()?.1);
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let status = command.args(arguments).stdout(output).stderr(errors);
    Ok(status.status()?.code())
}

#[test]
fn work_goes_on_without_a_reader() -> Result<()> {
    assert_eq!(unread(&["test", "--list"])?, Some(0));
    Ok(())
}

#[test]
fn a_failure_stays_one_without_a_reader() -> Result<()> {
    assert_eq!(unread(&["down", "--name", "."])?, Some(1));
    Ok(())
}
