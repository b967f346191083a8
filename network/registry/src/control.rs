//! What the operator says: specifications of kinds, the full set of durable references.

use std::collections::{BTreeMap, BTreeSet};

use huly_protocol::{ErrorCode, ErrorPayload, KindSpec, Sync, Synced};

use crate::calls::{CallKind, spec_payload};
use crate::entry::Entry;
use crate::registry::{Id, Registry};
use crate::requests::{Outcome, now};

/// The specification of a kind and who said it.
#[derive(Debug, Clone)]
pub(crate) struct KnownKind {
    pub(crate) spec: KindSpec,
    /// By the operator, to this server; else agents repeated what an earlier one told them.
    told: bool,
}

/// A sync of which chunks are still to come.
#[derive(Debug)]
pub(crate) struct BegunSync {
    name: String,
    set: BTreeSet<String>,
    next: u32,
}

impl serde::Serialize for KnownKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.spec.serialize(serializer)
    }
}

impl Registry {
    /// The operator sets a specification (`ks`). Its last word holds, whatever its revision: that may
    /// be lower than before, as after Kubernetes' state was restored.
    pub(crate) fn set_kind(&mut self, spec: KindSpec) -> Outcome {
        let kind = Id::from(spec.kind.as_str());
        let before = self.kinds.insert(
            kind.clone(),
            KnownKind {
                spec: spec.clone(),
                told: true,
            },
        );
        self.unname(before.as_ref().map(|known| &known.spec));
        let agents: Vec<Id> = self.rust_agents_serving(&kind);
        for agent in agents {
            self.tell_spec(&agent, &kind);
        }
        let of_kind: Vec<Id> = self
            .of_kind(&kind)
            .map(|entry| entry.uuid.clone())
            .collect();
        let mut by_agent: BTreeMap<Id, Vec<Id>> = BTreeMap::new();
        for uuid in of_kind {
            self.mind_idle(&uuid);
            let agent = self.entries.get(&uuid).and_then(Entry::agent).cloned();
            if let Some(agent) = agent.filter(|_| spec.exclusive) {
                by_agent.entry(agent).or_default().push(uuid);
            }
        }
        // What lives becomes exclusive, and is where it is.
        for (agent, uuids) in by_agent {
            self.confirm(&agent, uuids);
        }
        self.place_waiting();
        now("ok")
    }

    /// The operator has set every kind there is (`kr`).
    pub(crate) fn kind_barrier(&mut self, kinds: Vec<String>) -> Outcome {
        let named: BTreeSet<String> = kinds.into_iter().collect();
        let removed: Vec<Id> = self
            .kinds
            .keys()
            .filter(|kind| !named.contains(&***kind))
            .cloned()
            .collect();
        self.kinds_told = true;
        for kind in &removed {
            let before = self.kinds.remove(kind);
            self.unname(before.as_ref().map(|known| &known.spec));
            for agent in self.rust_agents_serving(kind) {
                self.tell_spec(&agent, kind);
            }
        }
        self.place_waiting();
        now(&removed.iter().map(|kind| &**kind).collect::<Vec<_>>())
    }

    fn rust_agents_serving(&self, kind: &Id) -> Vec<Id> {
        let agents = self
            .agents
            .values()
            .filter(|agent| agent.rust && agent.concerns(kind));
        agents.map(|agent| agent.id.clone()).collect()
    }

    /// Tells an agent what the specification of a kind is now.
    fn tell_spec(&mut self, agent: &Id, kind: &Id) {
        let spec = self.kinds.get(kind).map(|known| &known.spec);
        let payload = spec_payload(agent, kind, spec);
        self.send_call(agent, payload, CallKind::Spec { kind: kind.clone() });
    }

    /// An agent repeats the specifications that it was told; it is told what it lacks.
    pub(crate) fn exchange_specs(&mut self, agent: &Id, said: Vec<KindSpec>) {
        for spec in &said {
            let kind = Id::from(spec.kind.as_str());
            match self.kinds.get(&kind) {
                None if self.kinds_told => self.tell_spec(agent, &kind),
                Some(known) if known.told || known.spec.revision >= spec.revision => {}
                _ => {
                    self.kinds.insert(
                        kind,
                        KnownKind {
                            spec: spec.clone(),
                            told: false,
                        },
                    );
                }
            }
        }
        let Some(known) = self.agents.get(agent).filter(|agent| agent.rust) else {
            return;
        };
        let lacks: Vec<Id> = self
            .kinds
            .iter()
            .filter(|(kind, _)| known.concerns(kind))
            .filter(|(_, known)| !said.contains(&known.spec))
            .map(|(kind, _)| kind.clone())
            .collect();
        for kind in lacks {
            self.tell_spec(agent, &kind);
        }
    }

    /// The operator says which durable references it holds (`xs`): others are released.
    pub(crate) fn sync(&mut self, client: &Id, part: Sync) -> Outcome {
        let Some(session) = self.sessions.get_mut(client) else {
            return now("ok");
        };
        let (mut set, expected) = match session.sync.take() {
            Some(begun) if begun.name == part.sync => (begun.set, begun.next),
            _ => (BTreeSet::new(), 0),
        };
        if part.chunk != expected {
            let message = format!("chunk {} of sync {} does not follow", part.chunk, part.sync);
            return Err(ErrorPayload::new(ErrorCode::BadRequest, message));
        }
        set.extend(part.uuids);
        if !part.last {
            session.sync = Some(BegunSync {
                name: part.sync,
                set,
                next: part.chunk + 1,
            });
            return now(&Synced::default());
        }
        self.synced = true;
        let held = self.durable.get(client).cloned().unwrap_or_default();
        let mut synced = Synced::default();
        let named: BTreeSet<Id> = set.iter().map(|uuid| Id::from(uuid.as_str())).collect();
        for uuid in held {
            if !set.remove(&*uuid) {
                self.drop_reference(client, &uuid, true);
                synced.released.push(uuid.to_string());
            }
        }
        match named.is_empty() {
            true => self.named.remove(client),
            false => self.named.insert(client.clone(), named),
        };
        synced.missing = set.into_iter().collect();
        now(&synced)
    }
}
