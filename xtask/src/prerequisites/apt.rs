//! The packages of Debian and its like.

use super::remedy::Install;
use crate::command::{self, Program};

/// The version of a package that would be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Candidate {
    /// There is no apt here.
    NoApt,
    /// The package is not known, perhaps as the lists of packages were never fetched.
    Unknown,
    /// As Debian writes it, `2:1.19~1`.
    Version(String),
}

/// Asks which version of a package would be installed.
pub(super) async fn candidate(package: &str) -> Candidate {
    let policy = Program::new("apt-cache").arguments(["policy", package]);
    // Its words are translated.
    match command::capture(policy.variable("LC_ALL", "C")).await {
        Err(_) => Candidate::NoApt,
        Ok(said) => parse(&said),
    }
}

fn parse(policy: &str) -> Candidate {
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate:"))
        .map(str::trim);
    match version {
        None | Some("(none)") => Candidate::Unknown,
        Some(version) => Candidate::Version(version.to_owned()),
    }
}

/// Fetches the lists of packages.
pub(super) fn update() -> Program {
    apt().argument("update")
}

/// Installs packages.
pub(super) fn install(packages: &[&str], otherwise: &'static str) -> Install {
    Install {
        shown: format!("apt-get install --yes {}", packages.join(" ")),
        programs: vec![apt().arguments(["install", "--yes"]).arguments(packages)],
        needs_root: true,
        otherwise,
        or: None,
    }
}

fn apt() -> Program {
    Program::new("apt-get").variable("DEBIAN_FRONTEND", "noninteractive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_candidate_is_read() {
        let known = "golang-go:\n  Installed: (none)\n  Candidate: 2:1.19~1\n  Version table:\n";
        assert_eq!(parse(known), Candidate::Version("2:1.19~1".into()));
        let virtual_one = "x:\n  Installed: (none)\n  Candidate: (none)\n";
        assert_eq!(parse(virtual_one), Candidate::Unknown);
        assert_eq!(parse(""), Candidate::Unknown);
    }
}
