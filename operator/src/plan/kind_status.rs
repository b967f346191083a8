//! The status of a kind from what the network says.

use std::collections::BTreeMap;

use huly_operator_api::condition::kind::{self as reason, ACCEPTED, READY, SERVED};
use huly_operator_api::{AgentStatus, ContainerKindStatus};
use huly_protocol::{AgentInfo, KindSpec};
use k8s_openapi::jiff::Timestamp;

use super::conditions::{Said, Truth, conditions};
use super::kinds::KindState;
use crate::model::Kind;

/// The most agents that a status lists.
const MAX_AGENTS: usize = 32;

/// Whether agents can host a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Service {
    /// So many can.
    By(usize),
    /// None can.
    None {
        reason: &'static str,
        message: String,
    },
    /// The network server is not reached.
    Unknown { message: String },
}

/// Whether agents can host the kind with its specification.
pub(crate) fn service(spec: &KindSpec, agents: &BTreeMap<String, AgentInfo>) -> Service {
    let serving: Vec<&AgentInfo> = agents
        .values()
        .filter(|agent| serves(agent, &spec.kind))
        .collect();
    let all = agents.len();
    if serving.is_empty() {
        return Service::None {
            reason: reason::REASON_NO_AGENTS,
            message: format!("0/{all} agents serve the kind {}", spec.kind),
        };
    }
    let selected = serving.iter().filter(|agent| {
        let labels = agent.huly.as_ref().map(|ext| &ext.labels);
        spec.agent_selector
            .matches(labels.unwrap_or(&BTreeMap::new()))
    });
    match selected.count() {
        0 => Service::None {
            reason: reason::REASON_SELECTOR_MISMATCH,
            message: format!(
                "{}/{all} agents serve the kind {}, and its agentSelector selects none of them",
                serving.len(),
                spec.kind
            ),
        },
        count => Service::By(count),
    }
}

/// Whether an agent can host the kind. One that has made a container of it beforehand, or has the
/// uuid, need not be able to make others.
fn serves(agent: &AgentInfo, kind: &str) -> bool {
    let made = agent.huly.iter().any(|ext| {
        let counts = [&ext.containers_by_kind, &ext.standbys_by_kind];
        counts
            .iter()
            .filter_map(|of| of.get(kind))
            .any(|of| *of > 0)
    });
    made || agent.kinds.iter().any(|served| served == kind)
}

/// Figures of a kind, sampled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Numbers {
    pub(crate) containers: u64,
    pub(crate) references: Option<u64>,
    pub(crate) standbys: u64,
    pub(crate) agents: Vec<AgentStatus>,
}

/// The figures of a kind by what the server says of its agents.
pub(crate) fn numbers(kind: &str, agents: &[AgentInfo], references: Option<u64>) -> Numbers {
    let mut listed: Vec<AgentStatus> = agents
        .iter()
        .filter(|agent| serves(agent, kind))
        .map(|agent| {
            let ext = agent.huly.clone().unwrap_or_default();
            let containers = ext.containers_by_kind.get(kind).copied();
            AgentStatus {
                agent: agent.agent_id.chars().take(512).collect(),
                node_name: ext.node.map(|node| node.chars().take(253).collect()),
                containers: i64::from(containers.unwrap_or_default()),
            }
        })
        .collect();
    let exts = agents.iter().filter_map(|agent| agent.huly.as_ref());
    let standbys = exts.filter_map(|ext| ext.standbys_by_kind.get(kind));
    let standbys = standbys.map(|count| u64::from(*count)).sum();
    let containers = listed.iter().map(|agent| agent.containers).sum::<i64>();
    listed.sort_by(|a, b| (b.containers, &a.agent).cmp(&(a.containers, &b.agent)));
    listed.truncate(MAX_AGENTS);
    Numbers {
        containers: u64::try_from(containers).unwrap_or_default(),
        references,
        standbys,
        agents: listed,
    }
}

/// The status of a kind of the operator's network. Without service the previous condition about
/// it stays.
pub(crate) fn kind_status(
    kind: &Kind,
    state: &KindState,
    service: &Service,
    numbers: Option<&Numbers>,
    now: Timestamp,
) -> ContainerKindStatus {
    let previous = &kind.status;
    let mut status = ContainerKindStatus {
        observed_generation: Some(kind.generation),
        conditions: conditions(
            &previous.conditions,
            said(kind, state, service),
            kind.generation,
            now,
        ),
        ..ContainerKindStatus::default()
    };
    if !matches!(state, KindState::Accepted(_)) {
        return status;
    }
    status.agents = match service {
        Service::By(count) => i64::try_from(*count).ok(),
        Service::None { .. } => Some(0),
        Service::Unknown { .. } => previous.agents,
    };
    match numbers {
        Some(numbers) => {
            status.containers = i64::try_from(numbers.containers).ok();
            status.references = numbers.references.and_then(|count| count.try_into().ok());
            status.standbys = match (&kind.spec.stateless, numbers.standbys) {
                (None, 0) => None,
                (_, count) => i64::try_from(count).ok(),
            };
            status.agent_statuses.clone_from(&numbers.agents);
        }
        None => {
            status.containers = previous.containers;
            status.references = previous.references;
            status.standbys = previous.standbys;
            status.agent_statuses.clone_from(&previous.agent_statuses);
        }
    }
    status
}

fn said(kind: &Kind, state: &KindState, service: &Service) -> Vec<Said> {
    let say = |type_, truth, reason, message: String| Said {
        type_,
        truth,
        reason,
        message,
    };
    if let KindState::Conflict { with } = state {
        let message = format!(
            "the older ContainerKind {with} has the kind name {}",
            kind.kind_name()
        );
        let conflict = reason::REASON_NAME_CONFLICT;
        return vec![
            say(ACCEPTED, Truth::False, conflict, message.clone()),
            say(SERVED, Truth::Unknown, conflict, message.clone()),
            say(READY, Truth::False, conflict, message),
        ];
    }
    let accepted = say(
        ACCEPTED,
        Truth::True,
        reason::REASON_ACCEPTED,
        format!("it specifies the kind {}", kind.kind_name()),
    );
    let (truth, why, message) = match service {
        Service::By(_) => (
            Truth::True,
            reason::REASON_SERVED,
            "agents can host containers of the kind".to_owned(),
        ),
        Service::None { reason, message } => (Truth::False, *reason, message.clone()),
        Service::Unknown { message } => (
            Truth::Unknown,
            reason::REASON_NETWORK_UNAVAILABLE,
            message.clone(),
        ),
    };
    let ready = match truth {
        Truth::True => reason::REASON_READY,
        _ => why,
    };
    vec![
        accepted,
        say(SERVED, truth, why, message.clone()),
        say(READY, truth, ready, message),
    ]
}

#[cfg(test)]
mod tests {
    use huly_protocol::{AgentInfoExt, LabelSelector};

    use super::*;

    fn agent(id: &str, kinds: &[&str], zone: &str, echos: u32) -> AgentInfo {
        AgentInfo {
            agent_id: id.into(),
            endpoint: None,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            containers: echos,
            huly: Some(AgentInfoExt {
                labels: [("zone".to_owned(), zone.to_owned())].into(),
                containers_by_kind: [("echo".to_owned(), echos)].into(),
                node: Some(format!("node-{id}")),
                ..AgentInfoExt::default()
            }),
        }
    }

    fn agents() -> BTreeMap<String, AgentInfo> {
        [
            agent("a", &["echo"], "east", 2),
            agent("b", &["echo", "room"], "west", 5),
            agent("c", &["room"], "east", 0),
        ]
        .into_iter()
        .map(|agent| (agent.agent_id.clone(), agent))
        .collect()
    }

    fn spec(kind: &str, zone: Option<&str>) -> KindSpec {
        KindSpec {
            agent_selector: LabelSelector {
                match_labels: zone
                    .map(|zone| ("zone".to_owned(), zone.to_owned()))
                    .into_iter()
                    .collect(),
                ..LabelSelector::default()
            },
            ..KindSpec::defaults(kind)
        }
    }

    fn told(status: &ContainerKindStatus) -> Vec<String> {
        let conditions = status.conditions.iter();
        conditions
            .map(|one| format!("{}={}/{}", one.type_, one.status, one.reason))
            .collect()
    }

    fn status(state: &KindState, service: &Service) -> ContainerKindStatus {
        let kind = Kind {
            name: "echo".into(),
            ..Kind::default()
        };
        let sampled = numbers("echo", &agents().into_values().collect::<Vec<_>>(), Some(9));
        kind_status(&kind, state, service, Some(&sampled), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn who_serves_a_kind() {
        assert_eq!(service(&spec("echo", None), &agents()), Service::By(2));
        assert_eq!(
            service(&spec("echo", Some("west")), &agents()),
            Service::By(1)
        );
        let cases = [
            (
                spec("other", None),
                "NoAgents",
                "0/3 agents serve the kind other",
            ),
            (
                spec("echo", Some("north")),
                "SelectorMismatch",
                "2/3 agents serve the kind echo, and its agentSelector selects none of them",
            ),
        ];
        for (spec, reason, message) in cases {
            let expected = Service::None {
                reason,
                message: message.into(),
            };
            assert_eq!(service(&spec, &agents()), expected);
        }
    }

    #[test]
    fn numbers_are_of_the_agents_that_serve_it() {
        let agents: Vec<AgentInfo> = agents().into_values().collect();
        let numbers = numbers("echo", &agents, Some(9));
        assert_eq!((numbers.containers, numbers.references), (7, Some(9)));
        let listed: Vec<(&str, i64)> = numbers
            .agents
            .iter()
            .map(|agent| (&*agent.agent, agent.containers))
            .collect();
        assert_eq!(listed, [("b", 5), ("a", 2)]);
    }

    #[test]
    fn standbys_are_figures_of_their_own() {
        let kind = |stateless| Kind {
            spec: huly_operator_api::ContainerKindSpec {
                stateless,
                ..Default::default()
            },
            ..Kind::default()
        };
        let shown = |kind: &Kind, agents: &[AgentInfo]| {
            let (state, service) = (KindState::Accepted(spec("echo", None)), Service::By(2));
            let sampled = numbers("echo", agents, None);
            let now = Timestamp::UNIX_EPOCH;
            kind_status(kind, &state, &service, Some(&sampled), now).standbys
        };
        let mut agents: Vec<AgentInfo> = agents().into_values().collect();
        let named = Some(huly_operator_api::Stateless { uuid: "one".into() });
        assert_eq!(shown(&kind(None), &agents), None);
        assert_eq!(shown(&kind(named.clone()), &agents), Some(0));
        for agent in &mut agents {
            let ext = agent.huly.as_mut().unwrap();
            ext.standbys_by_kind = [("echo".to_owned(), 1), ("other".to_owned(), 4)].into();
        }
        assert_eq!(shown(&kind(named), &agents), Some(3));
        // Made by the agents of their own accord: whoever has one can host the kind.
        assert_eq!(shown(&kind(None), &agents), Some(3));
        let by_id = agents.into_iter().map(|one| (one.agent_id.clone(), one));
        assert_eq!(
            service(&spec("echo", None), &by_id.collect()),
            Service::By(3)
        );
    }

    #[test]
    fn conditions_by_acceptance_and_service() {
        let accepted = KindState::Accepted(spec("echo", None));
        let conflict = KindState::Conflict { with: "old".into() };
        let none = Service::None {
            reason: reason::REASON_NO_AGENTS,
            message: "m".into(),
        };
        let unknown = Service::Unknown {
            message: "m".into(),
        };
        let cases = [
            (
                &accepted,
                Service::By(2),
                "True/Accepted True/Served True/Ready",
            ),
            (
                &accepted,
                none,
                "True/Accepted False/NoAgents False/NoAgents",
            ),
            (
                &accepted,
                unknown,
                "True/Accepted Unknown/NetworkUnavailable Unknown/NetworkUnavailable",
            ),
            (
                &conflict,
                Service::By(2),
                "False/NameConflict Unknown/NameConflict False/NameConflict",
            ),
        ];
        for (state, service, expected) in cases {
            let said = told(&status(state, &service));
            let expected: Vec<String> = ["Accepted", "Served", "Ready"]
                .into_iter()
                .zip(expected.split(' '))
                .map(|(type_, rest)| format!("{type_}={rest}"))
                .collect();
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn figures_are_shown_of_an_accepted_kind() {
        let shown = status(&KindState::Accepted(spec("echo", None)), &Service::By(2));
        let figures = (shown.agents, shown.containers, shown.references);
        assert_eq!(figures, (Some(2), Some(7), Some(9)));
        let conflict = KindState::Conflict { with: "old".into() };
        let hidden = status(&conflict, &Service::By(2));
        assert_eq!((hidden.agents, hidden.containers), (None, None));
    }
}
