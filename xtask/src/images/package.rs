//! What is known of a package that an image is made from, and of the commit that it is built at.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::Deserialize;

use super::archive::ImageConfig;
use crate::command::{self, Program};
use crate::workspace::Workspace;

/// A package of the workspace with a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    /// The package's name, as cargo knows it.
    pub(super) name: String,
    /// Its program: the one with the package's name, else its first.
    pub(super) program: String,
    pub(super) version: String,
    description: Option<String>,
    license: Option<String>,
    repository: Option<String>,
    ports: Vec<u16>,
}

/// The commit that an image is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// Its id, if there is git here; `-dirty` follows when files differ from it.
    revision: Option<String>,
    /// SOURCE_DATE_EPOCH, else the commit's time: never the time of the build.
    created: Timestamp,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revision = self.revision.as_deref().unwrap_or("no commit");
        write!(formatter, "{revision} ({})", self.created)
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    version: String,
    description: Option<String>,
    license: Option<String>,
    repository: Option<String>,
    targets: Vec<Target>,
    metadata: Option<Extra>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// `[package.metadata]`: other tools have their own members there.
#[derive(Deserialize)]
struct Extra {
    image: Option<ImageExtra>,
}

/// `[package.metadata.image]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageExtra {
    #[serde(default)]
    ports: Vec<u16>,
}

/// Finds packages of the workspace by name.
///
/// # Errors
/// When one is not there or has no program: with the names of those that do.
pub(super) async fn find(workspace: &Workspace, names: &[&str]) -> Result<Vec<Package>> {
    let metadata = Program::cargo()
        .arguments(["metadata", "--no-deps", "--format-version=1"])
        .folder(&workspace.root);
    choose(&command::capture(metadata).await?, names)
}

fn choose(metadata: &str, names: &[&str]) -> Result<Vec<Package>> {
    let metadata: Metadata =
        serde_json::from_str(metadata).context("cannot read what cargo metadata says")?;
    let with_programs: Vec<Package> = metadata
        .packages
        .into_iter()
        .filter_map(Package::new)
        .collect();
    names
        .iter()
        .map(|name| {
            let found = with_programs.iter().find(|package| package.name == *name);
            found.cloned().with_context(|| {
                let known: Vec<&str> = with_programs
                    .iter()
                    .map(|package| package.name.as_str())
                    .collect();
                format!(
                    "there is no package {name} with a program; there are {}",
                    known.join(", ")
                )
            })
        })
        .collect()
}

impl Package {
    fn new(described: Described) -> Option<Self> {
        let mut programs: Vec<String> = described
            .targets
            .into_iter()
            .filter(|target| target.kind.iter().any(|kind| kind == "bin"))
            .map(|target| target.name)
            .collect();
        let chosen = programs
            .iter()
            .position(|program| *program == described.name)
            .unwrap_or(0);
        if programs.is_empty() {
            return None;
        }
        let image = described.metadata.and_then(|extra| extra.image);
        Some(Self {
            program: programs.swap_remove(chosen),
            name: described.name,
            version: described.version,
            description: described.description,
            license: described.license,
            repository: described.repository,
            ports: image.map(|image| image.ports).unwrap_or_default(),
        })
    }

    /// How its image is started and what is said of it.
    pub(super) fn image(&self, version: &str, origin: &Origin) -> ImageConfig {
        let said = [
            ("title", Some(&self.program)),
            ("description", self.description.as_ref()),
            ("version", Some(&version.to_owned())),
            ("licenses", self.license.as_ref()),
            ("source", self.repository.as_ref()),
            ("revision", origin.revision.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| {
            Some((
                format!("org.opencontainers.image.{name}"),
                value?.to_owned(),
            ))
        })
        .collect::<BTreeMap<_, _>>();
        ImageConfig {
            entrypoint: vec![format!("/{}", self.program)],
            ports: self.ports.clone(),
            labels: said,
            created: origin.created,
            ..ImageConfig::default()
        }
    }
}

impl Origin {
    /// Asks git; without git, or in a source that is no checkout, nothing is said of a commit.
    pub(super) async fn of(workspace: &Workspace) -> Result<Self> {
        let git = |arguments: &[&str]| {
            let git = Program::new("git").arguments(arguments);
            command::capture(git.folder(&workspace.root))
        };
        let epoch = std::env::var("SOURCE_DATE_EPOCH").ok();
        let Ok(commit) = git(&["log", "-1", "--format=%H %ct"]).await else {
            return Self::new(None, false, epoch.as_deref());
        };
        let changed = git(&["status", "--porcelain"]).await?;
        Self::new(Some(commit.trim()), !changed.is_empty(), epoch.as_deref())
    }

    pub(super) fn new(commit: Option<&str>, dirty: bool, epoch: Option<&str>) -> Result<Self> {
        let (revision, time) = match commit.map(|commit| commit.split_once(' ')) {
            Some(Some((revision, time))) => (Some(revision), Some(time)),
            Some(None) => bail!("git does not say when the last commit was made"),
            None => (None, None),
        };
        let seconds = epoch.or(time).unwrap_or("0");
        let created = seconds
            .parse()
            .ok()
            .filter(|seconds| *seconds >= 0)
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .with_context(|| format!("{seconds:?} is no time in seconds (SOURCE_DATE_EPOCH)"))?;
        let suffix = if dirty { "-dirty" } else { "" };
        Ok(Self {
            revision: revision.map(|revision| format!("{revision}{suffix}")),
            created,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages": [
        {"name": "huly-registry", "version": "0.1.0", "targets": [{"name": "huly_registry", "kind": ["lib"]}]},
        {"name": "huly", "version": "0.1.0", "description": "Command line", "license": "EPL-2.0",
         "targets": [{"name": "kubectl-huly", "kind": ["bin"]}, {"name": "huly", "kind": ["bin"]}],
         "metadata": {"docs": {"rs": {}}}},
        {"name": "huly-agent-stock", "version": "0.2.0",
         "targets": [{"name": "huly-agent", "kind": ["bin"]}],
         "metadata": {"image": {"ports": [3738, 9091]}}}
    ]}"#;

    #[test]
    fn a_packages_image_has_the_program_of_its_name_or_its_only_one() {
        let packages = choose(METADATA, &["huly-agent-stock", "huly"]).unwrap();
        let programs: Vec<&str> = packages.iter().map(|each| each.program.as_str()).collect();
        assert_eq!(programs, ["huly-agent", "huly"]);
    }

    #[test]
    fn a_package_without_a_program_is_refused_by_name() {
        for name in ["huly-registry", "nothing"] {
            let error = choose(METADATA, &[name]).unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains("huly-agent-stock"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_image_says_what_the_package_says() {
        let packages = choose(METADATA, &["huly", "huly-agent-stock"]).unwrap();
        let origin = Origin::new(Some("abc 1767323045"), true, None).unwrap();
        let image = packages[0].image("7.0.0", &origin);
        assert_eq!(image.entrypoint, ["/huly"]);
        assert_eq!(image.user, "65532:65532");
        assert_eq!(image.created.to_string(), "2026-01-02T03:04:05Z");
        let labels: Vec<(&str, &str)> = image
            .labels
            .iter()
            .map(|(name, value)| {
                let name = name.strip_prefix("org.opencontainers.image.").unwrap();
                (name, value.as_str())
            })
            .collect();
        assert_eq!(
            labels,
            [
                ("description", "Command line"),
                ("licenses", "EPL-2.0"),
                ("revision", "abc-dirty"),
                ("title", "huly"),
                ("version", "7.0.0"),
            ]
        );
        assert_eq!(packages[1].image("7.0.0", &origin).ports, [3738, 9091]);
    }

    #[test]
    fn the_given_time_goes_before_the_commits_and_a_wrong_one_is_refused() {
        let created = |commit, epoch| {
            Origin::new(commit, false, epoch).map(|origin| origin.created.as_second())
        };
        assert_eq!(created(Some("abc 20"), Some("30")).unwrap(), 30);
        assert_eq!(created(Some("abc 20"), None).unwrap(), 20);
        assert_eq!(created(None, None).unwrap(), 0);
        for wrong in ["", "-1", "soon", "99999999999999999"] {
            let error = created(None, Some(wrong)).unwrap_err().to_string();
            assert!(error.contains("SOURCE_DATE_EPOCH"), "{error}");
        }
    }
}
