//! Build, test, run and demonstrate the Huly network: cargo xtask.

fn main() {}
