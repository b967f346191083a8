//! Agents: what they said of themselves, what they host, when they are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{
    AgentExt, AgentInfo, AgentInfoExt, ContainerRecord, ErrorCode, ErrorPayload, EventKind,
};

use crate::chunks::Chunks;
use crate::registry::{Id, Registry};
use crate::requests::{Outcome, now};
use crate::stats::Counted;

/// An agent as the server knows it.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) id: Id,
    /// The client that serves it.
    pub(crate) client: Id,
    pub(crate) rust: bool,
    /// Its place in the order of registration.
    pub(crate) seq: u64,
    pub(crate) kinds: BTreeSet<Id>,
    pub(crate) endpoint: Option<String>,
    pub(crate) ext: AgentExt,
    /// Containers that it has, starts or ends.
    pub(crate) containers: BTreeSet<Id>,
    pub(crate) by_kind: BTreeMap<Id, u32>,
    /// The kinds of the containers that it keeps in reserve, by uuid.
    pub(crate) standbys: BTreeMap<Id, Id>,
    /// Its connection closed a moment ago.
    pub(crate) suspected: bool,
    pub(crate) draining: bool,
    /// Of a TypeScript agent: its last registration.
    pub(crate) told: Option<Told>,
}

/// A registration of a TypeScript agent.
#[derive(Debug)]
pub(crate) struct Told {
    /// Who registered: a process, which counts its requests over all its connections.
    client: Id,
    /// The number of the request.
    number: u64,
    /// What the agent was told to end.
    ends: Vec<String>,
}

/// The number in a TypeScript client's request id (W05).
fn number_of(request: &str) -> Option<u64> {
    let (_, number) = request.rsplit_once('-')?;
    number.parse().ok()
}

impl Agent {
    pub(crate) fn state_text(&self) -> &'static str {
        if self.suspected {
            "Suspected"
        } else if self.draining {
            "Draining"
        } else {
            "Live"
        }
    }

    pub(crate) fn kind_names(&self) -> Vec<String> {
        self.kinds.iter().map(|kind| kind.to_string()).collect()
    }

    pub(crate) fn info(&self, rust: bool) -> AgentInfo {
        AgentInfo {
            agent_id: self.id.to_string(),
            endpoint: self.endpoint.clone(),
            kinds: self.kind_names(),
            containers: u32::try_from(self.containers.len()).unwrap_or(u32::MAX),
            huly: rust.then(|| AgentInfoExt {
                labels: self.ext.labels.clone(),
                node: self.ext.node.clone(),
                pod: self.ext.pod.clone(),
                state: self.state_text().to_owned(),
                containers_by_kind: self
                    .by_kind
                    .iter()
                    .map(|(kind, count)| (kind.to_string(), *count))
                    .collect(),
                standbys_by_kind: self.standbys_by_kind(),
            }),
        }
    }

    fn standbys_by_kind(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for kind in self.standbys.values() {
            *counts.entry(kind.to_string()).or_default() += 1;
        }
        counts
    }

    /// Whether it can host the kind, or hosts or keeps a container of it.
    pub(crate) fn concerns(&self, kind: &Id) -> bool {
        self.kinds.contains(kind)
            || self.by_kind.contains_key(kind)
            || self.standbys.values().any(|of| of == kind)
    }
}

impl Registry {
    /// What a registration is answered that was made before the one that came last, or is that one.
    /// After a fresh uuid a TypeScript client registers its agents anew, and sends again what was not
    /// answered, mostly the first of it before (W21): an earlier registration among it lacks what has
    /// started since. It is told what the last was, but for what has been placed there meanwhile.
    pub(crate) fn outdated(&self, client: &Id, agent: &Id, request: &str) -> Option<Vec<&str>> {
        let told = self.agents.get(agent)?.told.as_ref()?;
        let is_known = told.client == *client && number_of(request)? <= told.number;
        if self.is_rust(client) || !is_known {
            return None;
        }
        let elsewhere = |uuid: &&str| {
            let entry = self.entries.get(*uuid);
            entry.is_none_or(|entry| entry.agent() != Some(agent))
        };
        let ends = told.ends.iter().map(String::as_str);
        Some(ends.filter(elsewhere).collect())
    }

    pub(crate) fn note_told(&mut self, client: &Id, agent: &Id, request: &str, answer: &[u8]) {
        let ends = serde_json::from_slice(answer).unwrap_or_default();
        let number = number_of(request).filter(|_| !self.is_rust(client));
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.told = number.map(|number| Told {
                client: client.clone(),
                number,
                ends,
            });
        }
    }

    pub(crate) fn list_agents(&self, rust: bool) -> Vec<AgentInfo> {
        self.agents.values().map(|agent| agent.info(rust)).collect()
    }

    pub(crate) fn list_kinds(&self) -> Vec<String> {
        let kinds: BTreeSet<&Id> = self
            .agents
            .values()
            .flat_map(|agent| &agent.kinds)
            .collect();
        kinds.into_iter().map(|kind| kind.to_string()).collect()
    }

    pub(crate) fn list_containers(&self, kind: Option<&str>, rust: bool) -> Vec<ContainerRecord> {
        let kinds: Vec<&str> = match kind {
            Some(kind) => vec![kind],
            None => self.by_kind.keys().map(|kind| &**kind).collect(),
        };
        kinds
            .into_iter()
            .flat_map(|kind| self.of_kind(kind))
            .filter(|entry| entry.is_live())
            .map(|entry| entry.record(rust))
            .collect()
    }

    /// Notes that an agent has, starts or ends a container.
    pub(crate) fn attach(&mut self, agent: &Id, uuid: &Id, kind: &Id) {
        if let Some(agent) = self.agents.get_mut(agent)
            && agent.containers.insert(uuid.clone())
        {
            *agent.by_kind.entry(kind.clone()).or_default() += 1;
        }
    }

    /// The registration of an agent of which chunks are still to come.
    fn begun_registration(&mut self, agent: &Id) -> Option<&mut Chunks> {
        let client = &self.agents.get(agent)?.client;
        self.sessions.get_mut(client)?.chunks.get_mut(agent)
    }

    /// Notes that a container that an agent was told to start lives there.
    pub(crate) fn note_came(&mut self, agent: &Id, uuid: &Id) {
        if let Some(begun) = self.begun_registration(agent) {
            begun.came.insert(uuid.clone());
        }
    }

    /// Notes that it does not any more.
    pub(crate) fn detach(&mut self, agent: &Id, uuid: &Id, kind: &Id) {
        if let Some(begun) = self.begun_registration(agent) {
            begun.came.remove(uuid);
            begun.left.insert(uuid.clone());
        }
        if let Some(agent) = self.agents.get_mut(agent)
            && agent.containers.remove(uuid)
            && let Some(count) = agent.by_kind.get_mut(kind)
        {
            self.freed = true;
            *count -= 1;
            if *count == 0 {
                agent.by_kind.remove(kind);
            }
        }
    }

    pub(crate) fn suspect(&mut self, agent: &Id) {
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.suspected = true;
        }
        self.publish_agent(agent, EventKind::Updated);
    }

    /// The client of these agents is there again: what was held for them goes on.
    pub(crate) fn unsuspect(&mut self, client: &Id) {
        let Some(session) = self.sessions.get(client) else {
            return;
        };
        let mut freed = false;
        for id in session.agents.clone() {
            let Some(agent) = self.agents.get_mut(&id) else {
                continue;
            };
            if !std::mem::take(&mut agent.suspected) {
                continue;
            }
            freed = true;
            for uuid in agent.containers.clone() {
                if self.entries.get(&uuid).is_some_and(|entry| entry.is_live()) {
                    self.answer_waiters(&uuid);
                    self.release_held(&uuid);
                }
            }
            self.publish_agent(&id, EventKind::Updated);
        }
        if freed {
            self.place_waiting();
        }
    }

    /// Only the client that serves an agent speaks for it.
    pub(crate) fn served_by(&self, client: &Id, agent: &Id) -> Result<(), ErrorPayload> {
        match self.agents.get(agent) {
            None => Err(ErrorPayload::new(
                ErrorCode::NoSuchAgent,
                format!("there is no agent {agent}"),
            )),
            Some(agent) if agent.client != *client => Err(ErrorPayload::new(
                ErrorCode::NotAllowed,
                format!("agent {} is served by another client", agent.id),
            )),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn drain(&mut self, client: &Id, agent: &Id) -> Outcome {
        self.served_by(client, agent)?;
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.draining = true;
        }
        self.publish_agent(agent, EventKind::Updated);
        now("ok")
    }

    /// Why a container leaves an agent: for its own reason, or because the agent leaves.
    pub(crate) fn leaves_because(&self, agent: &Id, otherwise: &'static str) -> &'static str {
        match self.agents.get(agent).is_some_and(|agent| agent.draining) {
            true => "AgentDraining",
            false => otherwise,
        }
    }

    pub(crate) fn unregister(&mut self, client: &Id, agent: &Id) -> Outcome {
        // One that is gone already is what was asked for.
        if self.agents.contains_key(agent) {
            self.served_by(client, agent)?;
            let reason = self.leaves_because(agent, "AgentUnregistered");
            self.agent_gone(agent, reason, self.now.mono, None);
        }
        now("ok")
    }

    /// An agent is gone: what it hosted and is held is placed elsewhere.
    /// `since` is the last sign of life, from which a failover's time counts; `heard` when its client
    /// was heard of last, by which its lease is over, none of one that leaves in order.
    pub(crate) fn agent_gone(
        &mut self,
        agent: &Id,
        reason: &'static str,
        since: Duration,
        heard: Option<Duration>,
    ) {
        let Some(gone) = self.agents.remove(agent) else {
            return;
        };
        Counted::add(&mut self.counted.agents_lost, reason);
        let had = gone.containers.len();
        self.note(format!(
            "agent {agent} is gone ({reason}), with {had} containers"
        ));
        if let Some(session) = self.sessions.get_mut(&gone.client) {
            session.agents.remove(agent);
        }
        self.publish_removed_agent(&gone);
        if let Some(heard) = heard {
            self.fence_all(&gone, heard);
        }
        self.fail_calls(agent, None);
        for uuid in &gone.containers {
            self.lose(uuid, agent, reason, since);
        }
        self.forget_standbys(&gone);
    }
}
