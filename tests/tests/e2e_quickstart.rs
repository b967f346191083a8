//! docs/quickstart.md, as it stands.

use anyhow::{Result, ensure};
use huly_tests::{Release, Walkthrough, kubectl, on_nodes};

#[tokio::test]
#[ignore = "it needs nodes: cargo xtask test nodes"]
async fn the_quickstart_does_what_it_says() -> Result<()> {
    on_nodes(async |cluster| {
        let quickstart = Walkthrough::read(include_str!("../../docs/quickstart.md"))?;
        // It begins from nothing, and takes away what it made.
        Release::nothing(cluster).await?;
        quickstart.run().await?;
        let left = kubectl(&["get", "namespaces,crd", "--output", "name"]).await?;
        for made in ["namespace/demo", "namespace/huly", "network.huly.io"] {
            ensure!(!left.lines().any(|name| name.ends_with(made)), "{left}");
        }
        Ok(())
    })
    .await
}
