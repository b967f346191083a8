//! The same command line as a plugin of kubectl: `kubectl huly`.

use std::process::ExitCode;

fn main() -> ExitCode {
    huly_cli::main("kubectl huly")
}
