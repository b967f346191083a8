//! The stock agent, which serves the demonstration kinds.

fn main() {}
