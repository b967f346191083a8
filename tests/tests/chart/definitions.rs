//! The custom resource definitions, which the tests of this program take away and put back.

use std::path::PathBuf;

use anyhow::Result;
use huly_tests::kubectl;

/// Their names.
pub(crate) const DEFINITIONS: [&str; 2] = [
    "containerkinds.network.huly.io",
    "containerclaims.network.huly.io",
];

/// Waits until objects of both can be made.
pub(crate) async fn until_definitions_serve() -> Result<()> {
    let wait = ["wait", "--for=condition=Established", "--timeout=20s"];
    let names = DEFINITIONS.map(|name| format!("crd/{name}"));
    let names = names.each_ref().map(String::as_str);
    kubectl(&[&wait[..], &names].concat()).await.map(drop)
}

/// Deletes them, with all kinds and claims.
pub(crate) async fn delete_definitions() -> Result<()> {
    let delete = [
        "delete",
        "crd",
        "--ignore-not-found",
        "--wait",
        "--timeout=30s",
    ];
    kubectl(&[&delete[..], &DEFINITIONS].concat())
        .await
        .map(drop)
}

/// As they were before.
pub(crate) async fn restore_definitions() -> Result<()> {
    delete_definitions().await?;
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../crds"));
    let folder = folder.display().to_string();
    kubectl(&["apply", "--server-side", "--filename", &folder]).await?;
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "--filename",
        &folder,
    ];
    kubectl(&wait).await.map(drop)
}
