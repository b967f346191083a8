//! One Go module of the project's own, built into the cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::command::{self, Program};
use crate::files::{self, Lock};
use crate::workspace::Workspace;
use crate::{build, cache};

/// Programs that the requirements of a Go module of the project's own hold.
pub(super) struct Module {
    /// What their versions in the cache are called.
    pub(super) name: &'static str,
    /// The module's folder in tests/cluster.
    pub(super) folder: &'static str,
    /// The names of the programs and their packages.
    pub(super) programs: &'static [(&'static str, &'static str)],
    /// Files of the module's own, beside go.mod and go.sum, that the programs are made from.
    pub(super) sources: &'static [&'static str],
    /// Build tags.
    pub(super) tags: &'static str,
    /// What they are linked with to know their version, from the text of go.mod.
    pub(super) versions: fn(&str) -> Result<String>,
}

impl Module {
    /// Returns the folder of its programs in the cache.
    pub(super) async fn build(&self, workspace: &Workspace) -> Result<PathBuf> {
        let source = workspace.root.join("tests/cluster").join(self.folder);
        let flags = self.flags(&source)?;
        let key = self.key(&source, &flags).await?;
        let all = workspace.cache.join("go-programs");
        let built = all.join(cache::version(self.name, &key));

        let lock = all.join(format!(".{}.lock", self.name));
        let _lock = Lock::take(&lock, || {
            println!("  another run of cargo xtask builds {} …", self.name);
        })
        .await?;
        if !built.is_dir() {
            let unfinished = all.join(format!(".{}.unfinished", self.name));
            files::remove_folder(&unfinished)?;
            fs::create_dir_all(&unfinished)
                .with_context(|| format!("cannot make {}", unfinished.display()))?;
            for (program, package) in self.programs {
                let go = Program::new("go")
                    .arguments(["build", "-v"])
                    .arguments(&flags)
                    .argument("-o")
                    .argument(unfinished.join(program))
                    .argument(package)
                    .variable("CGO_ENABLED", "0")
                    .folder(&source);
                let log = all.join(format!(".{program}.log"));
                build::step(program, go, &log, build::by_go).await?;
            }
            fs::rename(&unfinished, &built)
                .with_context(|| format!("cannot make {}", built.display()))?;
        }
        cache::use_version(&all, self.name, &key)?;
        Ok(built)
    }

    fn flags(&self, source: &Path) -> Result<Vec<String>> {
        let path = source.join("go.mod");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let versions = (self.versions)(&text).with_context(|| format!("in {}", path.display()))?;
        let linked = format!("-s -w{versions}");
        let mut flags = [
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &linked,
        ]
        .map(str::to_owned)
        .to_vec();
        if !self.tags.is_empty() {
            flags.extend(["-tags".to_owned(), self.tags.to_owned()]);
        }
        Ok(flags)
    }

    /// The hash of all that the programs are made from.
    async fn key(&self, source: &Path, flags: &[String]) -> Result<String> {
        let go = Program::new("go").arguments(["env", "GOVERSION", "GOOS", "GOARCH"]);
        let mut hash = Sha256::new();
        hash.update(command::capture(go.folder(source)).await?);
        for file in ["go.mod", "go.sum"].iter().chain(self.sources) {
            let path = source.join(file);
            // A module that requires nothing has no sums.
            if *file == "go.sum" && !path.exists() {
                continue;
            }
            hash.update(
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
            );
        }
        for flag in flags {
            hash.update(flag);
            hash.update([0]);
        }
        for (program, package) in self.programs {
            hash.update(format!("{program}={package}\n"));
        }
        Ok(short_hex(&hash.finalize()))
    }
}

/// The first 16 hexadecimal digits: enough to tell a handful of versions apart.
pub(crate) fn short_hex(hash: &[u8]) -> String {
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The version of `module` that a go.mod requires.
fn required_version(text: &str, module: &str) -> Result<String> {
    let found = text.lines().find_map(|line| {
        let line = line.trim();
        let mut words = line
            .strip_prefix("require ")
            .unwrap_or(line)
            .split_whitespace();
        let version = (words.next()? == module).then(|| words.next())??;
        version.starts_with('v').then(|| version.to_owned())
    });
    found.with_context(|| format!("{module} is not required"))
}

/// The major and minor number of a version.
fn numbers(version: &str) -> Result<(&str, &str)> {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        bail!("{version} is no version");
    };
    Ok((major, minor))
}

/// What makes the programs show `v1.36.3` instead of an unknown version.
pub(super) fn kubernetes_versions(text: &str) -> Result<String> {
    let version = required_version(text, "k8s.io/kubernetes")?;
    let (major, minor) = numbers(&version)?;
    let variable = "k8s.io/component-base/version";
    Ok(format!(
        " -X {variable}.gitVersion={version} -X {variable}.gitMajor={major} \
         -X {variable}.gitMinor={minor}"
    ))
}

/// The same for helm, and the Kubernetes that it takes to be there when it is asked to render
/// without one: that of its libraries, as in its releases.
pub(super) fn helm_versions(text: &str) -> Result<String> {
    let version = required_version(text, "helm.sh/helm/v3")?;
    let client = required_version(text, "k8s.io/client-go")?;
    let (_, minor) = numbers(&client)?;
    let helm = "helm.sh/helm/v3";
    let mut flags = format!(" -X {helm}/internal/version.version={version}");
    for package in ["pkg/lint/rules", "pkg/chartutil"] {
        flags.push_str(&format!(
            " -X {helm}/{package}.k8sVersionMajor=1 -X {helm}/{package}.k8sVersionMinor={minor}"
        ));
    }
    Ok(flags)
}

/// For programs that need not know their version.
pub(super) fn unversioned(_: &str) -> Result<String> {
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GO_MOD: &str = "module m\n\nreplace (\n\tk8s.io/api => k8s.io/api v0.36.3\n)\n\n\
        require (\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n";

    #[test]
    fn the_shown_version_is_the_required_one() {
        assert_eq!(
            required_version(GO_MOD, "k8s.io/kubernetes").unwrap(),
            "v1.36.3"
        );
        assert!(required_version(GO_MOD, "k8s.io/kube").is_err());
        assert!(
            required_version(GO_MOD, "k8s.io/api").is_err(),
            "a replacement is no requirement"
        );
        let flags = kubernetes_versions(GO_MOD).unwrap();
        assert!(
            flags.contains("gitVersion=v1.36.3") && flags.contains("gitMinor=36"),
            "{flags}"
        );
        assert!(numbers("v1").is_err());
    }

    #[test]
    fn helm_knows_its_version_and_that_of_kubernetes() {
        let text = "require (\n\thelm.sh/helm/v3 v3.22.0\n\tk8s.io/client-go v0.36.2\n)\n";
        let flags = helm_versions(text).unwrap();
        assert!(
            flags.contains("version.version=v3.22.0")
                && flags.contains("pkg/chartutil.k8sVersionMinor=36"),
            "{flags}"
        );
        assert!(helm_versions(GO_MOD).is_err());
    }
}
