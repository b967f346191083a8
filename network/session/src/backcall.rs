//! Calls of the server to agents. The server sends them again over a new connection: what runs is
//! not started twice, and a lost answer is sent again.

use std::collections::VecDeque;

use bytes::Bytes;
use huly_protocol::{ErrorPayload, Frame, Json, Op, Request};
use indexmap::IndexMap;

use crate::config::Peer;
use crate::io::Effect;
use crate::session::Session;

/// Answers that are remembered.
pub(crate) const MAX_REMEMBERED: usize = 1_024;
/// Their bytes together.
pub(crate) const MAX_REMEMBERED_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct BackCalls {
    next: u64,
    /// Wire ids of the calls that run.
    running: IndexMap<u64, String>,
    by_id: IndexMap<String, u64>,
    /// Answers by wire id, as frames.
    answers: IndexMap<String, (Op, Bytes)>,
    order: VecDeque<String>,
    bytes: usize,
    /// Answers that there was no connection for, or no session yet.
    unsent: Vec<String>,
}

impl BackCalls {
    /// The server is another process: nothing of the former one counts, and an original server
    /// counts its ids from 0 again (W23).
    pub(crate) fn forget(&mut self) {
        let next = self.next;
        *self = Self {
            next,
            ..Self::default()
        };
    }

    /// Answers that are remembered, their bytes, and how many of them wait for a connection.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (self.order.len(), self.bytes, self.unsent.len())
    }

    fn remember(&mut self, id: String, op: Op, payload: Bytes) {
        self.bytes += payload.len();
        self.answers.insert(id.clone(), (op, payload));
        self.order.push_back(id);
        while self.order.len() > MAX_REMEMBERED || self.bytes > MAX_REMEMBERED_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some((_, payload)) = self.answers.swap_remove(&oldest) {
                self.bytes -= payload.len();
            }
        }
    }
}

impl Session {
    pub(crate) fn back_call(&mut self, frame: Frame, out: &mut Vec<Effect>) {
        if self.config.peer != Peer::Server {
            self.counters.bad_messages += 1;
            return;
        }
        if self.back.by_id.contains_key(&frame.id) {
            return;
        }
        if let Some((op, payload)) = self.back.answers.get(&frame.id) {
            out.push(Effect::Send(Frame::new(*op, frame.id, payload.clone())));
            return;
        }
        let request = match Request::read(&frame.payload) {
            Ok(request) => request,
            Err(error) => {
                self.counters.bad_messages += 1;
                let message = format!("a request's payload is [method, params]: {error}");
                let error = ErrorPayload::new(huly_protocol::ErrorCode::BadRequest, message);
                let frame = Frame::new(Op::ResponseError, frame.id, error.bytes());
                return out.push(Effect::Send(frame));
            }
        };
        self.back.next += 1;
        let call = self.back.next;
        let (method, params) = (request.method.into_owned(), Json::from(request.params));
        self.back.running.insert(call, frame.id.clone());
        self.back.by_id.insert(frame.id, call);
        out.push(Effect::BackCall {
            call,
            method,
            params,
        });
    }

    pub(crate) fn reply(
        &mut self,
        call: u64,
        result: Result<Json, ErrorPayload>,
        out: &mut Vec<Effect>,
    ) {
        // Of a server that is gone: its answer is nobody's.
        let Some(id) = self.back.running.swap_remove(&call) else {
            return;
        };
        self.back.by_id.swap_remove(&id);
        let (op, payload) = match result {
            Ok(json) => (Op::Response, json.into_bytes()),
            Err(error) => {
                let error = if self.is_rust() { error } else { error.plain() };
                (Op::ResponseError, error.bytes())
            }
        };
        if self.is_up() {
            out.push(Effect::Send(Frame::new(op, id.clone(), payload.clone())));
        } else {
            self.back.unsent.push(id.clone());
        }
        if self.is_rust() || !self.is_up() {
            self.back.remember(id, op, payload);
        }
    }

    /// Sends the answers that were ready while there was no connection, or no session.
    pub(crate) fn send_replies(&mut self, out: &mut Vec<Effect>) {
        for id in std::mem::take(&mut self.back.unsent) {
            if let Some((op, payload)) = self.back.answers.get(&id) {
                out.push(Effect::Send(Frame::new(*op, id, payload.clone())));
            }
        }
    }
}
