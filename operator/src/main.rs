//! The operator of the Huly network.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    huly_operator::run(huly_operator::Args::parse())
}
