//! The objects of the cluster as the watches tell of them.

use std::collections::HashSet;

use super::{Core, Object, Watched};
use crate::model::{Claim, Kind, Namespace};
use crate::plan::events;

impl Core {
    pub(super) fn kinds_watched(&mut self, watched: Watched<Kind>) {
        match watched {
            Watched::Listed(objects) => {
                // One that cannot be read any more stays as it was.
                let mut names: HashSet<String> = HashSet::new();
                for object in objects {
                    match object {
                        Object::Read(kind) => {
                            names.insert(kind.name.clone());
                            self.kind_applied(kind);
                        }
                        Object::Unreadable(uid) => {
                            names.extend(self.kind_of_uid(&uid));
                        }
                    }
                }
                let gone: Vec<String> = self
                    .kinds
                    .keys()
                    .filter(|name| !names.contains(*name))
                    .cloned()
                    .collect();
                for name in gone {
                    self.kinds.remove(&name);
                }
                self.listed.kinds = true;
            }
            Watched::Applied(Object::Read(kind)) => self.kind_applied(kind),
            Watched::Deleted(Object::Read(kind)) => {
                if self.kind_of_uid(&kind.age.uid).is_some() {
                    self.kinds.remove(&kind.name);
                }
            }
            Watched::Deleted(Object::Unreadable(uid)) => {
                if let Some(name) = self.kind_of_uid(&uid) {
                    self.kinds.remove(&name);
                }
            }
            Watched::Applied(Object::Unreadable(_)) => {}
        }
        self.dirty.kinds = true;
    }

    fn kind_of_uid(&self, uid: &str) -> Option<String> {
        self.kinds
            .values()
            .find(|entry| entry.kind.age.uid == uid)
            .map(|entry| entry.kind.name.clone())
    }

    pub(super) fn claims_watched(&mut self, watched: Watched<Claim>) {
        match watched {
            Watched::Listed(objects) => {
                let first = !self.listed.claims;
                let mut uids: HashSet<String> = HashSet::new();
                self.unreadable.clear();
                for object in objects {
                    match object {
                        Object::Read(claim) => {
                            uids.insert(claim.age.uid.clone());
                            self.claim_applied(claim, first);
                        }
                        Object::Unreadable(uid) => {
                            uids.insert(uid.clone());
                            self.claim_unreadable(uid);
                        }
                    }
                }
                let gone: Vec<String> = self
                    .claims
                    .keys()
                    .filter(|uid| !uids.contains(*uid))
                    .cloned()
                    .collect();
                for uid in gone {
                    self.claim_deleted(&uid);
                }
                self.listed.claims = true;
            }
            Watched::Applied(Object::Read(claim)) => self.claim_applied(claim, false),
            Watched::Applied(Object::Unreadable(uid)) => self.claim_unreadable(uid),
            Watched::Deleted(Object::Read(claim)) => self.claim_deleted(&claim.age.uid),
            Watched::Deleted(Object::Unreadable(uid)) => self.claim_deleted(&uid),
        }
    }

    fn claim_unreadable(&mut self, uid: String) {
        self.count_error("unreadable_claim");
        self.unreadable.insert(uid);
    }

    fn claim_deleted(&mut self, uid: &str) {
        self.unreadable.remove(uid);
        let Some(entry) = self.claims.remove(uid) else {
            return;
        };
        let uuid = entry.claim.uuid().to_owned();
        let mut left = 0;
        if let Some(ages) = self.by_uuid.get_mut(&uuid) {
            ages.remove(&entry.claim.age);
            left = ages.len();
            if ages.is_empty() {
                self.by_uuid.remove(&uuid);
            }
        }
        if let Some(event) = events::deleted(&entry.claim.status, &uuid, left) {
            let claim = entry.reference();
            self.events.push_back((claim, event));
        }
        self.dirty.uuids.insert(uuid);
    }

    pub(super) fn namespaces_watched(&mut self, watched: Watched<Namespace>) {
        match watched {
            Watched::Listed(objects) => {
                let before = std::mem::take(&mut self.namespaces);
                for object in objects {
                    if let Object::Read(namespace) = object {
                        self.namespaces.insert(namespace.name, namespace.labels);
                    }
                }
                let changed = self
                    .claims
                    .values()
                    .filter(|entry| {
                        let name = &entry.claim.namespace;
                        before.get(name) != self.namespaces.get(name)
                    })
                    .map(|entry| entry.claim.uuid().to_owned());
                self.dirty.uuids.extend(changed);
                self.listed.namespaces = true;
            }
            Watched::Applied(Object::Read(namespace)) => {
                let Namespace { name, labels } = namespace;
                if self.namespaces.get(&name) != Some(&labels) {
                    self.namespaces.insert(name.clone(), labels);
                    self.touch_claims_of(&name);
                }
            }
            Watched::Deleted(Object::Read(namespace)) => {
                self.namespaces.remove(&namespace.name);
                self.touch_claims_of(&namespace.name);
            }
            // Metadata alone is always read.
            Watched::Applied(Object::Unreadable(_)) | Watched::Deleted(Object::Unreadable(_)) => {}
        }
    }

    fn touch_claims_of(&mut self, namespace: &str) {
        let uuids = self
            .claims
            .values()
            .filter(|entry| entry.claim.namespace == namespace)
            .map(|entry| entry.claim.uuid().to_owned());
        self.dirty.uuids.extend(uuids);
    }
}
