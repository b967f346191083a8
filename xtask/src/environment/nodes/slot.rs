//! Which clusters have which number on this machine, across caches and checkouts.
//!
//! A slot is claimed by a file before anything of it is made, so that whoever clears an
//! environment finds what a run that was ended by force had made.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::plan::{SLOTS, bridge, range};
use crate::files::{self, Lock};

/// The slots of this machine. A restart of it empties /run, and ends what the slots stood for.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    folder: PathBuf,
    lock: PathBuf,
}

impl Slots {
    pub(super) fn of_this_machine() -> Self {
        Self {
            folder: "/run/huly-network".into(),
            lock: "/run/lock/huly-network".into(),
        }
    }

    /// Takes a slot that nobody has for an environment.
    ///
    /// # Errors
    /// When all are taken, or the claim cannot be written.
    pub(super) async fn claim(&self, environment: &Path, in_use: &InUse) -> Result<u8> {
        let _lock = Lock::take(&self.lock, || ()).await?;
        for slot in 0..SLOTS {
            let claim = self.file(slot);
            if claim.exists() || in_use.has(slot) {
                continue;
            }
            files::create_parent(&claim)?;
            fs::write(&claim, environment.as_os_str().as_encoded_bytes())
                .with_context(|| format!("cannot write {}", claim.display()))?;
            return Ok(slot);
        }
        bail!("all {SLOTS} places for clusters with nodes are taken on this machine")
    }

    /// The slots that an environment has: one, or none.
    pub(super) fn of(&self, environment: &Path) -> Vec<u8> {
        (0..SLOTS)
            .filter(|slot| {
                fs::read(self.file(*slot))
                    .is_ok_and(|owner| owner == environment.as_os_str().as_encoded_bytes())
            })
            .collect()
    }

    /// The slots whose environment is gone, with its folder and all that could end it.
    pub(super) fn abandoned(&self) -> Vec<u8> {
        (0..SLOTS)
            .filter(|slot| {
                fs::read(self.file(*slot))
                    .is_ok_and(|owner| !Path::new(OsStr::from_bytes(&owner)).exists())
            })
            .collect()
    }

    /// The names of the environments of a folder that have slots, in order.
    pub(super) fn owners(&self, environments: &Path) -> BTreeSet<String> {
        (0..SLOTS)
            .filter_map(|slot| fs::read(self.file(slot)).ok())
            .filter_map(|owner| {
                let owner = Path::new(OsStr::from_bytes(&owner));
                let name = owner.strip_prefix(environments).ok()?.to_str()?;
                Some(name.to_owned())
            })
            .collect()
    }

    /// The slots that other environments have.
    pub(super) fn of_others(&self, environment: &Path) -> Vec<u8> {
        let own = environment.as_os_str().as_encoded_bytes();
        (0..SLOTS)
            .filter(|slot| fs::read(self.file(*slot)).is_ok_and(|owner| owner != own))
            .collect()
    }

    /// Gives a slot up, after all of it is gone.
    ///
    /// # Errors
    /// When the claim cannot be removed.
    pub(super) async fn release(&self, slot: u8) -> Result<()> {
        let _lock = Lock::take(&self.lock, || ()).await?;
        files::remove_file(&self.file(slot))?;
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => {
                Err(error).with_context(|| format!("cannot remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    fn file(&self, slot: u8) -> PathBuf {
        self.folder.join(slot.to_string())
    }
}

/// What the machine uses already: interfaces and the networks that it has routes to.
#[derive(Debug, Default)]
pub(super) struct InUse {
    pub(super) interfaces: Vec<String>,
    pub(super) networks: Vec<(Ipv4Addr, u8)>,
}

impl InUse {
    fn has(&self, slot: u8) -> bool {
        let bridge = bridge(slot);
        self.interfaces.contains(&bridge)
            || self
                .networks
                .iter()
                .any(|network| overlap(*network, (range(slot), 16)))
    }
}

/// Whether two networks share an address. A default route is a way, not a network.
fn overlap(one: (Ipv4Addr, u8), other: (Ipv4Addr, u8)) -> bool {
    let length = one.1.min(other.1).min(32);
    if length == 0 {
        return false;
    }
    let shift = 32 - u32::from(length);
    one.0.to_bits() >> shift == other.0.to_bits() >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(folder: &Path) -> Slots {
        Slots {
            folder: folder.join("slots"),
            lock: folder.join("lock"),
        }
    }

    #[tokio::test]
    async fn every_environment_has_a_slot_of_its_own_until_it_gives_it_up() {
        let folder = tempfile::tempdir().unwrap();
        let slots = slots(folder.path());
        let [one, two] = [Path::new("/cache/run/one"), Path::new("/other/run/one")];
        let nothing = InUse::default();
        assert_eq!(slots.claim(one, &nothing).await.unwrap(), 0);
        assert_eq!(slots.claim(two, &nothing).await.unwrap(), 1);
        assert_eq!(slots.of(one), [0]);
        assert_eq!(slots.of(two), [1]);
        assert_eq!(slots.of_others(two), [0]);
        let owners = slots.owners(Path::new("/cache/run"));
        assert_eq!(owners, BTreeSet::from(["one".to_owned()]));
        slots.release(0).await.unwrap();
        assert!(slots.of(one).is_empty());
        assert_eq!(slots.claim(two, &nothing).await.unwrap(), 0);
        slots.release(0).await.unwrap();
        slots.release(1).await.unwrap();
        assert!(!folder.path().join("slots").exists());
    }

    #[tokio::test]
    async fn a_slot_whose_environment_is_gone_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let slots = slots(folder.path());
        let environment = folder.path().join("environment");
        fs::create_dir(&environment).unwrap();
        slots.claim(&environment, &InUse::default()).await.unwrap();
        assert!(slots.abandoned().is_empty());
        fs::remove_dir(&environment).unwrap();
        assert_eq!(slots.abandoned(), [0]);
    }

    #[tokio::test]
    async fn what_the_machine_uses_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let slots = slots(folder.path());
        let in_use = InUse {
            interfaces: vec!["lo".to_owned(), bridge(0)],
            networks: vec![
                (Ipv4Addr::UNSPECIFIED, 0),
                (range(1), 24),
                (Ipv4Addr::new(10, 130, 0, 0), 15),
            ],
        };
        let claimed = slots.claim(Path::new("/one"), &in_use).await.unwrap();
        assert_eq!(claimed, 4);
        let all = InUse {
            networks: vec![(Ipv4Addr::new(10, 0, 0, 0), 8)],
            ..InUse::default()
        };
        let error = slots.claim(Path::new("/two"), &all).await.unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
    }
}
