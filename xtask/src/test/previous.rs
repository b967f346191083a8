//! The programs of the previous release, or of any revision, built from its source.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache;
use crate::command::{self, Program};
use crate::files::{self, Lock};
use crate::workspace::Workspace;

/// The packages that are built, and their programs.
const PROGRAMS: [(&str, &str); 3] = [
    ("huly", "huly"),
    ("huly-network", "huly-network"),
    ("huly-agent-stock", "huly-agent"),
];

/// What their versions in the cache are called.
const KIND: &str = "programs";

/// Which revision the present programs are tried with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Previous {
    /// This one: a release's tag, or what was asked for.
    Revision(String),
    /// There is no release before this commit.
    None,
    /// It cannot be told whether there is one, and why.
    Unknown(&'static str),
}

impl Previous {
    /// The release before the present commit: the highest of the tags `vX.Y.Z` of those it came from.
    ///
    /// # Errors
    /// When git fails.
    pub(super) async fn release(workspace: &Workspace) -> Result<Self> {
        if !workspace.root.join(".git").exists() {
            return Ok(Self::Unknown("this is no git checkout"));
        }
        let of_before = ["--merged", "HEAD", "--no-contains", "HEAD"];
        let list = [&["tag", "--list", "v*"], of_before.as_slice()].concat();
        let tags = git(workspace, &list).await?;
        if let Some(tag) = highest(&tags) {
            return Ok(Self::Revision(tag.to_owned()));
        }
        let shallow = git(workspace, &["rev-parse", "--is-shallow-repository"]).await?;
        Ok(match shallow.trim() {
            "true" => Self::Unknown("the git clone is shallow: git fetch --unshallow --tags"),
            _ => Self::None,
        })
    }
}

/// The highest of the tags that are releases.
fn highest(tags: &str) -> Option<&str> {
    let numbers = |tag: &str| -> Option<[u64; 3]> {
        let mut parts = tag.strip_prefix('v')?.split('.');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let version = [number()?, number()?, number()?];
        parts.next().is_none().then_some(version)
    };
    let releases = tags.lines().filter_map(|tag| Some((numbers(tag)?, tag)));
    releases.max().map(|(_, tag)| tag)
}

/// Builds the programs of a revision, unless the cache has them; returns their folder. Cargo works
/// in the folder `previous` of the target folder, so that another revision takes less time.
///
/// # Errors
/// When there is no such revision, or it does not build.
pub(super) async fn build(workspace: &Workspace, revision: &str) -> Result<PathBuf> {
    let commit = format!("{revision}^{{commit}}");
    let commit = git(workspace, &["rev-parse", "--verify", &commit])
        .await
        .with_context(|| format!("there is no revision {revision}"))?;
    let commit = commit.trim();
    let all = workspace.cache.join("previous");
    let built = all.join(cache::version(KIND, commit));
    let _lock = Lock::take(&all.join(".lock"), || {
        println!("  another run of cargo xtask builds an earlier revision …");
    })
    .await?;
    if !built.is_dir() {
        println!("  building huly, huly-network and huly-agent of {revision} ({commit}) …");
        let source = all.join(".source");
        unpack(workspace, commit, &source).await?;
        let target = workspace.target.join("previous");
        let packages = PROGRAMS
            .iter()
            .flat_map(|(package, _)| ["--package", package]);
        let cargo = Program::cargo()
            .arguments(["build", "--locked", "--bins"])
            .arguments(packages)
            .variable("CARGO_TARGET_DIR", &target)
            .folder(&source);
        command::stream(cargo).await?;
        let unfinished = all.join(".unfinished");
        files::remove_folder(&unfinished)?;
        fs::create_dir_all(&unfinished)
            .with_context(|| format!("cannot make {}", unfinished.display()))?;
        for (_, program) in PROGRAMS {
            let from = target.join("debug").join(program);
            fs::copy(&from, unfinished.join(program))
                .with_context(|| format!("cannot keep {}", from.display()))?;
        }
        fs::rename(&unfinished, &built)
            .with_context(|| format!("cannot make {}", built.display()))?;
        files::remove_folder(&source)?;
    }
    cache::use_version(&all, KIND, commit)?;
    Ok(built)
}

/// Writes the files of a commit to a folder of their own. They are new to cargo, whatever was built
/// from that folder before: the times of their last change are now.
async fn unpack(workspace: &Workspace, commit: &str, folder: &Path) -> Result<()> {
    files::remove_folder(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let archive = folder.with_extension("tar");
    let packed = Program::new("git")
        .arguments(["archive", "--format=tar", "--output"])
        .argument(&archive)
        .argument(commit)
        .folder(&workspace.root);
    command::stream(packed).await?;
    let file =
        fs::File::open(&archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let mut content = tar::Archive::new(file);
    content.set_preserve_mtime(false);
    content
        .unpack(folder)
        .with_context(|| format!("cannot unpack {}", archive.display()))?;
    files::remove_file(&archive)
}

async fn git(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    let git = Program::new("git")
        .arguments(arguments)
        .folder(&workspace.root);
    command::capture(git).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_release_is_the_previous_one() {
        let tags = "v0.2.0\nv0.10.0\nv0.9.9\nv1.0.0-rc1\nvery\nv1\nv1.2.3.4\n";
        assert_eq!(highest(tags), Some("v0.10.0"));
        assert_eq!(highest("v1.0.0-rc1\n"), None);
        assert_eq!(highest(""), None);
    }
}
