//! A network of tables: agents, containers, who holds them. It answers as the server does.

mod feed;

use std::collections::BTreeMap;

use huly_protocol::{
    AgentInfo, AgentInfoExt, Epoch, EventKind, Failover, GetExt, GetParams, GotContainer, KindSpec,
    Placement, Rejection, Synced,
};

use self::feed::{agent_event, container_event};
use crate::core::{Effect, FeedUpdate, NetworkError, Outcome, Sample};
use crate::plan::push::KindStep;

#[derive(Debug, Clone)]
struct Container {
    kind: String,
    /// None: it waits to be placed.
    agent: Option<String>,
    lost_from: Option<String>,
    epoch: u64,
    failovers: u32,
    last_failover: Option<Failover>,
    held: bool,
}

#[derive(Debug, Default)]
pub(in crate::core::tests) struct Network {
    /// Gets and releases so far.
    pub(in crate::core::tests) calls: u32,
    pub(in crate::core::tests) syncs: u32,
    pub(in crate::core::tests) refuse_kinds: bool,
    /// So many gets are done and their answers lost.
    pub(in crate::core::tests) cut_off_gets: u32,
    agents: BTreeMap<String, AgentInfo>,
    containers: BTreeMap<String, Container>,
    gets: BTreeMap<String, GetExt>,
    kinds: BTreeMap<String, KindSpec>,
    epochs: u64,
    feed: Vec<FeedUpdate>,
}

impl Network {
    pub(in crate::core::tests) fn add_agent(&mut self, id: &str, kinds: &[&str]) {
        let agent = AgentInfo {
            agent_id: id.into(),
            endpoint: None,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            containers: 0,
            huly: Some(AgentInfoExt {
                node: Some(format!("node-{id}")),
                ..AgentInfoExt::default()
            }),
        };
        self.agents.insert(id.into(), agent.clone());
        self.tell(vec![agent_event(EventKind::Added, agent)], vec![]);
    }

    /// The agent is gone; its containers wait until [`place_lost`](Self::place_lost).
    pub(in crate::core::tests) fn lose_agent(&mut self, id: &str) {
        let agent = self.agents.remove(id).unwrap();
        for container in self.containers.values_mut() {
            if container.agent.as_deref() == Some(id) {
                container.lost_from = container.agent.take();
            }
        }
        self.tell(vec![agent_event(EventKind::Removed, agent)], vec![]);
    }

    pub(in crate::core::tests) fn place_lost(&mut self) {
        let lost: Vec<String> = self
            .containers
            .iter()
            .filter(|(_, container)| container.agent.is_none())
            .map(|(uuid, _)| uuid.clone())
            .collect();
        for uuid in lost {
            let kind = self.containers[&uuid].kind.clone();
            if let Some(agent) = self.pick(&kind) {
                self.put(&uuid, &agent);
            }
        }
    }

    pub(in crate::core::tests) fn place_for_others(&mut self, uuid: &str, kind: &str, agent: &str) {
        self.containers.insert(uuid.into(), waiting(kind));
        self.put(uuid, agent);
    }

    /// A container that nobody holds ends.
    pub(in crate::core::tests) fn end(&mut self, uuid: &str) {
        let container = self.containers.remove(uuid).unwrap();
        let event = container_event(EventKind::Removed, uuid, &container);
        self.tell(vec![], vec![event]);
    }

    pub(in crate::core::tests) fn forget_all(&mut self) {
        self.containers.clear();
    }

    /// The server starts again, is told everything, and settles.
    pub(in crate::core::tests) fn restart(&mut self) {
        self.kinds.clear();
        self.subscribe();
    }

    /// What is held for the operator.
    pub(in crate::core::tests) fn holds(&self) -> Vec<String> {
        let held = self.containers.iter().filter(|(_, one)| one.held);
        held.map(|(uuid, _)| uuid.clone()).collect()
    }

    pub(in crate::core::tests) fn kinds_told(&self) -> Vec<String> {
        self.kinds.keys().cloned().collect()
    }

    pub(in crate::core::tests) fn kind_told(&self, kind: &str) -> Option<&KindSpec> {
        self.kinds.get(kind)
    }

    pub(in crate::core::tests) fn get_of(&self, uuid: &str) -> Option<GetExt> {
        self.gets.get(uuid).cloned()
    }

    pub(in crate::core::tests) fn carry_out(&mut self, effect: Effect) -> Outcome {
        match effect {
            Effect::Get {
                uuid,
                generation,
                params,
            } => {
                self.calls += 1;
                let mut result = self.get(&uuid, params).map(Box::new);
                if self.cut_off_gets > 0 {
                    self.cut_off_gets -= 1;
                    result = Err(NetworkError::Unknown("cut off".into()));
                }
                Outcome::Got {
                    uuid,
                    generation,
                    result,
                }
            }
            Effect::Release { uuid, generation } => {
                self.calls += 1;
                if let Some(container) = self.containers.get_mut(&uuid) {
                    container.held = false;
                }
                Outcome::Released {
                    uuid,
                    generation,
                    result: Ok(()),
                }
            }
            Effect::SetKinds { generation, steps } => Outcome::KindsSet {
                generation,
                result: self.set_kinds(steps),
            },
            Effect::Sync { generation, uuids } => {
                self.syncs += 1;
                Outcome::Synced {
                    generation,
                    result: Ok(self.sync(&uuids)),
                }
            }
            Effect::Sample { kinds } => Outcome::Sampled(Ok(self.sample(&kinds))),
            Effect::WriteClaim { .. }
            | Effect::WriteKind { .. }
            | Effect::Event { .. }
            | Effect::Count(_) => unreachable!("not the network's"),
        }
    }

    fn set_kinds(&mut self, steps: Vec<KindStep>) -> Result<(), NetworkError> {
        if self.refuse_kinds {
            return Err(NetworkError::Unknown("refused".into()));
        }
        for step in steps {
            match step {
                KindStep::Set(spec) => {
                    self.kinds.insert(spec.kind.clone(), spec);
                }
                KindStep::Barrier(names) => self.kinds.retain(|kind, _| names.contains(kind)),
            }
        }
        Ok(())
    }

    fn sync(&mut self, uuids: &[String]) -> Synced {
        let mut released = Vec::new();
        for (uuid, container) in &mut self.containers {
            if container.held && !uuids.contains(uuid) {
                container.held = false;
                released.push(uuid.clone());
            }
        }
        let held = |uuid: &String| self.containers.get(uuid).is_some_and(|one| one.held);
        let missing = uuids.iter().filter(|uuid| !held(uuid)).cloned().collect();
        Synced { released, missing }
    }

    fn sample(&self, kinds: &[String]) -> Sample {
        let mut agents: Vec<AgentInfo> = self.agents.values().cloned().collect();
        for agent in &mut agents {
            for container in self.containers.values() {
                if container.agent.as_ref() == Some(&agent.agent_id)
                    && let Some(ext) = &mut agent.huly
                {
                    let count = ext.containers_by_kind.entry(container.kind.clone());
                    *count.or_default() += 1;
                }
            }
        }
        let references = |kind: &String| {
            let of_kind = self.containers.values();
            let held = of_kind.filter(|one| one.held && one.kind == *kind);
            (kind.clone(), held.count() as u64)
        };
        Sample {
            agents,
            references: kinds.iter().map(references).collect(),
        }
    }

    fn get(&mut self, uuid: &str, params: GetParams) -> Result<GotContainer, NetworkError> {
        let ext = params.huly.unwrap();
        assert!(ext.strict && ext.durable, "{ext:?}");
        self.gets.entry(uuid.into()).or_insert(ext);
        if let Some(known) = self.containers.get(uuid)
            && known.kind != params.kind
        {
            let message = format!("the uuid {uuid} lives as a {}", known.kind);
            return Err(NetworkError::OtherKind(message));
        }
        let known = self.containers.contains_key(uuid);
        if !known || self.containers[uuid].agent.is_none() {
            let Some(agent) = self.pick(&params.kind) else {
                return Err(NetworkError::NotPlaceable {
                    message: "no agent is there".into(),
                    rejections: vec![Rejection {
                        reason: "KindNotServed".into(),
                        agents: u32::try_from(self.agents.len()).unwrap(),
                    }],
                });
            };
            let container = self.containers.entry(uuid.into());
            container.or_insert_with(|| waiting(&params.kind));
            self.put(uuid, &agent);
        }
        let container = self.containers.get_mut(uuid).unwrap();
        container.held = true;
        let agent = container.agent.clone().unwrap();
        Ok(GotContainer {
            uuid: uuid.into(),
            endpoint: endpoint(uuid, &agent),
            placement: Some(Placement {
                kind: container.kind.clone(),
                node: Some(format!("node-{agent}")),
                agent_id: agent,
                pod: None,
                epoch: Some(epoch(container.epoch)),
                labels: vec![],
                failovers: container.failovers,
                last_failover: container.last_failover.clone(),
            }),
        })
    }

    fn pick(&self, kind: &str) -> Option<String> {
        let serves = |agent: &&AgentInfo| agent.kinds.iter().any(|served| served == kind);
        let agent = self.agents.values().find(serves)?;
        Some(agent.agent_id.clone())
    }

    fn put(&mut self, uuid: &str, agent: &str) {
        self.epochs += 1;
        let container = self.containers.get_mut(uuid).unwrap();
        container.epoch = self.epochs;
        container.agent = Some(agent.into());
        let mut kind = EventKind::Added;
        if let Some(from) = container.lost_from.take() {
            kind = EventKind::Updated;
            container.failovers += 1;
            container.last_failover = Some(Failover {
                from,
                to: agent.into(),
                reason: "ConnectionClosed".into(),
                time_ms: 1,
                duration_ms: 2,
            });
        }
        let event = container_event(kind, uuid, container);
        self.tell(vec![], vec![event]);
    }
}

fn waiting(kind: &str) -> Container {
    Container {
        kind: kind.into(),
        agent: None,
        lost_from: None,
        epoch: 0,
        failovers: 0,
        last_failover: None,
        held: false,
    }
}

fn epoch(n: u64) -> Epoch {
    Epoch { term: 1, n }
}

fn endpoint(uuid: &str, agent: &str) -> String {
    format!(r#"{{"kind":0,"host":"127.0.0.1","port":3738,"agentId":"{agent}","uuid":"{uuid}"}}"#)
}
