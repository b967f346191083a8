//! The network server of the Huly network.

use std::process::ExitCode;

use clap::Parser;

// The allocator of musl, which images are built for, is slow.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    huly_program::finish(huly_network::run(huly_network::Args::parse()))
}
