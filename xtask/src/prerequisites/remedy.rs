//! How what is missing is got: by programs, some of which only root may run, or by hand.

use std::future::Future;

use anyhow::Result;

use crate::command::{self, Program};

/// How something that is missing is got.
#[derive(Debug, Clone)]
pub(super) enum Remedy {
    /// By programs that this one may run.
    Programs(Install),
    /// By hand: a sentence that says how.
    Hand(String),
}

/// The programs that install something.
#[derive(Debug, Clone)]
pub(super) struct Install {
    /// As a person types it.
    pub(super) shown: String,
    pub(super) programs: Vec<Program>,
    pub(super) needs_root: bool,
    /// What to do where they do not give enough.
    pub(super) otherwise: &'static str,
    /// What to do instead of running them.
    pub(super) or: Option<&'static str>,
}

impl Install {
    fn how(&self) -> String {
        let root = if self.needs_root { ", as root," } else { "" };
        let or = self.or.map(|or| format!("\n    or {or}"));
        let or = or.unwrap_or_default();
        format!("install{root} with: {}{or}", self.shown)
    }
}

/// Something that is not there.
#[derive(Debug, Clone)]
pub(super) struct Missing<T> {
    pub(super) what: T,
    pub(super) name: &'static str,
    pub(super) reason: String,
    pub(super) remedy: Remedy,
}

impl<T> Missing<T> {
    /// Whether the user who runs this program may run the programs that install it.
    fn is_installable(&self, root: bool) -> bool {
        matches!(&self.remedy, Remedy::Programs(install) if root || !install.needs_root)
    }

    fn shown(&self) -> String {
        let how = match &self.remedy {
            Remedy::Hand(how) => how.clone(),
            Remedy::Programs(install) => install.how(),
        };
        format!("  {} ({})\n    {how}", self.name, self.reason)
    }
}

/// All that is missing, each with how it is got.
pub(super) fn list<T>(missing: &[Missing<T>]) -> String {
    let lines: Vec<String> = missing.iter().map(Missing::shown).collect();
    lines.join("\n")
}

/// Whether the user who runs this program may install anything of it.
pub(super) fn any_installable<T>(missing: &[Missing<T>], root: bool) -> bool {
    missing.iter().any(|one| one.is_installable(root))
}

/// Installs what the user may; what cannot be installed stays missing, with the reason why.
pub(super) async fn install<T, F>(
    missing: Vec<Missing<T>>,
    root: bool,
    check: impl Fn(&T) -> F,
) -> Vec<Missing<T>>
where
    F: Future<Output = Result<()>>,
{
    let mut left = Vec::new();
    for mut one in missing {
        let Remedy::Programs(install) = one.remedy.clone() else {
            left.push(one);
            continue;
        };
        if !one.is_installable(root) {
            left.push(one);
            continue;
        }
        println!("  installing {}: {}", one.name, install.shown);
        if let Err(error) = run(install.programs).await {
            one.reason = format!("{error:#}");
            left.push(one);
        } else if let Err(error) = check(&one.what).await {
            one.reason = format!("it is installed, but not enough: {error:#}");
            one.remedy = Remedy::Hand(install.otherwise.to_owned());
            left.push(one);
        }
    }
    left
}

async fn run(programs: Vec<Program>) -> Result<()> {
    for program in programs {
        command::stream(program).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use anyhow::ensure;

    use super::*;

    /// A file that a script makes.
    fn missing(path: PathBuf, script: &str, needs_root: bool) -> Missing<PathBuf> {
        Missing {
            name: "the file",
            reason: "it is not there".into(),
            remedy: Remedy::Programs(Install {
                shown: format!("make {}", path.display()),
                programs: vec![Program::new("sh").arguments(["-c", script]).argument(&path)],
                needs_root,
                otherwise: "find it elsewhere",
                or: None,
            }),
            what: path,
        }
    }

    async fn is_there(path: &Path) -> Result<()> {
        ensure!(path.exists(), "no file");
        Ok(())
    }

    #[tokio::test]
    async fn what_may_be_installed_is_and_all_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let make = "echo > \"$0\"";
        let all = || {
            vec![
                missing(at("roots"), make, true),
                missing(at("broken"), "exit 3", false),
                missing(at("other"), "true", false),
                missing(at("plain"), make, false),
            ]
        };
        let check = |path: &PathBuf| {
            let path = path.clone();
            async move { is_there(&path).await }
        };
        let left = install(all(), false, check).await;
        assert!(at("plain").exists() && !at("roots").exists());
        let names = left.iter().map(|one| one.what.clone()).collect::<Vec<_>>();
        assert_eq!(names, [at("roots"), at("broken"), at("other")]);
        let said = list(&left);
        for part in [
            format!("install, as root, with: make {}", at("roots").display()),
            "failed: exit status: 3".to_owned(),
            format!("install with: make {}", at("broken").display()),
            "not enough: no file)\n    find it elsewhere".to_owned(),
        ] {
            assert!(said.contains(&part), "{part}: {said}");
        }
        assert!(any_installable(&all(), false));
        assert!(!any_installable(&all()[..1], false) && any_installable(&all()[..1], true));

        let left = install(all(), true, check).await;
        assert!(at("roots").exists());
        assert_eq!(left.len(), 2);
    }
}
