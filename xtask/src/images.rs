//! `images`: container images (OCI) of the workspace's programs, packed without Docker.
//!
//! An image is one static program and nothing else, so it needs no base image, and the image that
//! the tests run is the one that users get.

pub(crate) mod archive;
mod package;
pub(crate) mod program;
pub(crate) mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use sha2::{Digest as _, Sha256};

use self::archive::{Digest, Entry, ImageConfig};
use self::package::{Origin, Package};
use crate::cache;
use crate::files::{self, Lock};
use crate::go_programs::short_hex;
use crate::interrupt::interruptible;
use crate::prerequisites::{self, may_install};
use crate::workspace::Workspace;

/// The packages whose images make a network.
pub(crate) const NETWORK: [&str; 4] = ["huly-network", "huly-agent-stock", "huly-operator", "huly"];

/// How large an archive of a network's image may be.
const MOST_BYTES: u64 = 25_000_000;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Pack this package's program instead of the network's four; may be given more than once
    #[arg(long = "package", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// The images' tag (default: the package's version)
    #[arg(long)]
    tag: Option<String>,
    /// Put the archives into this folder too, as PROGRAM.tar
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Build all of it again from a copy of the source elsewhere, and compare
    #[arg(long)]
    verify: bool,
    /// Install what is missing on this machine
    #[arg(long)]
    install: bool,
}

/// An image in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The program in it, which is also the repository's name.
    pub(crate) name: String,
    /// `NAME:TAG`.
    pub(crate) reference: String,
    /// What runtimes know it by.
    pub(crate) id: Digest,
    /// The docker-archive.
    pub(crate) archive: PathBuf,
    /// The archive's size.
    pub(crate) bytes: u64,
}

impl Image {
    /// Prints what it is, how large and where.
    pub(crate) fn show(&self) {
        println!(
            "{:<24} {:>8}  {}\n  {}",
            self.reference,
            megabytes(self.bytes),
            self.id,
            self.archive.display()
        );
    }

    /// Puts its archive into a folder, as NAME.tar.
    pub(crate) fn copy_to(&self, folder: &Path) -> Result<()> {
        let path = folder.join(format!("{}.tar", self.name));
        files::create_parent(&path)?;
        fs::copy(&self.archive, &path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }
}

/// Images that were made in one go.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) images: Vec<Image>,
    packages: Vec<Package>,
    tag: Option<String>,
    origin: Origin,
}

/// Builds, packs and shows the images that were asked for.
pub(crate) async fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    interruptible(async {
        let install = may_install(arguments.install);
        prerequisites::ensure(workspace, prerequisites::IMAGES, install).await?;
        let packages: Vec<&str> = if arguments.packages.is_empty() {
            NETWORK.to_vec()
        } else {
            arguments.packages.iter().map(String::as_str).collect()
        };
        let made = build(workspace, &packages, arguments.tag.as_deref()).await?;
        for image in &made.images {
            image.show();
            if let Some(folder) = &arguments.output {
                image.copy_to(folder)?;
            }
        }
        if arguments.verify {
            verify::built_elsewhere(workspace, &made).await?;
        }
        Ok(())
    })
    .await
}

/// Builds the programs of some packages and packs each into an image in the cache.
///
/// # Errors
/// When a package has no program, one cannot be built or packed, or an image of the network is too
/// large.
pub(crate) async fn build(
    workspace: &Workspace,
    packages: &[&str],
    tag: Option<&str>,
) -> Result<Made> {
    let packages = package::find(workspace, packages).await?;
    let origin = Origin::of(workspace).await?;
    let built = program::build(workspace, &workspace.target, &packages).await?;
    let mut made = Made {
        images: Vec::new(),
        packages,
        tag: tag.map(str::to_owned),
        origin,
    };
    let cached = workspace.cache.join("images");
    made.images = made.pack(&made.origin, &built, &cached).await?;
    Ok(made)
}

/// Builds the programs of some packages as they are in images; returns the folder they are in.
///
/// # Errors
/// When a package has no program, or one cannot be built.
pub(crate) async fn programs(workspace: &Workspace, packages: &[&str]) -> Result<PathBuf> {
    let packages = package::find(workspace, packages).await?;
    program::build(workspace, &workspace.target, &packages).await
}

impl Made {
    /// Packs the built programs into a cache, as made from an origin.
    async fn pack(&self, origin: &Origin, built: &Path, cached: &Path) -> Result<Vec<Image>> {
        let mut images = Vec::new();
        for package in &self.packages {
            let tag = self.tag.as_deref();
            images.push(pack(package, built, tag, origin, cached).await?);
        }
        Ok(images)
    }
}

/// Packs one built program into the cache.
async fn pack(
    package: &Package,
    built: &Path,
    tag: Option<&str>,
    origin: &Origin,
    cached: &Path,
) -> Result<Image> {
    let (reference, files, config) = contents(package, built, tag, origin)?;
    let name = package.program.clone();
    let key = key(&reference, &files, &config);
    let path = cached
        .join(cache::version(&name, &key))
        .join(format!("{name}.tar"));
    let _lock = Lock::take(&cached.join(format!(".{name}.lock")), || {
        println!("  another run of cargo xtask packs {name} …");
    })
    .await?;
    let id = archive::write(&path, &reference, &files, &config)?;
    cache::use_version(cached, &name, &key)?;
    let bytes = fs::metadata(&path)
        .with_context(|| format!("cannot look at {}", path.display()))?
        .len();
    small_enough(package, bytes)?;
    Ok(Image {
        name,
        reference,
        id,
        archive: path,
        bytes,
    })
}

/// The network's own images are small; an application's may be as large as it needs.
fn small_enough(package: &Package, bytes: u64) -> Result<()> {
    if NETWORK.contains(&package.name.as_str()) && bytes > MOST_BYTES {
        bail!(
            "the image of {} has {}, more than {}",
            package.program,
            megabytes(bytes),
            megabytes(MOST_BYTES)
        );
    }
    Ok(())
}

/// What an image is made of: its reference, its one file and its configuration.
fn contents(
    package: &Package,
    built: &Path,
    tag: Option<&str>,
    origin: &Origin,
) -> Result<(String, Vec<Entry>, ImageConfig)> {
    let version = tag.unwrap_or(&package.version);
    let bytes = program::read(&built.join(&package.program))?;
    Ok((
        format!("{}:{version}", package.program),
        vec![Entry::program(package.program.as_str(), bytes)],
        package.image(version, origin),
    ))
}

/// The hash of all that an archive depends on.
fn key(reference: &str, files: &[Entry], config: &ImageConfig) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{reference}\n{config:?}\n"));
    for file in files {
        hash.update(format!(
            "{} {:o} {}\n",
            file.path,
            file.mode,
            file.bytes.len()
        ));
        hash.update(&file.bytes);
    }
    short_hex(&hash.finalize())
}

/// A size in units of 1,000,000 bytes.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
