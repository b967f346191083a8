//! Where things are: the workspace's root, its target folder, the cache.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cache;
use crate::command::{self, Program};

/// The folders that everything else is found from.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The folder of the root Cargo.toml.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever CARGO_TARGET_DIR or a configuration puts it.
    pub(crate) target: PathBuf,
    /// What outlives a checkout: built programs, tools, running environments.
    pub(crate) cache: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// Asks cargo for the workspace around the current folder.
    pub(crate) async fn find() -> Result<Self> {
        let metadata = command::capture(Program::cargo().arguments([
            "metadata",
            "--no-deps",
            "--format-version=1",
        ]))
        .await?;
        let metadata: Metadata =
            serde_json::from_str(&metadata).context("cannot read what cargo metadata says")?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            cache: cache_folder(|name| std::env::var_os(name).map(PathBuf::from))?,
        })
    }

    /// The folder that `cargo build` puts the workspace's programs in.
    pub(crate) fn binaries(&self) -> PathBuf {
        self.target.join("debug")
    }

    /// Marks a target folder that is kept in the cache, one for each checkout, as used, and removes
    /// those that are not any more.
    ///
    /// # Errors
    /// When the cache cannot be changed.
    pub(crate) fn keep_target(&self) -> Result<()> {
        let Some((all, name)) = self.target.parent().zip(self.target.file_name()) else {
            return Ok(());
        };
        let name = name.to_string_lossy();
        match name.rsplit_once('-') {
            Some((kind, key)) if all == self.cache.join("target") && self.target.exists() => {
                cache::use_version(all, kind, key)
            }
            _ => Ok(()),
        }
    }

    /// The folder that holds the folders of running environments.
    pub(crate) fn environments(&self) -> PathBuf {
        self.cache.join("run")
    }

    /// The folder of an environment's logs: not in its own folder, so that they can outlive it.
    pub(crate) fn logs(&self, environment: &str) -> PathBuf {
        self.all_logs().join(environment)
    }

    /// The folder of all logs.
    pub(crate) fn all_logs(&self) -> PathBuf {
        self.cache.join("logs")
    }

    /// The folder of the generated custom resource definitions.
    pub(crate) fn definitions(&self) -> PathBuf {
        self.root.join("crds")
    }
}

fn cache_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(folder) = variable("HULY_CACHE").filter(|folder| !folder.as_os_str().is_empty()) {
        if folder.is_relative() {
            bail!(
                "HULY_CACHE must be an absolute path, not {}",
                folder.display()
            );
        }
        return Ok(folder);
    }
    let base = variable("XDG_CACHE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .context("neither HULY_CACHE nor HOME says where the cache may be")?;
    Ok(base.join("huly-network"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_with(variables: &[(&str, &str)]) -> Result<PathBuf> {
        cache_folder(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn huly_cache_overrides_the_home_folder() {
        let folder = cache_with(&[("HULY_CACHE", "/somewhere"), ("HOME", "/home/me")]).unwrap();
        assert_eq!(folder, PathBuf::from("/somewhere"));
    }

    #[test]
    fn the_default_cache_is_below_the_home_folder() {
        let folder = cache_with(&[("HULY_CACHE", ""), ("HOME", "/home/me")]).unwrap();
        assert_eq!(folder, PathBuf::from("/home/me/.cache/huly-network"));
    }

    #[test]
    fn of_the_targets_in_the_cache_the_last_two_stay() {
        let cache = tempfile::tempdir().unwrap();
        let all = cache.path().join("target");
        let left = || {
            let entries = std::fs::read_dir(&all).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        let keep = |target: PathBuf| {
            std::fs::create_dir_all(&target).unwrap();
            let workspace = Workspace {
                root: PathBuf::from("/checkout"),
                target,
                cache: cache.path().to_owned(),
            };
            workspace.keep_target().unwrap();
        };
        keep(all.join("checkout-1"));
        keep(all.join("checkout-2"));
        keep(cache.path().join("elsewhere").join("checkout-4"));
        assert_eq!(left().len(), 2);
        keep(all.join("checkout-3"));
        assert_eq!(left().len(), 2);
        assert!(left().contains("checkout-3"), "{:?}", left());
    }

    #[test]
    fn a_relative_cache_is_refused() {
        let error = cache_with(&[("HULY_CACHE", "here")]).unwrap_err();
        assert!(error.to_string().contains("HULY_CACHE"), "{error}");
    }

    #[test]
    fn no_home_is_named() {
        let error = cache_with(&[]).unwrap_err();
        assert!(error.to_string().contains("HOME"), "{error}");
    }
}
