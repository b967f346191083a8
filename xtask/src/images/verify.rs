//! Whether the same source makes the same images.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::archive::Digest;
use super::package::Origin;
use super::{Made, program};
use crate::command::{self, Program};
use crate::files;
use crate::workspace::Workspace;

/// Builds images again, from a copy of the source in another folder and without anything that was
/// built before, and compares.
///
/// # Errors
/// When one differs, by name.
pub(super) async fn built_elsewhere(workspace: &Workspace, made: &Made) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let elsewhere = Workspace {
        root: folder.path().join("source"),
        target: folder.path().join("built"),
        cache: folder.path().join("cache"),
    };
    copy_source(workspace, &elsewhere.root).await?;
    let built = program::build(&elsewhere, &elsewhere.target, &made.packages).await?;
    compare(workspace, made, &built, &elsewhere.cache).await?;
    println!("✓ Built twice, from two folders: the archives are the same");
    Ok(())
}

/// Packs the programs that images were made from again, and compares.
///
/// # Errors
/// When one differs, by name.
pub(crate) async fn packed_again(workspace: &Workspace, made: &Made) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let built = program::folder(&workspace.target);
    compare(workspace, made, &built, folder.path()).await
}

/// Packs built programs again and compares the archives; what they say of the source must hold still.
pub(super) async fn compare(
    workspace: &Workspace,
    made: &Made,
    built: &Path,
    cached: &Path,
) -> Result<()> {
    let origin = Origin::of(workspace).await?;
    if origin != made.origin {
        bail!(
            "the source was of {} and is of {origin}: make the images anew",
            made.origin
        );
    }
    let again = made.pack(built, cached).await?;
    let mut different = Vec::new();
    for (image, again) in made.images.iter().zip(&again) {
        if again.id != image.id || digest(&again.archive)? != digest(&image.archive)? {
            different.push(format!("{} ({} and {})", image.name, image.id, again.id));
        }
    }
    if !different.is_empty() {
        bail!("made again, images differ: {}", different.join(", "));
    }
    Ok(())
}

fn digest(archive: &Path) -> Result<Digest> {
    let bytes = fs::read(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    Ok(Digest::of(&bytes))
}

/// Copies the files that git knows or would add.
async fn copy_source(workspace: &Workspace, to: &Path) -> Result<()> {
    let list = Program::new("git")
        .arguments([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .folder(&workspace.root);
    let list = command::capture(list).await?;
    for file in list.split('\0').filter(|file| !file.is_empty()) {
        let (from, to): (PathBuf, PathBuf) = (workspace.root.join(file), to.join(file));
        // A file that was removed and not yet committed is still in the list.
        if !from.is_file() {
            continue;
        }
        files::create_parent(&to)?;
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
