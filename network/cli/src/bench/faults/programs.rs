//! Where the programs of a network are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Finds a program: where a flag says it, else beside this one, else on PATH.
///
/// # Errors
/// When it is nowhere.
pub(crate) fn find(name: &str, flag: &str, told: Option<&Path>) -> Result<PathBuf> {
    let beside = std::env::current_exe().ok();
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(name, flag, told, beside.as_deref(), &path)
}

fn find_in(
    name: &str,
    flag: &str,
    told: Option<&Path>,
    this: Option<&Path>,
    path: &OsStr,
) -> Result<PathBuf> {
    if let Some(told) = told {
        if !told.is_file() {
            bail!("{flag} {}: there is no such program", told.display());
        }
        return Ok(told.to_owned());
    }
    let beside = this.and_then(Path::parent).map(Path::to_owned);
    let folders = beside.into_iter().chain(std::env::split_paths(path));
    let found = folders
        .map(|folder| folder.join(name))
        .find(|it| it.is_file());
    let Some(found) = found else {
        bail!("{name} is neither beside this program nor on PATH: say where with {flag}");
    };
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_for_beside_this_one_and_on_path() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let this = here.path().join("huly");
        let path = std::env::join_paths([Path::new("/nowhere"), there.path()]).unwrap();
        let find = |told: Option<&Path>| find_in("agent", "--agent", told, Some(&this), &path);

        let error = find(None).unwrap_err().to_string();
        assert!(error.contains("say where with --agent"), "{error}");
        let on_path = there.path().join("agent");
        std::fs::write(&on_path, "").unwrap();
        assert_eq!(find(None).unwrap(), on_path);
        let beside = here.path().join("agent");
        std::fs::write(&beside, "").unwrap();
        assert_eq!(find(None).unwrap(), beside);
        assert_eq!(find(Some(&on_path)).unwrap(), on_path);
        let error = find(Some(Path::new("/nowhere/agent"))).unwrap_err();
        assert!(error.to_string().contains("no such program"), "{error}");
    }
}
