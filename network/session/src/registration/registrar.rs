//! An agent's registration: one at a time, in chunks where it is much, each within one session.

use std::collections::VecDeque;

use huly_protocol::{AgentRegistration, ErrorCode, Json, method};

use super::{chunks, plain};
use crate::io::{Call, CallError};

/// Why a call failed, as far as a registration cares.
pub trait RegistrarError {
    /// Whether the session that the call was for is over.
    fn is_interrupted(&self) -> bool;

    /// The error of what cannot be written or read.
    fn wrong(what: &str, error: &serde_json::Error) -> Self;
}

impl RegistrarError for CallError {
    fn is_interrupted(&self) -> bool {
        self.code() == Some(ErrorCode::Interrupted)
    }

    fn wrong(what: &str, error: &serde_json::Error) -> Self {
        Self::Protocol(format!("{what}: {error}"))
    }
}

/// What happened.
#[derive(Debug)]
pub enum RegistrarInput<E> {
    /// The agent is to be registered with all that it hosts; an earlier registration is given up.
    Register(Box<AgentRegistration>),
    /// The server's session, now that there is one or that there will be none.
    Session {
        /// Its uuid.
        uuid: Option<String>,
        /// The largest message of a server of ours, in bytes; none of an original one.
        message_bytes: Option<u64>,
    },
    /// A call came to its end.
    Answered {
        /// Which.
        number: u64,
        /// What the server said.
        result: Result<Json, E>,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum RegistrarEffect<E> {
    /// Tell of the session, once it is known.
    AwaitSession,
    /// Nobody waits for that call any more.
    GiveUp {
        /// Which.
        number: u64,
    },
    /// Call the server, with a token of the driver's own.
    Call {
        /// Which it is, for [`RegistrarInput::Answered`].
        number: u64,
        /// The call.
        call: Box<Call>,
    },
    /// The agent is registered.
    Registered {
        /// Whether the server is an original one.
        original: bool,
        /// Containers that it is to end: others have them.
        end: Vec<String>,
    },
    /// It is not, and may try again. Where the session is another one meanwhile nothing is said: it
    /// is registered there.
    Failed(E),
}

/// The registrations of one agent.
#[derive(Debug, Default)]
pub struct Registrar {
    state: State,
    calls: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// There was no session to register in.
    Waiting(Box<AgentRegistration>),
    Running(Running),
}

#[derive(Debug)]
struct Running {
    /// The call that waits for its answer.
    call: u64,
    /// The session that it belongs to: a half of a registration means nothing to the next.
    session: Option<String>,
    original: bool,
    /// The chunks that follow.
    rest: VecDeque<AgentRegistration>,
}

impl Registrar {
    /// Takes one input and appends what follows from it, in order.
    pub fn handle<E: RegistrarError>(
        &mut self,
        input: RegistrarInput<E>,
        out: &mut Vec<RegistrarEffect<E>>,
    ) {
        match input {
            RegistrarInput::Register(registration) => {
                if let State::Running(Running { call: number, .. }) = &self.state {
                    let number = *number;
                    out.push(RegistrarEffect::GiveUp { number });
                }
                // Whoever waits for the session waits on, with the later one.
                if !matches!(self.state, State::Waiting(_)) {
                    out.push(RegistrarEffect::AwaitSession);
                }
                self.state = State::Waiting(registration);
            }
            RegistrarInput::Session {
                uuid,
                message_bytes,
            } => {
                let registration = match std::mem::take(&mut self.state) {
                    State::Waiting(registration) => *registration,
                    // Nothing waits for it.
                    other => return self.state = other,
                };
                let parts = match message_bytes {
                    None => vec![plain(registration)],
                    Some(bytes) => chunks(registration, bytes),
                };
                let running = Running {
                    call: 0,
                    session: uuid,
                    original: message_bytes.is_none(),
                    rest: parts.into(),
                };
                self.call_next(running, out);
            }
            RegistrarInput::Answered { number, result } => self.answered(number, result, out),
        }
    }

    fn call_next<E: RegistrarError>(
        &mut self,
        mut running: Running,
        out: &mut Vec<RegistrarEffect<E>>,
    ) {
        let Some(part) = running.rest.pop_front() else {
            return;
        };
        let params = match Json::of(&part) {
            Ok(params) => params,
            Err(error) => {
                let error = E::wrong("a registration cannot be written as JSON", &error);
                return out.push(RegistrarEffect::Failed(error));
            }
        };
        self.calls += 1;
        running.call = self.calls;
        let call = Call {
            only_in: running.session.clone(),
            registers: running.rest.is_empty(),
            ..Call::new(0, method::REGISTER_AGENT, params)
        };
        self.state = State::Running(running);
        out.push(RegistrarEffect::Call {
            number: self.calls,
            call: Box::new(call),
        });
    }

    fn answered<E: RegistrarError>(
        &mut self,
        number: u64,
        result: Result<Json, E>,
        out: &mut Vec<RegistrarEffect<E>>,
    ) {
        let running = match std::mem::take(&mut self.state) {
            State::Running(running) if running.call == number => running,
            // Of one that was given up.
            other => return self.state = other,
        };
        match result {
            Ok(_) if !running.rest.is_empty() => self.call_next(running, out),
            Ok(answer) => {
                let end = answer.read::<Option<Vec<String>>>();
                out.push(match end {
                    Ok(end) => RegistrarEffect::Registered {
                        original: running.original,
                        end: end.unwrap_or_default(),
                    },
                    Err(error) => {
                        RegistrarEffect::Failed(E::wrong("the answer to a registration", &error))
                    }
                });
            }
            Err(error) if error.is_interrupted() => {}
            Err(error) => out.push(RegistrarEffect::Failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use huly_protocol::{ErrorPayload, RecordExt};

    use super::*;
    use crate::registration::tests::registration;

    type Input = RegistrarInput<CallError>;
    type Effect = RegistrarEffect<CallError>;

    /// One whose records say what an original server is not asked for.
    fn extended(containers: usize) -> Box<AgentRegistration> {
        let mut extended = registration(containers, 0);
        for record in &mut extended.containers {
            record.extra = None;
            record.huly = Some(RecordExt::default());
        }
        Box::new(extended)
    }

    #[derive(Default)]
    struct Rig {
        registrar: Registrar,
    }

    impl Rig {
        fn input(&mut self, input: Input) -> Vec<Effect> {
            let mut out = Vec::new();
            self.registrar.handle(input, &mut out);
            out
        }

        fn register(&mut self, containers: usize) -> Vec<Effect> {
            self.input(Input::Register(extended(containers)))
        }

        fn session(&mut self, uuid: &str, message_bytes: Option<u64>) -> (u64, Call) {
            let uuid = Some(uuid.to_owned());
            call(self.input(Input::Session {
                uuid,
                message_bytes,
            }))
        }

        fn answer(&mut self, number: u64, answer: &'static str) -> Vec<Effect> {
            let result = Ok(serde_json::from_str(answer).unwrap());
            self.input(Input::Answered { number, result })
        }

        fn fail(&mut self, number: u64, code: ErrorCode) -> Vec<Effect> {
            let result = Err(CallError::Failed(ErrorPayload::new(code, "no")));
            self.input(Input::Answered { number, result })
        }
    }

    fn call(mut effects: Vec<Effect>) -> (u64, Call) {
        match effects.pop() {
            Some(Effect::Call { number, call }) if effects.is_empty() => (number, *call),
            other => panic!("one call was expected: {other:?}"),
        }
    }

    fn end(effects: &[Effect]) -> &[String] {
        match effects {
            [Effect::Registered { end, .. }] => end,
            other => panic!("it is not registered: {other:?}"),
        }
    }

    #[test]
    fn the_last_chunk_registers_and_each_waits_for_the_one_before() {
        let mut rig = Rig::default();
        assert!(matches!(rig.register(1_100)[..], [Effect::AwaitSession]));
        let (mut number, mut part) = rig.session("s1", Some(1 << 20));
        for _ in 0..2 {
            assert!(!part.registers);
            assert_eq!(part.only_in.as_deref(), Some("s1"));
            (number, part) = call(rig.answer(number, "[]"));
        }
        assert!(part.registers);
        assert_eq!(end(&rig.answer(number, r#"["c-1"]"#)), ["c-1"]);
    }

    #[test]
    fn an_original_server_is_told_no_extension_and_may_answer_with_nothing() {
        let mut rig = Rig::default();
        rig.register(1_100);
        let (number, call) = rig.session("s1", None);
        assert!(call.registers);
        assert!(!call.params.text().contains("huly"));
        let effects = rig.answer(number, "null");
        assert!(end(&effects).is_empty());
        let original =
            |effect: &Effect| matches!(effect, Effect::Registered { original: true, .. });
        assert!(original(&effects[0]));
    }

    #[test]
    fn a_later_registration_gives_the_earlier_one_up() {
        let mut rig = Rig::default();
        rig.register(1);
        // Nothing was sent yet: the session that is waited for serves the later one.
        assert!(rig.register(2).is_empty());
        let (first, _) = rig.session("s1", Some(1 << 20));
        let effects = rig.register(3);
        assert!(matches!(
            effects[..],
            [
                Effect::GiveUp { number },
                Effect::AwaitSession
            ] if number == first
        ));
        assert!(rig.answer(first, "[]").is_empty(), "it is late");
        let (second, call) = rig.session("s1", Some(1 << 20));
        assert!(call.params.text().contains("c-2"));
        assert!(rig.answer(first, "[]").is_empty());
        assert!(end(&rig.answer(second, "[]")).is_empty());
        assert!(rig.answer(second, "[]").is_empty(), "it is said once");
    }

    #[test]
    fn one_of_a_session_that_is_over_is_dropped_and_another_error_is_told() {
        let mut rig = Rig::default();
        rig.register(1_100);
        let (number, _) = rig.session("s1", Some(1 << 20));
        assert!(rig.fail(number, ErrorCode::Interrupted).is_empty());
        rig.register(1);
        let (number, _) = rig.session("s2", Some(1 << 20));
        let effects = rig.fail(number, ErrorCode::Busy);
        assert!(matches!(effects[..], [Effect::Failed(_)]));
        rig.register(1);
        let (number, _) = rig.session("s2", Some(1 << 20));
        let effects = rig.answer(number, "7");
        assert!(matches!(effects[..], [Effect::Failed(_)]));
    }

    #[test]
    fn a_session_that_nothing_waits_for_begins_nothing() {
        let late = || Input::Session {
            uuid: Some("s3".to_owned()),
            message_bytes: None,
        };
        let mut rig = Rig::default();
        assert!(rig.input(late()).is_empty());
        rig.register(1);
        let (number, _) = rig.session("s1", None);
        assert!(rig.input(late()).is_empty());
        assert!(end(&rig.answer(number, "[]")).is_empty());
    }
}
