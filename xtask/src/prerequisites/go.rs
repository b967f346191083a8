//! Go: whether it is enough, and where to take it from. Distributions often have an older one.

use anyhow::{Context, Result};

use super::apt;
use super::remedy::{Install, Remedy};
use crate::command::{self, Program};
use crate::workspace::Workspace;

/// From this one on, Go fetches the newer one that a module asks for.
const FETCHES_NEWER: (u32, u32) = (1, 21);

/// Debian's package.
pub(super) const PACKAGE: &str = "golang-go";

/// How it is got without the distribution, and without root.
pub(super) const BY_HAND: &str =
    "take it from https://go.dev/dl/ (no root needed: unpack it and put its bin folder on PATH)";

/// Whether there is a Go that builds the control plane.
///
/// # Errors
/// Says that there is none, or which there is and what it says.
pub(super) async fn check(workspace: &Workspace) -> Result<()> {
    let there = version().await?;
    // In the module's folder, where Go takes the module's own requirement into account.
    let module = Program::new("go")
        .arguments(["list", "-m"])
        .folder(workspace.root.join("tests/cluster/kubernetes"));
    let asked = command::capture(module).await;
    asked
        .map(|_| ())
        .with_context(|| format!("{} is not enough", there.trim()))
}

/// How Go is got on this machine.
pub(super) async fn remedy() -> Remedy {
    let there = version().await.is_ok();
    remedy_for(there, apt::candidate(PACKAGE).await)
}

/// What the Go says that is there, without fetching another.
async fn version() -> Result<String> {
    let program = Program::new("go").argument("version");
    command::capture(program.variable("GOTOOLCHAIN", "local")).await
}

fn remedy_for(there: bool, candidate: apt::Candidate) -> Remedy {
    match candidate {
        // Another package would not come before the one that is there.
        _ if there => Remedy::Hand(BY_HAND.to_owned()),
        apt::Candidate::NoApt => Remedy::Hand(BY_HAND.to_owned()),
        apt::Candidate::Version(version) if !fetches_newer(&version) => Remedy::Hand(format!(
            "{BY_HAND}; {PACKAGE} of the distribution is {version}"
        )),
        apt::Candidate::Version(_) | apt::Candidate::Unknown => Remedy::Programs(Install {
            or: Some(BY_HAND),
            ..apt::install(&[PACKAGE], BY_HAND)
        }),
    }
}

/// Whether a version of Debian's, `2:1.19~1`, is one that fetches a newer one.
fn fetches_newer(version: &str) -> bool {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    let mut numbers = upstream
        .split(|character: char| !character.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    let (major, minor) = (numbers.next(), numbers.next());
    (major.unwrap_or_default(), minor.unwrap_or_default()) >= FETCHES_NEWER
}

#[cfg(test)]
mod tests {
    use super::apt::Candidate;
    use super::*;

    #[test]
    fn an_older_go_of_the_distribution_is_not_offered() {
        let version = |text: &str| Candidate::Version(text.to_owned());
        let cases = [
            (false, version("2:1.19~1"), None),
            (false, version("2:1.21~2build1"), Some("golang-go")),
            (false, version("2:1.26-1"), Some("golang-go")),
            (false, version("2.0"), Some("golang-go")),
            (false, version("strange"), None),
            (false, Candidate::Unknown, Some("golang-go")),
            (false, Candidate::NoApt, None),
            (true, version("2:1.26-1"), None),
        ];
        for (there, candidate, package) in cases {
            let case = format!("{there} {candidate:?}");
            match (remedy_for(there, candidate), package) {
                (Remedy::Programs(install), Some(package)) => {
                    assert!(install.shown.ends_with(package), "{case}");
                    assert_eq!(install.or, Some(BY_HAND), "{case}");
                }
                (Remedy::Hand(how), None) => {
                    assert!(how.contains("https://go.dev/dl/"), "{case}: {how}");
                }
                (remedy, _) => panic!("{case}: {remedy:?}"),
            }
        }
    }
}
