//! What `cargo xtask test cluster` tells the tests.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where the programs are that a network of a test's own is made of.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// A kubeconfig that may do what the operator's role says, and nothing else.
    pub(crate) operator_kubeconfig: PathBuf,
    /// The folder of the workspace's own programs.
    pub(crate) programs: PathBuf,
}

impl Settings {
    /// # Errors
    /// When the tests were started by other means.
    pub(crate) fn read() -> Result<Self> {
        Ok(Self {
            operator_kubeconfig: variable("HULY_TEST_OPERATOR_KUBECONFIG")?,
            programs: variable("HULY_BIN")?,
        })
    }
}

/// A path that the environment names.
pub(crate) fn variable(name: &str) -> Result<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).with_context(|| {
        format!("{name} is not set: this test needs a real API server, which `cargo xtask test cluster` (or `nodes`) starts")
    })
}
