//! The stock agent, which serves the demonstration kinds.

fn main() -> anyhow::Result<()> {
    huly_agent::run(huly_example_kinds::kinds())
}
