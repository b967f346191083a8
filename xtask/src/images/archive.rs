//! Writes an image as a docker-archive: a tar of a manifest, a configuration and one layer, as
//! `docker load`, `ctr images import`, buildah and skopeo read it.
//!
//! What is written depends on what is asked for alone: two archives of the same files are equal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::files;

/// A file in an image, owned by root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it lies, relative to the image's root: `bin/huly`. Folders are made as needed.
    pub(crate) path: String,
    /// The permission bits, `0o755`.
    pub(crate) mode: u32,
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
}

impl Entry {
    /// A program that everybody may run and nobody but root may change.
    pub(crate) fn program(path: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            path: path.into(),
            mode: 0o755,
            bytes,
        }
    }
}

/// How a container of the image is started, and what is said about the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageConfig {
    /// The program and its first arguments.
    pub(crate) entrypoint: Vec<String>,
    /// `UID:GID`, as numbers: there is no /etc/passwd to find a name in.
    pub(crate) user: String,
    /// The TCP ports that it listens on by default.
    pub(crate) ports: Vec<u16>,
    /// OCI annotations, `org.opencontainers.image.…`.
    pub(crate) labels: BTreeMap<String, String>,
    /// What the image and its files are dated.
    pub(crate) created: Timestamp,
}

impl Default for ImageConfig {
    /// Nothing is said, and the user is nobody in particular.
    fn default() -> Self {
        Self {
            entrypoint: Vec::new(),
            user: "65532:65532".to_owned(),
            ports: Vec::new(),
            labels: BTreeMap::new(),
            created: Timestamp::UNIX_EPOCH,
        }
    }
}

/// A SHA-256, shown as `sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(String);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let hash = Sha256::digest(bytes);
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The hexadecimal digits alone.
    pub(crate) fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.0)
    }
}

/// Writes an image of these files, for this machine's architecture, and returns its id: the digest
/// of its configuration, which holds the digest of the layer.
///
/// `reference` is `NAME:TAG`. Importers complete a name without a registry to
/// `docker.io/library/NAME:TAG`, which is also what the kubelet makes of it.
///
/// # Errors
/// When a path is no plain relative one or is there twice, or the file cannot be written.
pub(crate) fn write(
    path: &Path,
    reference: &str,
    files: &[Entry],
    config: &ImageConfig,
) -> Result<Digest> {
    let layer = layer(files, config.created)?;
    let layer_digest = Digest::of(&layer);
    let configuration = to_bytes(&configuration(config, &layer_digest)?)?;
    let id = Digest::of(&configuration);
    let configuration_name = format!("{}.json", id.hex());
    let layer_name = format!("{}.tar", layer_digest.hex());
    let manifest = json!([{
        "Config": configuration_name,
        "RepoTags": [reference],
        "Layers": [layer_name],
    }]);

    let mut archive = Tar::new(config.created);
    archive.file("manifest.json", 0o644, &to_bytes(&manifest)?)?;
    archive.file(&configuration_name, 0o644, &configuration)?;
    archive.file(&layer_name, 0o644, &layer)?;
    write_whole(path, &archive.finish()?)?;
    Ok(id)
}

/// The layer: every folder before what is in it, else by name.
fn layer(files: &[Entry], created: Timestamp) -> Result<Vec<u8>> {
    let mut by_path = BTreeMap::new();
    let mut folders = BTreeSet::new();
    for file in files {
        let parts: Vec<&str> = file.path.split('/').collect();
        if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            bail!("{:?} is no plain path below an image's root", file.path);
        }
        for depth in 1..parts.len() {
            folders.insert(parts[..depth].join("/"));
        }
        if by_path.insert(file.path.as_str(), file).is_some() {
            bail!("{:?} is twice in one image", file.path);
        }
    }
    let mut layer = Tar::new(created);
    for folder in &folders {
        if by_path.contains_key(folder.as_str()) {
            bail!("{folder:?} is both a file and a folder in one image");
        }
        layer.folder(folder)?;
    }
    for (path, file) in by_path {
        layer.file(path, file.mode, &file.bytes)?;
    }
    layer.finish()
}

fn configuration(config: &ImageConfig, layer: &Digest) -> Result<Value> {
    let ports: BTreeMap<String, Value> = config
        .ports
        .iter()
        .map(|port| (format!("{port}/tcp"), json!({})))
        .collect();
    Ok(json!({
        "architecture": architecture(std::env::consts::ARCH)?,
        "os": "linux",
        "created": config.created.to_string(),
        "config": {
            "User": config.user,
            "ExposedPorts": ports,
            "Env": ["PATH=/"],
            "Entrypoint": config.entrypoint,
            "WorkingDir": "/",
            "Labels": config.labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [layer.to_string()] },
        "history": [{ "created": config.created.to_string() }],
    }))
}

/// What the image specification (in Go's words) calls an architecture that Rust names.
fn architecture(name: &str) -> Result<&'static str> {
    match name {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("images are not made for {other}"),
    }
}

fn to_bytes(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("cannot write JSON")
}

/// Writes a file in one step: who reads it finds all of it or none.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    files::create_parent(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    File::create(&beside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A tar in memory whose entries say nothing of where and when it was made.
struct Tar {
    builder: Builder<Vec<u8>>,
    created: Timestamp,
}

impl Tar {
    fn new(created: Timestamp) -> Self {
        Self {
            builder: Builder::new(Vec::new()),
            created,
        }
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        self.entry(EntryType::Directory, &format!("{path}/"), 0o755, &[])
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.entry(EntryType::Regular, path, mode, bytes)
    }

    fn entry(&mut self, kind: EntryType, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::try_from(self.created.as_second()).unwrap_or_default());
        header.set_size(bytes.len() as u64);
        self.builder
            .append_data(&mut header, path, bytes)
            .with_context(|| format!("cannot add {path} to a tar"))
    }

    fn finish(self) -> Result<Vec<u8>> {
        self.builder.into_inner().context("cannot finish a tar")
    }
}

#[cfg(test)]
mod tests;
