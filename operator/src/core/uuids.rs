//! Which claims have a uuid, and so what is to become of its reference.

use huly_operator_api::UuidScope;
use huly_protocol::{GetExt, GetParams, GetRequest, Json};

use super::Core;
use super::claims::ClaimEntry;
use super::references::Want;
use crate::plan::access::{Access, access};
use crate::plan::uuids::{Asker, share};

impl Core {
    /// Finds out which claims have a uuid, and what is to become of its reference.
    pub(super) fn plan_uuid(&mut self, uuid: &str) {
        let ages = self.by_uuid.get(uuid).into_iter().flatten();
        let entries: Vec<(&ClaimEntry, Access)> = ages
            .filter_map(|age| self.claims.get(&age.uid))
            .map(|entry| (entry, self.access_of(entry)))
            .collect();
        let askers: Vec<(&ClaimEntry, Asker<'_>, bool)> = entries
            .iter()
            .filter_map(|(entry, access)| {
                let gets = *access == Access::Granted;
                Some((*entry, self.asker(uuid, entry, access)?, gets))
            })
            .collect();
        let mut want = match askers.is_empty() {
            true => Want::No,
            false => Want::Keep,
        };
        let mut shares = Vec::new();
        for (entry, asker, gets) in &askers {
            let share = share(uuid, &askers[0].1, asker);
            if *gets && share.is_ok() && want == Want::Keep {
                want = Want::Get(Box::new(get_params(uuid, asker.kind, entry)));
            }
            shares.push((asker.uid.to_owned(), share));
        }
        let accesses: Vec<(String, Access)> = entries
            .into_iter()
            .map(|(entry, access)| (entry.claim.age.uid.clone(), access))
            .collect();
        for (uid, access) in accesses {
            if let Some(entry) = self.claims.get_mut(&uid) {
                entry.access = access;
                entry.share = Ok(());
            }
            self.dirty.claims.insert(uid);
        }
        for (uid, share) in shares {
            if let Some(entry) = self.claims.get_mut(&uid) {
                entry.share = share;
            }
        }
        self.want(uuid, want);
    }

    /// A claim that may have a container, or keeps the one that it has.
    fn asker<'a>(
        &'a self,
        uuid: &str,
        entry: &'a ClaimEntry,
        access: &Access,
    ) -> Option<Asker<'a>> {
        let known = self.kinds.get(&entry.claim.spec.container_kind_name);
        let (kind, scope) = match (access, known) {
            (Access::Refused(_), _) => return None,
            (Access::NotYet, _) if !entry.claim.was_bound() => return None,
            (Access::Granted | Access::NotYet, Some(known)) => (
                known.kind.kind_name(),
                known.kind.spec.allowed_namespaces.uuid_scope,
            ),
            // The kind's name went with the ContainerKind; the container still says it.
            _ => {
                let reference = self.references.get(uuid);
                let fact = reference.and_then(|reference| reference.fact.as_ref());
                let kind = fact.map(|fact| fact.kind.as_str());
                (kind.unwrap_or_default(), UuidScope::Cluster)
            }
        };
        Some(Asker {
            uid: &entry.claim.age.uid,
            namespace: &entry.claim.namespace,
            kind,
            scope,
        })
    }

    fn access_of(&self, entry: &ClaimEntry) -> Access {
        let name = &entry.claim.spec.container_kind_name;
        let kind = self.kinds.get(name).map(|known| &known.kind);
        let kind = kind.zip(self.states.get(name));
        let labels = self.namespaces.get(&entry.claim.namespace);
        access(&self.network, &entry.claim, kind, labels)
    }
}

fn get_params(uuid: &str, kind: &str, entry: &ClaimEntry) -> GetParams {
    let spec = &entry.claim.spec;
    let labels = &spec.container_labels;
    GetParams {
        kind: kind.to_owned(),
        request: GetRequest {
            uuid: Some(uuid.to_owned()),
            labels: (!labels.is_empty()).then(|| labels.clone()),
            extra: spec.extra.as_ref().and_then(|extra| Json::of(extra).ok()),
        },
        huly: Some(GetExt {
            fresh: entry.is_fresh(),
            strict: true,
            durable: true,
            ..GetExt::default()
        }),
    }
}
