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
        let starts: BTreeSet<(String, String)> = effects.iter().filter_map(start).collect();
        if starts.is_empty() {
            return;
        }
        let agents: Vec<AgentInfo> = self.list(cx, method::LIST_AGENTS);
        for (agent, kind) in starts {
            let known = agents.iter().find(|known| known.agent_id == agent);
            let by_kind = known.and_then(|known| known.huly.as_ref());
            let count = by_kind.and_then(|ext| ext.containers_by_kind.get(&kind));
            if let Some(count) = count.copied() {
                cx.saw(Seen::Crowd(Crowd { agent, kind, count }));
            }
        }
    }
}

/// The agent that is to start a container, and its kind, where that has a specification.
fn start(effect: &Effect) -> Option<(String, String)> {
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
    said.pointer("/2/spec/kind")?;
    Some((text(&said[0])?, text(said.pointer("/1/0")?)?))
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
