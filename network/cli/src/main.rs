//! Command line of the Huly network.

use std::process::ExitCode;

fn main() -> ExitCode {
    huly_cli::main("huly")
}
