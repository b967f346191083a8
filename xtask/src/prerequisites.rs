//! What must be on the machine: each missing thing is named with how it is got.

mod apt;
mod go;
mod remedy;

use anyhow::{Result, bail};

use self::remedy::{Install, Missing, Remedy};
use crate::command::{self, Program};
use crate::images::program;
use crate::workspace::Workspace;

/// Something that must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prerequisite {
    /// Go, for etcd, the API server, the controller manager and kubectl.
    Go,
    /// The formatter and the linter of the toolchain.
    RustComponents,
    /// git, which fetches the list of known vulnerabilities.
    Git,
    /// Python with its environments, for the tests on the real libzmq.
    Python,
    /// Rust's library for static programs.
    MuslTarget,
    /// A C compiler for static programs, for the parts in C of crates.
    MuslCompiler,
    /// buildah, which makes images from Dockerfiles.
    Buildah,
    /// runc, which containerd starts Pods by.
    Runc,
    /// nft, which kube-proxy makes Services by.
    Nftables,
    /// ip, which connects nodes.
    Iproute,
    /// unshare and nsenter, which make nodes and start programs in them.
    UtilLinux,
}

/// What a control plane needs.
pub(crate) const CONTROL_PLANE: &[Prerequisite] = &[Prerequisite::Go];

/// What images need.
pub(crate) const IMAGES: &[Prerequisite] = &[Prerequisite::MuslTarget, Prerequisite::MuslCompiler];
/// What nodes need, beside Linux and root.
pub(crate) const NODES: &[Prerequisite] = &[
    Prerequisite::Go,
    Prerequisite::Runc,
    Prerequisite::Nftables,
    Prerequisite::Iproute,
    Prerequisite::UtilLinux,
];

/// What all tests need.
pub(crate) const TESTS: &[Prerequisite] = &[
    Prerequisite::Go,
    Prerequisite::RustComponents,
    Prerequisite::Git,
    Prerequisite::Python,
    Prerequisite::MuslTarget,
    Prerequisite::MuslCompiler,
    Prerequisite::Buildah,
];

/// Whether a missing prerequisite may be installed by this program.
pub(crate) fn may_install(asked: bool) -> bool {
    asked || in_ci()
}

/// Whether this is a run of CI: it installs what is missing, and what it cannot check is a failure.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| is_set(&value))
}

/// Whether a variable says yes: services of CI set `true`, others `1` or their own name.
fn is_set(value: &str) -> bool {
    !["", "0", "false"].contains(&value.trim().to_lowercase().as_str())
}

/// Whether nodes can be made here at all.
///
/// # Errors
/// Says what is missing and what goes without it.
pub(crate) fn may_make_nodes() -> Result<()> {
    let missing = if !cfg!(target_os = "linux") {
        "Linux: each node is a set of its namespaces"
    } else if !rustix::process::geteuid().is_root() {
        "root (try `sudo -E env PATH=\"$PATH\" cargo xtask …`)"
    } else {
        return Ok(());
    };
    bail!(
        "a cluster with nodes needs {missing}.\n\
         Without it, `cargo xtask up` (no --nodes) starts the control plane, the network server, \
         two agents and the operator as plain processes"
    )
}

/// Checks that all of `needed` is there, and installs what is not, as far as this user may, if
/// `install` says so.
///
/// # Errors
/// Names everything that is missing then, why it is not enough, and how it is got.
pub(crate) async fn ensure(
    workspace: &Workspace,
    needed: &[Prerequisite],
    install: bool,
) -> Result<()> {
    let mut reasons = Vec::new();
    for prerequisite in needed {
        if let Err(reason) = prerequisite.check(workspace).await {
            reasons.push((*prerequisite, format!("{reason:#}")));
        }
    }
    if reasons.is_empty() {
        return Ok(());
    }
    let root = rustix::process::geteuid().is_root();
    let packages = reasons.iter().any(|(what, _)| what.is_package());
    if install && root && packages {
        // Without it packages are not known, or in a version that is not there any more.
        if let Err(error) = command::stream(apt::update()).await {
            println!("  {error:#}");
        }
    }
    let mut missing = Vec::new();
    for (what, reason) in reasons {
        missing.push(Missing {
            what,
            name: what.name(),
            reason,
            remedy: what.remedy().await,
        });
    }
    if !install {
        let hint = match remedy::any_installable(&missing, root) {
            true => " (--install installs what it may)",
            false => "",
        };
        bail!("missing on this machine{hint}:\n{}", remedy::list(&missing));
    }
    let left = remedy::install(missing, root, |what| what.check(workspace)).await;
    if !left.is_empty() {
        bail!("still missing on this machine:\n{}", remedy::list(&left));
    }
    Ok(())
}

impl Prerequisite {
    fn name(self) -> &'static str {
        match self {
            Self::Go => "Go 1.26 or newer",
            Self::RustComponents => "rustfmt and clippy",
            Self::Git => "git",
            Self::Python => "Python 3 with venv",
            Self::MuslTarget => "Rust's library for static programs (musl)",
            Self::MuslCompiler => "musl-gcc",
            Self::Buildah => "buildah",
            Self::Runc => "runc",
            Self::Nftables => "nftables",
            Self::Iproute => "iproute2",
            Self::UtilLinux => "util-linux",
        }
    }

    /// What to do where the command does not give enough.
    fn otherwise(self) -> &'static str {
        match self {
            Self::Go => go::BY_HAND,
            Self::RustComponents | Self::MuslTarget => "see https://rustup.rs",
            Self::MuslCompiler => "see https://musl.libc.org",
            Self::Buildah => "see https://buildah.io",
            Self::Git => "see https://git-scm.com/downloads",
            Self::Python => "take it from https://www.python.org/downloads/",
            Self::Runc => "see https://github.com/opencontainers/runc",
            Self::Nftables => "see https://netfilter.org/projects/nftables/",
            Self::Iproute => "see https://wiki.linuxfoundation.org/networking/iproute2",
            Self::UtilLinux => "see https://github.com/util-linux/util-linux",
        }
    }

    async fn check(self, workspace: &Workspace) -> Result<()> {
        let programs = match self {
            Self::Go => return go::check(workspace).await,
            Self::RustComponents => vec![
                Program::cargo()
                    .arguments(["fmt", "--version"])
                    .folder(&workspace.root),
                Program::cargo()
                    .arguments(["clippy", "--version"])
                    .folder(&workspace.root),
            ],
            Self::Git => vec![Program::new("git").argument("--version")],
            Self::Python => {
                vec![Program::new("python3").arguments(["-c", "import venv, ensurepip"])]
            }
            Self::MuslTarget => return has_target(workspace, &program::target()).await,
            Self::MuslCompiler => vec![Program::new("musl-gcc").argument("--version")],
            Self::Buildah => vec![Program::new("buildah").argument("--version")],
            Self::Runc => vec![Program::new("runc").argument("--version")],
            Self::Nftables => vec![Program::new("nft").argument("--version")],
            Self::Iproute => vec![Program::new("ip").argument("-Version")],
            Self::UtilLinux => vec![
                Program::new("unshare").argument("--version"),
                Program::new("nsenter").argument("--version"),
            ],
        };
        for program in programs {
            command::capture(program).await?;
        }
        Ok(())
    }

    /// How it is got on this machine.
    async fn remedy(self) -> Remedy {
        let rustup = |arguments: &[&str]| {
            Remedy::Programs(Install {
                shown: format!("rustup {}", arguments.join(" ")),
                programs: vec![Program::new("rustup").arguments(arguments)],
                needs_root: false,
                otherwise: self.otherwise(),
                or: None,
            })
        };
        match self {
            Self::Go => go::remedy().await,
            Self::RustComponents => rustup(&["component", "add", "rustfmt", "clippy"]),
            Self::MuslTarget => rustup(&["target", "add", &program::target()]),
            _ => Remedy::Programs(apt::install(self.packages(), self.otherwise())),
        }
    }

    /// Debian's packages with it.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Go => &[go::PACKAGE],
            Self::Git => &["git"],
            Self::Python => &["python3", "python3-venv"],
            Self::MuslCompiler => &["musl-tools"],
            Self::Buildah => &["buildah"],
            Self::RustComponents | Self::MuslTarget => &[],
            Self::Runc => &["runc"],
            Self::Nftables => &["nftables"],
            Self::Iproute => &["iproute2"],
            Self::UtilLinux => &["util-linux"],
        }
    }

    fn is_package(self) -> bool {
        !self.packages().is_empty()
    }
}

/// Whether the toolchain of the workspace can build for a target.
async fn has_target(workspace: &Workspace, target: &str) -> Result<()> {
    let rustup = Program::new("rustup").arguments(["target", "list", "--installed"]);
    let installed = command::capture(rustup.folder(&workspace.root)).await?;
    if !installed.lines().any(|line| line == target) {
        bail!("the target {target} is not installed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_services_of_ci_set_is_understood() {
        for yes in ["true", "True", "1", "woodpecker"] {
            assert!(is_set(yes), "{yes}");
        }
        for no in ["", " ", "0", "false", "FALSE"] {
            assert!(!is_set(no), "{no}");
        }
    }

    #[tokio::test]
    async fn every_prerequisite_is_named_with_how_it_is_got() {
        for prerequisite in TESTS.iter().chain(NODES) {
            assert!(!prerequisite.name().is_empty());
            match prerequisite.remedy().await {
                Remedy::Programs(install) => {
                    let last = install.programs.last().unwrap();
                    assert!(install.shown.starts_with(&last.name()), "{}", install.shown);
                }
                Remedy::Hand(how) => assert!(how.contains("https://"), "{how}"),
            }
        }
    }

    #[tokio::test]
    async fn a_missing_prerequisite_is_an_error_that_says_how_to_get_it() {
        let nowhere = Workspace {
            root: "/nonexistent".into(),
            target: "/nonexistent".into(),
            cache: "/nonexistent".into(),
        };
        // Go cannot be asked in a folder that is not there.
        let error = ensure(&nowhere, CONTROL_PLANE, false)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("Go 1.26") && error.contains("https://go.dev/dl/"),
            "{error}"
        );
    }
}
