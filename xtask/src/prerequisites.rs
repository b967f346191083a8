//! What must be on the machine: each missing thing is named with the command that installs it.

use anyhow::{Context, Result, bail};

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
];

/// Whether a missing prerequisite may be installed by this program.
pub(crate) fn may_install(asked: bool) -> bool {
    asked || std::env::var("CI").is_ok_and(|value| value == "true")
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

/// Checks that all of `needed` is there, and installs what is not if `install` says so.
///
/// # Errors
/// Names everything that is missing, why it is not enough, and the command that installs it.
pub(crate) async fn ensure(
    workspace: &Workspace,
    needed: &[Prerequisite],
    install: bool,
) -> Result<()> {
    let mut missing = Vec::new();
    for prerequisite in needed {
        if let Err(reason) = prerequisite.check(workspace).await {
            missing.push((*prerequisite, format!("{reason:#}")));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !install {
        let lines: Vec<String> = missing
            .iter()
            .map(|(what, reason)| {
                format!(
                    "  {} ({reason})\n    install with: {}",
                    what.name(),
                    what.install().shown
                )
            })
            .collect();
        bail!(
            "missing on this machine (or run again with --install):\n{}",
            lines.join("\n")
        );
    }
    for (what, _) in missing {
        let commands = what.install();
        if commands.needs_root && !rustix::process::geteuid().is_root() {
            bail!(
                "{} is missing and only root may install it: {}",
                what.name(),
                commands.shown
            );
        }
        println!("  installing {}: {}", what.name(), commands.shown);
        for program in commands.programs {
            command::stream(program).await?;
        }
        what.check(workspace).await.with_context(|| {
            format!(
                "{} is installed, but not enough: {}",
                what.name(),
                what.otherwise()
            )
        })?;
    }
    Ok(())
}

/// How something is installed.
struct Install {
    shown: String,
    programs: Vec<Program>,
    needs_root: bool,
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
            Self::Runc => "runc",
            Self::Nftables => "nftables",
            Self::Iproute => "iproute2",
            Self::UtilLinux => "util-linux",
        }
    }

    /// What to do where the command does not give enough.
    fn otherwise(self) -> &'static str {
        match self {
            Self::Go => "take it from https://go.dev/dl/",
            Self::RustComponents | Self::MuslTarget => "see https://rustup.rs",
            Self::MuslCompiler => "see https://musl.libc.org",
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
            // In the module's folder, where Go takes the module's own requirement into account.
            Self::Go => vec![
                Program::new("go")
                    .argument("version")
                    .folder(workspace.root.join("tests/cluster/kubernetes")),
                Program::new("go")
                    .arguments(["list", "-m"])
                    .folder(workspace.root.join("tests/cluster/kubernetes")),
            ],
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

    fn install(self) -> Install {
        let rustup = |arguments: &[&str]| Install {
            shown: format!("rustup {}", arguments.join(" ")),
            programs: vec![Program::new("rustup").arguments(arguments)],
            needs_root: false,
        };
        let packages: &[&str] = match self {
            Self::Go => &["golang-go"],
            Self::Git => &["git"],
            Self::Python => &["python3", "python3-venv"],
            Self::MuslCompiler => &["musl-tools"],
            Self::RustComponents => return rustup(&["component", "add", "rustfmt", "clippy"]),
            Self::MuslTarget => return rustup(&["target", "add", &program::target()]),
            Self::Runc => &["runc"],
            Self::Nftables => &["nftables"],
            Self::Iproute => &["iproute2"],
            Self::UtilLinux => &["util-linux"],
        };
        let apt = || Program::new("apt-get").variable("DEBIAN_FRONTEND", "noninteractive");
        Install {
            shown: format!("apt-get install --yes {}", packages.join(" ")),
            programs: vec![
                apt().argument("update"),
                apt().arguments(["install", "--yes"]).arguments(packages),
            ],
            needs_root: true,
        }
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
    fn every_prerequisite_is_named_with_a_command() {
        for prerequisite in TESTS.iter().chain(NODES) {
            let install = prerequisite.install();
            assert!(!prerequisite.name().is_empty());
            assert!(!install.programs.is_empty());
            let last = install.programs.last().unwrap();
            assert!(install.shown.starts_with(&last.name()), "{}", install.shown);
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
            error.contains("Go 1.26") && error.contains("apt-get install"),
            "{error}"
        );
    }
}
