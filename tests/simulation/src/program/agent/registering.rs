//! A registration: one at a time, in chunks where it is much, within one session.

use std::collections::VecDeque;

use bytes::Bytes;
use huly_agent::core::Input;
use huly_protocol::{AgentRegistration, ContainerRecord, Epoch, ErrorCode, Json, method};
use huly_session::registration::chunks;
use huly_session::{self as session, Call, CallError, Token};

use super::AgentProgram;
use crate::ledger::Seen;
use crate::program::Context;
use crate::sabotage::Sabotage;

/// The registration that goes on.
#[derive(Debug)]
pub(super) struct Registering {
    /// The call that waits for its answer.
    call: Token,
    /// The session that it belongs to: a half of it means nothing to the next.
    session: String,
    /// The chunks that follow.
    rest: VecDeque<AgentRegistration>,
}

impl AgentProgram {
    /// An earlier one under way is given up.
    pub(super) fn register(&mut self, cx: &mut Context, mut registration: AgentRegistration) {
        if let Some(Registering { call: token, .. }) = self.registering.take() {
            self.link_input(cx, session::Input::Cancel { token });
        }
        let Some(session) = self.link.session().uuid().map(str::to_owned) else {
            return; // The next one asks for it.
        };
        if cx.does(Sabotage::LowerEpochs) {
            registration.containers.iter_mut().for_each(lower_epoch);
        }
        let server = self.link.session().peer_answer();
        let message_bytes = server.map_or(u64::MAX, |server| server.limits.message_bytes);
        let rest = VecDeque::from(chunks(registration, message_bytes));
        if rest.len() > 1 {
            cx.tell(format!("registers in {} chunks", rest.len()));
        }
        self.register_next(cx, session, rest);
    }

    fn register_next(
        &mut self,
        cx: &mut Context,
        session: String,
        mut rest: VecDeque<AgentRegistration>,
    ) {
        let Some(part) = rest.pop_front() else { return };
        self.tokens += 1;
        let params = Json::of(&part).unwrap_or_else(|_| Json::null());
        let call = Call {
            only_in: Some(session.clone()),
            registers: rest.is_empty(),
            ..Call::new(self.tokens, method::REGISTER_AGENT, params)
        };
        self.registering = Some(Registering {
            call: self.tokens,
            session,
            rest,
        });
        self.link_input(cx, session::Input::Call(call));
    }

    pub(super) fn registration_answered(
        &mut self,
        cx: &mut Context,
        token: Token,
        result: Result<Bytes, CallError>,
    ) {
        let Some(registering) = self.registering.take_if(|one| one.call == token) else {
            return;
        };
        match result {
            Ok(_) if !registering.rest.is_empty() => {
                self.register_next(cx, registering.session, registering.rest);
            }
            Ok(answer) => {
                let original = self.link.session().peer_answer().is_none();
                self.inputs.push_back(Input::Server { original });
                let end = serde_json::from_slice::<Option<Vec<String>>>(&answer);
                let end = end.ok().flatten().unwrap_or_default();
                cx.tell(format!("is registered; is to end {end:?}"));
                cx.saw(Seen::Registered);
                self.inputs.push_back(Input::Registered { end });
            }
            // The session is another one: it says so itself.
            Err(error) if error.code() == Some(ErrorCode::Interrupted) => {}
            Err(_) => self.inputs.push_back(Input::RegisterFailed),
        }
    }
}

fn lower_epoch(record: &mut ContainerRecord) {
    if let Some(ext) = &mut record.huly {
        ext.epoch = Some(Epoch { term: 0, n: 1 });
    }
}
