//! Long builds: a person sees how far one is, and where its output is.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::command::{self, Program};
use crate::report::Step;

/// Runs a build as one step. `compiled` finds what a line of its output says to be compiled.
///
/// # Errors
/// When it fails: with the end of its output, all of which is in the log.
pub(crate) async fn step(
    what: &str,
    build: Program,
    log: &Path,
    compiled: fn(&str) -> Option<&str>,
) -> Result<()> {
    println!("  The log of the build is {}", log.display());
    let mut step = Step::begin(format!("Build {what}"));
    let mut all = BTreeSet::new();
    let built = command::watched(build, log, |said| {
        if let Some(name) = compiled(said) {
            all.insert(name.to_owned());
        }
        step.progress(&format!("{} compiled, {said}", all.len()));
    })
    .await;
    match built {
        Ok(()) => step.done(),
        Err(_) => step.failed(),
    }
    built
}

/// What a line of `cargo build` says to be compiled.
pub(crate) fn by_cargo(line: &str) -> Option<&str> {
    line.strip_prefix("Compiling ")
}

/// What a line of `go build -v` does, which has nothing but a package; but for what go says of its
/// own doings.
pub(crate) fn by_go(line: &str) -> Option<&str> {
    (!line.starts_with("go: ")).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_is_compiled() {
        let said = "Compiling huly-protocol v0.1.0 (/src/network/protocol)";
        let name = "huly-protocol v0.1.0 (/src/network/protocol)";
        assert_eq!(by_cargo(said), Some(name));
        assert_eq!(by_cargo("Downloaded bytes v1.12.1"), None);
        assert_eq!(by_go("k8s.io/api/core/v1"), Some("k8s.io/api/core/v1"));
        assert_eq!(by_go("go: downloading k8s.io/api v0.36.3"), None);
    }
}
