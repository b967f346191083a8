//! Whether the operator is among those who hold a container: what calls to agents say of that.

use huly_agent::core::ServerCall;
use huly_protocol::{AgentCall, Frame, GetRequest, Holders, Json, Op, Request, StartExt, method};
use serde_json::value::RawValue;

use super::Context;
use super::operator::OPERATOR;
use crate::ledger::{Durable, Seen};
use crate::wire::WireId;

/// Whether the operator is among holders.
pub(super) fn named(holders: &[String]) -> bool {
    holders.iter().any(|holder| holder == OPERATOR)
}

/// What a call to an agent says: of which containers, and whether the operator holds each.
pub(super) fn told(call: &ServerCall) -> Vec<(String, bool)> {
    let ext = call.ext.as_ref().map(Json::text);
    said(&call.method, call.params.text(), ext)
}

fn said(name: &str, params: &str, ext: Option<&str>) -> Vec<(String, bool)> {
    match name {
        method::GET => {
            let get = serde_json::from_str::<(String, GetRequest)>(params);
            let uuid = get.ok().and_then(|(_, request)| request.uuid);
            // A TypeScript agent is told nothing of holders.
            let ext = ext.map(serde_json::from_str::<StartExt>);
            let told = uuid.zip(ext.and_then(Result::ok));
            told.map(|(uuid, ext)| (uuid, named(&ext.holders)))
                .into_iter()
                .collect()
        }
        method::SET_HOLDERS => {
            let told = serde_json::from_str::<Vec<Holders>>(params).unwrap_or_default();
            let told = told.into_iter();
            told.map(|of| (of.uuid, named(&of.holders))).collect()
        }
        _ => Vec::new(),
    }
}

/// What a server sends to an agent is judged as it is sent: what the server learns before the agent
/// comes to it is said later.
pub(super) fn note_sent(cx: &mut Context, wire: WireId, frame: &Frame) {
    if frame.op != Op::Request {
        return;
    }
    let Ok(request) = Request::read(&frame.payload) else {
        return;
    };
    if !matches!(&*request.method, method::GET | method::SET_HOLDERS) {
        return;
    }
    let Ok(call) = serde_json::from_str::<AgentCall<'_>>(request.params.get()) else {
        return;
    };
    let ext = call.ext.map(RawValue::get);
    for (uuid, named) in said(&request.method, call.params.get(), ext) {
        let seen = Durable::Tells { uuid, named };
        cx.saw(Seen::Durable {
            wire: Some(wire),
            seen,
        });
    }
}
