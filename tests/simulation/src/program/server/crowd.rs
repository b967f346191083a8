//! How many containers agents have that are told to start one more.

use std::collections::BTreeSet;

use huly_protocol::{AgentInfo, Frame, Op, Request, method};
use huly_registry::{Effect, Input};
use serde_json::{Value, json};

use super::Server;
use crate::ledger::Seen;
use crate::program::Context;
use crate::sabotage::Sabotage;

/// An agent was told to start a container.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    pub(crate) agent: String,
    pub(crate) kind: String,
    /// How many of the kind the server knows it to have with that one.
    pub(crate) count: u32,
}

impl Server {
    /// Looks at starts by a specification among what the server does.
    pub(super) fn note_crowds(&mut self, cx: &mut Context, effects: &[Effect]) {
        let all: Vec<Start> = effects.iter().filter_map(start).collect();
        let limited = all.iter().filter(|start| start.specified);
        let starts: BTreeSet<_> = limited.map(|start| (&start.agent, &start.kind)).collect();
        if starts.is_empty() {
            return;
        }
        let agents: Vec<AgentInfo> = self.list(cx, method::LIST_AGENTS);
        for (agent, kind) in starts {
            let known = agents.iter().find(|known| known.agent_id == *agent);
            let by_kind = known.and_then(|known| known.huly.as_ref());
            let count = by_kind.and_then(|ext| ext.containers_by_kind.get(kind));
            // Others that nothing limits may have been placed there after it.
            let others = all.iter().filter(|one| !one.specified);
            let others = others.filter(|one| one.agent == *agent && one.kind == *kind);
            let others = others.count() as u32;
            if let Some(count) = count.map(|count| count.saturating_sub(others)) {
                let (agent, kind) = (agent.clone(), kind.clone());
                cx.saw(Seen::Crowd(Crowd { agent, kind, count }));
            }
        }
    }
}

/// An agent is to start a container of a kind, by a specification or by none.
#[derive(Debug)]
struct Start {
    agent: String,
    kind: String,
    specified: bool,
}

fn start(effect: &Effect) -> Option<Start> {
    let Effect::Send { frame, .. } = effect else {
        return None;
    };
    if frame.op != Op::Request {
        return None;
    }
    let request = Request::read(&frame.payload).ok()?;
    if request.method != method::GET {
        return None;
    }
    let said: Value = serde_json::from_str(request.params.get()).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Start {
        agent: text(&said[0])?,
        kind: text(said.pointer("/1/0")?)?,
        specified: said.pointer("/2/spec/kind").is_some(),
    })
}

/// What the operator says of kinds as the server is to hear it.
pub(super) fn with_other_kinds(sabotage: Sabotage, input: Input) -> Input {
    let Input::Message { conn, frame } = input else {
        return input;
    };
    let frame = altered(sabotage, &frame).unwrap_or(frame);
    Input::Message { conn, frame }
}

fn altered(sabotage: Sabotage, frame: &Frame) -> Option<Frame> {
    let (member, value) = match sabotage {
        Sabotage::DropRations => ("maxPerAgent", Value::Null),
        Sabotage::ShortIdle => ("idleTimeoutMs", json!(20)),
        Sabotage::LongIdle => ("idleTimeoutMs", json!(18_000)),
        _ => return None,
    };
    if frame.op != Op::Request {
        return None;
    }
    let mut call: Value = serde_json::from_slice(&frame.payload).ok()?;
    if call[0] != method::SET_KIND {
        return None;
    }
    call[1][member] = value;
    let payload = serde_json::to_vec(&call).ok()?;
    Some(Frame::new(frame.op, frame.id.clone(), payload))
}
