//! The network server of the Huly network.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    huly_network::run(huly_network::Args::parse())
}
