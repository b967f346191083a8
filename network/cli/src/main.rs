//! Command line of the Huly network.

fn main() {}
