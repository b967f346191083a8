//! Static programs: built so that neither the folder nor the machine's libraries show in them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::package::Package;
use crate::command::{self, Program};
use crate::workspace::Workspace;

/// The profile of the workspace that images are built with.
const PROFILE: &str = "image";

/// The target whose programs need nothing of the machine that they run on: musl resolves names by
/// itself, where a static glibc would look for its modules at run time.
pub(crate) fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Builds the programs of packages and returns the folder that they are in.
///
/// # Errors
/// When cargo cannot build one.
pub(super) async fn build(
    workspace: &Workspace,
    target_folder: &Path,
    packages: &[Package],
) -> Result<PathBuf> {
    let cargo = Program::cargo()
        // The features of a crate depend on what is built beside it: always the same, so that an
        // image is the same whether it is made alone or with the others.
        .arguments(["build", "--workspace", "--exclude", "xtask", "--locked"])
        .arguments(["--profile", PROFILE, "--target"])
        .argument(target())
        .arguments(packages.iter().flat_map(|each| ["--bin", &each.program]))
        .variable("CARGO_TARGET_DIR", target_folder)
        // The date that C compilers build in. It is no commit's: cargo does not build again for it.
        .variable("SOURCE_DATE_EPOCH", "0")
        .variable(
            "CARGO_ENCODED_RUSTFLAGS",
            flags(workspace, target_folder).await?,
        )
        .folder(&workspace.root);
    command::stream(cargo).await?;
    Ok(folder(target_folder))
}

/// The folder below a target folder that built programs are in.
pub(crate) fn folder(target_folder: &Path) -> PathBuf {
    target_folder.join(target()).join(PROFILE)
}

/// Compiler flags that keep the folders of this machine out of the programs.
async fn flags(workspace: &Workspace, target_folder: &Path) -> Result<OsString> {
    let sysroot = Program::new("rustc").arguments(["--print", "sysroot"]);
    let sysroot = command::capture(sysroot.folder(&workspace.root)).await?;
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME says where cargo keeps its crates")?;
    // Of several that fit, rustc takes the last: the target folder may lie in the workspace.
    let folders = [
        (Path::new(sysroot.trim()), "/rust"),
        (&home, "/cargo"),
        (&workspace.root, "/source"),
        (target_folder, "/target"),
    ];
    let mut flags = OsString::new();
    for (folder, shown) in folders {
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push("=");
        flags.push(shown);
    }
    Ok(flags)
}

/// Reads a program that is to be alone in an image.
///
/// # Errors
/// When it cannot be read, or would look for an interpreter (the dynamic linker) there.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !is_static(&bytes).with_context(|| format!("cannot read {}", path.display()))? {
        bail!(
            "{} is linked dynamically and would not start in an image without libraries",
            path.display()
        );
    }
    Ok(bytes)
}

fn is_static(program: &[u8]) -> Result<bool> {
    let header = FileHeader64::<Endianness>::parse(program)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, program)?;
    Ok(segments
        .iter()
        .all(|segment| segment.p_type(endian) != PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_the_dynamic_linker_is_refused() {
        // This test is one, where it is linked as Linux distributions do it.
        let this = std::env::current_exe().unwrap();
        let error = read(&this).unwrap_err().to_string();
        assert!(error.contains("linked dynamically"), "{error}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(read(&path).is_err());
    }
}
