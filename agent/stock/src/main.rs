//! The stock agent, which serves the demonstration kinds.

use std::process::ExitCode;

// The allocator of musl, which images are built for, is slow.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    huly_agent::run(huly_example_kinds::kinds())
}
