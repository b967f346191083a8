//! The Kubernetes programs, built from Go modules into the cache.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cache;
use crate::command::{self, Program, Running};
use crate::files::{self, Lock};
use crate::report::Step;
use crate::workspace::Workspace;

/// One Go module of the project's own, and the programs that its requirements hold.
struct Module {
    /// Its folder in tests/cluster, and what its versions in the cache are called.
    name: &'static str,
    /// The names of the programs and their packages.
    programs: &'static [(&'static str, &'static str)],
    /// What they are linked with to know their version, from the text of go.mod.
    versions: fn(&str) -> Result<String>,
}

const KUBERNETES: Module = Module {
    name: "kubernetes",
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ],
    versions: kubernetes_versions,
};

const ETCD: Module = Module {
    name: "etcd",
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    versions: |_| Ok(String::new()),
};

const HELM: Module = Module {
    name: "helm",
    programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    versions: helm_versions,
};

const HELM_DOCS: Module = Module {
    name: "helm-docs",
    programs: &[("helm-docs", "github.com/norwoodj/helm-docs/cmd/helm-docs")],
    versions: |_| Ok(String::new()),
};

/// The built programs.
#[derive(Debug, Clone)]
pub(crate) struct GoPrograms {
    kubernetes: PathBuf,
    etcd: PathBuf,
    helm: PathBuf,
}

/// What the chart's generated files are made with.
#[derive(Debug, Clone)]
pub(crate) struct ChartTools {
    helm: PathBuf,
    helm_docs: PathBuf,
}

impl ChartTools {
    /// Builds what is not in the cache yet.
    ///
    /// # Errors
    /// When a program cannot be built.
    pub(crate) async fn build(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            helm: HELM.build(workspace).await?,
            helm_docs: HELM_DOCS.build(workspace).await?,
        })
    }

    pub(crate) fn helm(&self) -> PathBuf {
        self.helm.join("helm")
    }

    pub(crate) fn helm_docs(&self) -> PathBuf {
        self.helm_docs.join("helm-docs")
    }
}

impl GoPrograms {
    /// Builds what is not in the cache yet; minutes the first time, nothing after that.
    ///
    /// # Errors
    /// When a program cannot be built.
    pub(crate) async fn build(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            etcd: ETCD.build(workspace).await?,
            kubernetes: KUBERNETES.build(workspace).await?,
            helm: HELM.build(workspace).await?,
        })
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.etcd.join("etcd")
    }

    pub(crate) fn api_server(&self) -> PathBuf {
        self.kubernetes.join("kube-apiserver")
    }

    pub(crate) fn controller_manager(&self) -> PathBuf {
        self.kubernetes.join("kube-controller-manager")
    }

    pub(crate) fn kubectl(&self) -> PathBuf {
        self.kubernetes.join("kubectl")
    }

    pub(crate) fn helm(&self) -> PathBuf {
        self.helm.join("helm")
    }
}

impl Module {
    /// Returns the folder of its programs in the cache.
    async fn build(&self, workspace: &Workspace) -> Result<PathBuf> {
        let source = workspace.root.join("tests/cluster").join(self.name);
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
                build_one(program, &go, &all.join(format!(".{program}.log"))).await?;
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
        Ok([
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            &linked,
        ]
        .map(str::to_owned)
        .to_vec())
    }

    /// The hash of all that the programs are made from.
    async fn key(&self, source: &Path, flags: &[String]) -> Result<String> {
        let go = Program::new("go").arguments(["env", "GOVERSION", "GOOS", "GOARCH"]);
        let mut hash = Sha256::new();
        hash.update(command::capture(go.folder(source)).await?);
        for file in ["go.mod", "go.sum"] {
            let path = source.join(file);
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

/// Runs one `go build -v`, which names each package as it compiles it.
async fn build_one(program: &str, go: &Program, log: &Path) -> Result<()> {
    let mut step = Step::begin(format!("Build {program}"));
    let mut running = Running::new(go.spawn(Stdio::null(), Stdio::piped())?);
    let output = running.take_stderr().context("go's output is missing")?;
    let mut lines = BufReader::new(output).lines();
    let mut packages = BTreeSet::new();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.context("cannot read go's output")? {
        step.progress(&format!("{} packages compiled, {line}", packages.len()));
        said.push_str(&line);
        said.push('\n');
        // What go says of its own doings is no package.
        if !line.starts_with("go: ") {
            packages.insert(line);
        }
    }
    let status = running.wait().await?;
    fs::write(log, said).with_context(|| format!("cannot write {}", log.display()))?;
    if !status.success() {
        step.failed();
        let tail = files::tail(log, 15);
        bail!(
            "go build of {program} failed: {status}; {} ends with\n{tail}",
            log.display()
        );
    }
    step.done();
    Ok(())
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
fn kubernetes_versions(text: &str) -> Result<String> {
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
fn helm_versions(text: &str) -> Result<String> {
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

    #[test]
    fn every_program_is_a_tool_of_its_module() {
        for module in [&KUBERNETES, &ETCD, &HELM, &HELM_DOCS] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../tests/cluster")
                .join(module.name)
                .join("go.mod");
            let text = fs::read_to_string(path).unwrap();
            for (program, package) in module.programs {
                assert!(
                    text.contains(package),
                    "{program} is not in {}'s go.mod",
                    module.name
                );
            }
        }
    }
}
