//! The operator of the Huly network.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    huly_program::finish(huly_operator::run(huly_operator::Args::parse()))
}
