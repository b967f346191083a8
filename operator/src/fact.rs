//! Where a container lives, as the network says.

use huly_operator_api::EndpointMode;
use huly_protocol::{
    AgentInfo, AgentInfoExt, ContainerRecord, Endpoint, EndpointKind, Epoch, Failover, GotContainer,
};

/// Where a container lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fact {
    pub(crate) kind: String,
    pub(crate) agent: String,
    pub(crate) node: Option<String>,
    /// NAMESPACE/NAME.
    pub(crate) pod: Option<String>,
    /// host:port.
    pub(crate) endpoint: Option<String>,
    pub(crate) mode: Option<EndpointMode>,
    pub(crate) labels: Vec<String>,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) failovers: u32,
    pub(crate) last_failover: Option<Failover>,
}

impl Fact {
    /// What the answer to a get says; none when it does not say where the container lives.
    pub(crate) fn of_answer(answer: GotContainer) -> Option<Self> {
        let placement = answer.placement?;
        let fact = Self {
            kind: placement.kind,
            agent: placement.agent_id,
            node: placement.node,
            pod: placement
                .pod
                .map(|pod| format!("{}/{}", pod.namespace, pod.name)),
            labels: placement.labels,
            epoch: placement.epoch,
            failovers: placement.failovers,
            last_failover: placement.last_failover,
            ..Self::default()
        };
        Some(fact.reached_by(&answer.endpoint))
    }

    /// What a record of the feed says.
    pub(crate) fn of_record(record: &ContainerRecord, agent: Option<&AgentInfo>) -> Self {
        let ext = record.huly.clone().unwrap_or_default();
        let mut fact = Self {
            kind: record.kind.clone(),
            agent: record.agent_id.clone(),
            labels: record.labels.clone().unwrap_or_default(),
            epoch: ext.epoch,
            failovers: ext.failovers,
            last_failover: ext.last_failover,
            ..Self::default()
        };
        if let Some(agent) = agent {
            fact.hosted_by(agent);
        }
        fact.reached_by(&record.endpoint)
    }

    /// Takes over what the agent says of itself.
    pub(crate) fn hosted_by(&mut self, agent: &AgentInfo) {
        let AgentInfoExt { node, pod, .. } = agent.huly.clone().unwrap_or_default();
        self.node = node;
        self.pod = pod.map(|pod| format!("{}/{}", pod.namespace, pod.name));
    }

    fn reached_by(mut self, endpoint: &str) -> Self {
        let Ok(endpoint) = Endpoint::parse(endpoint) else {
            return self;
        };
        self.mode = match endpoint.kind {
            EndpointKind::Routed => Some(EndpointMode::Routed),
            EndpointKind::Direct => Some(EndpointMode::Direct),
            EndpointKind::NoConnection => None,
        };
        self.endpoint = self.mode.map(|_| endpoint.authority());
        self
    }

    /// Whether it is of an earlier life of the container than the other.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        matches!((self.epoch, other.epoch), (Some(this), Some(other)) if this < other)
    }
}

#[cfg(test)]
mod tests {
    use huly_protocol::{Placement, PodRef};

    use super::*;

    const ENDPOINT: &str = r#"{"kind":0,"host":"::1","port":3738,"agentId":"a","uuid":"u"}"#;

    fn pod() -> Option<PodRef> {
        Some(PodRef {
            namespace: "huly".into(),
            name: "agent-x".into(),
            uid: "1".into(),
        })
    }

    #[test]
    fn an_answer_and_a_record_say_the_same() {
        let epoch = Some(Epoch { term: 5, n: 2 });
        let answer = GotContainer {
            uuid: "u".into(),
            endpoint: ENDPOINT.into(),
            placement: Some(Placement {
                kind: "echo".into(),
                agent_id: "a".into(),
                node: Some("node-1".into()),
                pod: pod(),
                epoch,
                labels: vec!["l".into()],
                ..Placement::default()
            }),
        };
        let record: ContainerRecord = serde_json::from_value(serde_json::json!({
            "agentId": "a", "uuid": "u", "kind": "echo", "endpoint": ENDPOINT, "lastVisit": 0,
            "labels": ["l"], "huly": { "epoch": [5, 2] }
        }))
        .unwrap();
        let agent = AgentInfo {
            agent_id: "a".into(),
            endpoint: None,
            kinds: vec![],
            containers: 1,
            huly: Some(AgentInfoExt {
                node: Some("node-1".into()),
                pod: pod(),
                ..AgentInfoExt::default()
            }),
        };
        let fact = Fact::of_answer(answer).unwrap();
        assert_eq!(fact, Fact::of_record(&record, Some(&agent)));
        assert_eq!(fact.endpoint.as_deref(), Some("[::1]:3738"));
        assert_eq!(fact.mode, Some(EndpointMode::Routed));
        assert_eq!(fact.pod.as_deref(), Some("huly/agent-x"));
    }

    #[test]
    fn a_container_without_a_connection_has_no_endpoint() {
        let fact = Fact::default().reached_by(&ENDPOINT.replace("\"kind\":0", "\"kind\":2"));
        assert_eq!((fact.endpoint, fact.mode), (None, None));
        let odd = Fact::default().reached_by("");
        assert_eq!((odd.endpoint, odd.mode), (None, None));
    }

    #[test]
    fn facts_without_epochs_are_never_earlier() {
        let of = |n| Fact {
            epoch: Some(Epoch { term: 1, n }),
            ..Fact::default()
        };
        assert!(of(1).is_before(&of(2)));
        assert!(!of(2).is_before(&of(2)));
        assert!(!Fact::default().is_before(&of(2)));
        assert!(!of(2).is_before(&Fact::default()));
    }
}
