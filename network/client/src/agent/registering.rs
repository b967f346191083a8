//! An agent is registered: the session's registrar, its calls and its answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::FutureExt;
use huly_session::Call;
use huly_session::registration::{Registrar, RegistrarEffect, RegistrarError, RegistrarInput};
use tokio::task::AbortHandle;

use super::{LinkEvent, Shared};
use crate::direct::lock;
use crate::error::{Error, ErrorKind};
use crate::operation::Operation;

/// An agent's registration that is under way.
#[derive(Debug, Default)]
pub(super) struct Registering {
    registrar: Registrar,
    /// The registration that it is at, or was last.
    latest: u64,
    /// Its calls without an answer.
    calls: HashMap<u64, AbortHandle>,
}

impl Shared {
    /// Tells the registrar something, of a new registration if that has a number, and does what it
    /// says.
    pub(super) fn registrar(self: &Arc<Self>, mut new: Option<u64>, input: RegistrarInput<Error>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            // Another may have begun when this one's answer is told.
            let registration = {
                let mut registering = lock(&self.registering);
                // Once: what follows may come after another's beginning.
                registering.latest = new.take().unwrap_or(registering.latest);
                registering.registrar.handle(input, &mut effects);
                registering.latest
            };
            for effect in effects {
                match effect {
                    RegistrarEffect::AwaitSession => inputs.extend(self.session_or_later()),
                    RegistrarEffect::GiveUp { number } => {
                        let call = lock(&self.registering).calls.remove(&number);
                        if let Some(call) = call {
                            call.abort();
                        }
                    }
                    RegistrarEffect::Call { number, call } => self.registers(number, *call),
                    RegistrarEffect::Registered { original, end } => {
                        self.tell(LinkEvent::Server { original });
                        self.tell(LinkEvent::Registered { registration, end });
                    }
                    RegistrarEffect::Failed(error) => {
                        self.tell(LinkEvent::RegisterFailed(error.of(Operation::Agent)));
                    }
                }
            }
        }
    }

    /// The session, or nothing where it comes later.
    fn session_or_later(self: &Arc<Self>) -> Option<RegistrarInput<Error>> {
        if self.handle.state.borrow().session.is_some() {
            return Some(self.session());
        }
        let shared = self.clone();
        tokio::spawn(async move {
            shared.handle.ready().await;
            shared.registrar(None, shared.session());
        });
        None
    }

    fn session(&self) -> RegistrarInput<Error> {
        let state = self.handle.state.borrow();
        RegistrarInput::Session {
            uuid: state.session.clone(),
            message_bytes: state.server.as_ref().map(|of| of.limits.message_bytes),
        }
    }

    /// Sends a piece of a registration before it returns, as what is said next is to come after it.
    fn registers(self: &Arc<Self>, number: u64, call: Call) {
        let shared = self.clone();
        let token = self.handle.number();
        let mut calling = Box::pin(async move {
            let result = shared.handle.call(Call { token, ..call }).await;
            lock(&shared.registering).calls.remove(&number);
            shared.registrar(None, RegistrarInput::Answered { number, result });
        });
        // It is not answered before its task runs: the command has only been sent.
        if calling.as_mut().now_or_never().is_none() {
            let mut registering = lock(&self.registering);
            let call = tokio::spawn(calling).abort_handle();
            registering.calls.insert(number, call);
        }
    }
}

impl RegistrarError for Error {
    fn is_interrupted(&self) -> bool {
        self.kind == ErrorKind::Interrupted
    }

    fn wrong(what: &str, error: &serde_json::Error) -> Self {
        Self::protocol(what, error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use huly_protocol::{AgentRegistration, Json};
    use tokio::sync::{mpsc, watch};

    use super::super::AgentLink;
    use super::*;
    use crate::handle::{Command, Handle};
    use crate::state::SessionState;

    fn registration(agent: &str) -> AgentRegistration {
        AgentRegistration {
            uuid: agent.to_owned(),
            containers: Vec::new(),
            kinds: Vec::new(),
            endpoint: None,
            huly: None,
        }
    }

    /// The session is what one thread waits for while the other registers.
    #[tokio::test]
    async fn of_two_that_register_at_once_the_answer_is_told_as_that_to_the_later_one() {
        let (commands, mut said) = mpsc::unbounded_channel();
        let known = SessionState {
            session: Some("s1".to_owned()),
            ..SessionState::default()
        };
        let (state, states) = watch::channel(known);
        let mut link = AgentLink::new(Handle::new(commands, states, Arc::new(AtomicU64::new(0))));
        let events = loop {
            match said.recv().await {
                Some(Command::ServeAgent { events, .. }) => break events,
                Some(_) => {}
                None => panic!("nobody serves the agent"),
            }
        };
        let agent = link.handle();
        let runtime = tokio::runtime::Handle::current();
        let (earlier, later) = thread::scope(|scope| {
            let mut registered = None;
            state.send_modify(|_| {
                let earlier = scope.spawn(|| {
                    let _within = runtime.enter();
                    agent.register(registration("earlier"))
                });
                while lock(&agent.shared.registering).latest == 0 {
                    thread::yield_now();
                }
                registered = Some((earlier, agent.register(registration("later"))));
            });
            let (earlier, later) = registered.unwrap();
            (earlier.join().unwrap(), later)
        });
        assert!(earlier < later);

        let (call, answer) = loop {
            match said.recv().await {
                Some(Command::Call { call, answer }) => break (call, answer),
                Some(_) => {}
                None => panic!("the agent is not registered"),
            }
        };
        assert!(call.params.text().contains("later"));
        drop(answer.send(Ok(Json::of(&["c-1"]).unwrap())));
        let registered = loop {
            match link.events.recv().await {
                Some(LinkEvent::Registered { registration, .. }) => break registration,
                Some(_) => {}
                None => panic!("it is not told"),
            }
        };
        assert_eq!(registered, later);
        drop(events);
    }
}
