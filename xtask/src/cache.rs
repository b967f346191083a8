//! Keeping the cache small: of the versions of one thing, only those in use stay.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::files;

/// What has not been used for this long is removed, unless it is in use now.
const UNUSED: Duration = Duration::from_hours(24 * 30);

/// How many versions of one thing stay.
const VERSIONS: usize = 2;

/// The folder of one version of a thing: its kind and the key of all that it is made from.
pub(crate) fn version(kind: &str, key: &str) -> String {
    format!("{kind}-{key}")
}

/// Notes that a version is in use, and removes the ones of its kind that are old or too many.
///
/// # Errors
/// When the folder cannot be read or changed.
pub(crate) fn use_version(folder: &Path, kind: &str, key: &str) -> Result<()> {
    let current = folder.join(version(kind, key));
    let now = SystemTime::now();
    fs::File::open(&current)
        .and_then(|used| used.set_modified(now))
        .with_context(|| format!("cannot mark {} as used", current.display()))?;

    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let versions: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let (its_kind, _) = name.rsplit_once('-')?;
            let used = entry.metadata().ok()?.modified().ok()?;
            (its_kind == kind).then(|| (used, entry.path()))
        })
        .collect();
    for old in superfluous(versions, &current, now) {
        files::remove_folder(&old)?;
    }
    Ok(())
}

fn superfluous(
    mut versions: Vec<(SystemTime, PathBuf)>,
    current: &Path,
    now: SystemTime,
) -> Vec<PathBuf> {
    versions.retain(|(_, path)| path != current);
    versions.sort();
    versions.reverse();
    versions
        .into_iter()
        .enumerate()
        .filter(|(place, (used, _))| {
            let unused = now.duration_since(*used).unwrap_or_default();
            place + 1 >= VERSIONS || unused > UNUSED
        })
        .map(|(_, (_, path))| path)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days_ago(now: SystemTime, days: u64) -> SystemTime {
        now - Duration::from_hours(24 * days)
    }

    #[test]
    fn the_newest_two_stay_unless_one_is_old() {
        let now = SystemTime::now();
        let versions = |days: [u64; 3]| {
            ["a", "b", "c"]
                .into_iter()
                .zip(days)
                .map(|(name, days)| (days_ago(now, days), PathBuf::from(name)))
                .collect::<Vec<_>>()
        };
        let removed = |days| superfluous(versions(days), Path::new("a"), now);
        assert_eq!(removed([0, 2, 1]), [PathBuf::from("b")]);
        assert_eq!(
            removed([0, 31, 40]),
            [PathBuf::from("b"), PathBuf::from("c")]
        );
        assert_eq!(
            removed([50, 2, 1]),
            [PathBuf::from("b")],
            "the one in use stays"
        );
    }

    #[test]
    fn other_kinds_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etcd-1", "etcd-2", "etcd-3", "kubernetes-1", "kubernetes-2"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            let used = fs::File::open(folder.path().join(name)).unwrap();
            used.set_modified(days_ago(SystemTime::now(), 1)).unwrap();
        }
        use_version(folder.path(), "etcd", "3").unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["etcd-2", "etcd-3", "kubernetes-1", "kubernetes-2"]);
    }
}
