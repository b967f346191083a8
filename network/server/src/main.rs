//! The network server of the Huly network.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    huly_program::finish(huly_network::run(huly_network::Args::parse()))
}
