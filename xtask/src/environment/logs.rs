//! Keeping the logs of environments that are no more within bounds.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::names;
use crate::files;
use crate::workspace::Workspace;

/// Of how many environments that are no more the logs stay.
const KEPT: usize = 8;

/// Removes the logs of environments that are no more, but for the last few.
///
/// # Errors
/// When the folder cannot be read or changed.
pub(super) fn tidy(workspace: &Workspace) -> Result<()> {
    let all = workspace.all_logs();
    let entries = match fs::read_dir(&all) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("cannot list {}", all.display()))?,
    };
    let there: BTreeSet<String> = names(workspace).into_iter().collect();
    let mut left: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let named = entry.file_name().into_string().ok()?;
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_dir)?;
            (!there.contains(&named)).then_some((metadata.modified().ok()?, entry.path()))
        })
        .collect();
    left.sort();
    let old = left.len().saturating_sub(KEPT);
    left.iter()
        .take(old)
        .try_for_each(|(_, logs)| files::remove_folder(logs))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_few_and_those_of_what_is_there_stay() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace {
            root: folder.path().into(),
            target: folder.path().join("target"),
            cache: folder.path().into(),
        };
        tidy(&workspace).unwrap();
        let begin = SystemTime::now() - Duration::from_hours(1);
        for number in 0..KEPT as u64 + 3 {
            let logs = workspace.logs(&format!("e-{number}"));
            fs::create_dir_all(&logs).unwrap();
            let made = fs::File::open(&logs).unwrap();
            made.set_modified(begin + Duration::from_secs(number))
                .unwrap();
        }
        fs::write(workspace.all_logs().join("build.log"), "").unwrap();
        fs::create_dir_all(workspace.environments().join("e-0")).unwrap();
        tidy(&workspace).unwrap();
        let kept = |name: &str| workspace.all_logs().join(name).exists();
        assert!(kept("e-0") && kept("build.log"));
        assert!(!kept("e-1") && !kept("e-2"));
        assert!((3..KEPT + 3).all(|number| kept(&format!("e-{number}"))));
    }
}
