//! The network server of the Huly network.

fn main() {}
