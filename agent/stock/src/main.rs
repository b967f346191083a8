//! The stock agent, which serves the demonstration kinds.

use std::process::ExitCode;

fn main() -> ExitCode {
    huly_program::finish(huly_agent::run(huly_example_kinds::kinds()))
}
