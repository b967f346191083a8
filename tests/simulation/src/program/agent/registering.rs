//! The agent is registered: the real registrar, over the session's calls.

use bytes::Bytes;
use huly_agent::core::Input;
use huly_protocol::{AgentRegistration, ContainerRecord, Epoch, Json};
use huly_session::registration::{RegistrarEffect, RegistrarInput};
use huly_session::{self as session, Call, CallError, Token};

use super::AgentProgram;
use crate::ledger::{Durable, Seen};
use crate::program::{Context, holders};
use crate::sabotage::Sabotage;
use crate::words::of_all;

impl AgentProgram {
    pub(super) fn register(&mut self, cx: &mut Context, mut registration: AgentRegistration) {
        if cx.does(Sabotage::LowerEpochs) {
            registration.containers.iter_mut().for_each(lower_epoch);
        }
        for record in &mut registration.containers {
            if let Some(ext) = &mut record.huly {
                if cx.does(Sabotage::ForgetHolders) {
                    ext.holders.clear();
                }
                let (uuid, named) = (record.uuid.clone(), holders::named(&ext.holders));
                self.note_durable(cx, Durable::Said { uuid, named });
            }
        }
        let registration = Box::new(registration);
        self.registrar(cx, RegistrarInput::Register(registration));
    }

    fn registrar(&mut self, cx: &mut Context, input: RegistrarInput<CallError>) {
        let mut effects = Vec::new();
        self.registrar.handle(input, &mut effects);
        for effect in effects {
            match effect {
                RegistrarEffect::AwaitSession => self.registers_in_session(cx),
                RegistrarEffect::GiveUp { number } => {
                    let call = self.registering.take_if(|(of, _)| *of == number);
                    if let Some((_, token)) = call {
                        self.link_input(cx, session::Input::Cancel { token });
                    }
                }
                RegistrarEffect::Call { number, call } => {
                    self.tokens += 1;
                    let token = self.tokens;
                    self.registering = Some((number, token));
                    let call = Call { token, ..*call };
                    self.link_input(cx, session::Input::Call(call));
                }
                RegistrarEffect::Registered { original, end } => {
                    cx.tell(format!("is registered; is to end {}", of_all(&end)));
                    let wire = self.link.wire();
                    cx.saw(Seen::Registered { wire });
                    self.note_durable(cx, Durable::Registered);
                    self.inputs.push_back(Input::Server { original });
                    self.inputs.push_back(Input::Registered { end });
                }
                RegistrarEffect::Failed(_) => self.inputs.push_back(Input::RegisterFailed),
            }
        }
    }

    /// Where there is no session yet, it says so itself.
    pub(super) fn registers_in_session(&mut self, cx: &mut Context) {
        let session = self.link.session();
        let Some(uuid) = session.uuid().map(str::to_owned) else {
            return;
        };
        let server = session.peer_answer();
        let message_bytes = server.map(|server| server.limits.message_bytes);
        let uuid = Some(uuid);
        self.registrar(
            cx,
            RegistrarInput::Session {
                uuid,
                message_bytes,
            },
        );
    }

    pub(super) fn registration_answered(
        &mut self,
        cx: &mut Context,
        token: Token,
        result: Result<Bytes, CallError>,
    ) {
        let Some((number, _)) = self.registering.take_if(|(_, call)| *call == token) else {
            return;
        };
        let read = |answer: Bytes| match answer.is_empty() {
            true => Ok(Json::null()),
            false => serde_json::from_slice(&answer)
                .map_err(|error| CallError::Protocol(error.to_string())),
        };
        let result = result.and_then(read);
        self.registrar(cx, RegistrarInput::Answered { number, result });
    }
}

fn lower_epoch(record: &mut ContainerRecord) {
    if let Some(ext) = &mut record.huly {
        ext.epoch = Some(Epoch { term: 0, n: 1 });
    }
}
