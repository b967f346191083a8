//! The operator of the Huly network.

fn main() {}
