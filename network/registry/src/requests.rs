//! Requests of clients: which method does what.

use huly_protocol::{
    AgentRegistration, AgentUuid, ErrorCode, ErrorPayload, Find, Frame, IN_FLIGHT_RESERVE,
    KindBarrier, KindSpec, NetworkEvent, Op, Reassert, Request, Sync, Uuid, method,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::registry::{Id, Registry};
use crate::routed::Terms;
use crate::session::Flight;

/// What a request comes to at once: an answer, an error, or an answer later.
pub(crate) type Outcome = Result<Option<Vec<u8>>, ErrorPayload>;

/// An answer now.
pub(crate) fn now<T: Serialize + ?Sized>(value: &T) -> Outcome {
    serde_json::to_vec(value)
        .map(Some)
        .map_err(|error| ErrorPayload::new(ErrorCode::BadRequest, error.to_string()))
}

fn params<T: DeserializeOwned>(raw: &RawValue, method: &str) -> Result<T, ErrorPayload> {
    serde_json::from_str(raw.get()).map_err(|error| {
        let message = format!("wrong parameters of {method}: {error}");
        ErrorPayload::new(ErrorCode::BadRequest, message)
    })
}

/// The methods that clients may send, as constants for counting.
pub const METHODS: [&str; 19] = [
    method::REGISTER_AGENT,
    method::UNREGISTER_AGENT,
    method::LIST_AGENTS,
    method::LIST_KINDS,
    method::LIST_CONTAINERS,
    method::GET,
    method::RELEASE,
    method::CONTAINER_REQUEST,
    method::CONTAINER_UPDATE,
    method::DETACH,
    method::REASSERT,
    method::WATCH,
    method::UNWATCH,
    method::DRAIN,
    method::SET_KIND,
    method::REMOVE_KINDS,
    method::LIST_KIND_SPECS,
    method::SYNC,
    "unknown",
];

/// How many requests a client may have in flight for one more. What is answered at once is always
/// taken: containers and gets that wait never keep their client from a release.
fn in_flight_limit(method: &str, limit: u32) -> usize {
    match method {
        method::CONTAINER_REQUEST => limit as usize,
        method::GET => (limit + IN_FLIGHT_RESERVE) as usize,
        _ => usize::MAX,
    }
}

impl Registry {
    pub(crate) fn request(&mut self, client: &Id, frame: Frame) {
        let time = self.now.mono;
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        // W05: it runs already, or was answered before it came again over this connection.
        let again = session.again.swap_remove(&frame.id);
        let answered = session.answered.get(&frame.id).is_some();
        if again || answered || session.in_flight.contains_key(&frame.id) {
            return;
        }
        let request = Request::read(&frame.payload);
        let limit = in_flight_limit(
            request.as_ref().map_or("", |request| &request.method),
            self.config.requests_in_flight,
        );
        if session.in_flight.len() >= limit {
            if !session.is_rust() {
                let retry = Frame::new(Op::Retry, frame.id, "1");
                return self.send_to_client(client, retry);
            }
            let busy = format!("{limit} requests are in flight already");
            let error = ErrorPayload::new(ErrorCode::Busy, busy);
            // One that was sent before may have run then.
            let terms = request.as_ref().ok().and_then(|it| Terms::read(it, time));
            let error = match terms {
                Some(terms) => terms.refusal(error),
                None => error,
            };
            return self.send_error(client, &frame.id, "unknown", error);
        }
        let (method, outcome) = match request {
            Err(error) => {
                self.bad_message("bad_request");
                let message = format!("a request's payload is [method, params]: {error}");
                (
                    "unknown",
                    Err(ErrorPayload::new(ErrorCode::BadRequest, message)),
                )
            }
            Ok(request) => {
                let known = METHODS.iter().find(|known| **known == request.method);
                let method = known.copied().unwrap_or("unknown");
                let flight = Flight {
                    method,
                    kind: None,
                    waits_for: None,
                    call: None,
                };
                session.in_flight.insert(frame.id.clone(), flight);
                (method, self.dispatch(client, &frame.id, &request))
            }
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(payload)) => self.respond(client, &frame.id, payload),
            Err(error) if method == "unknown" => {
                if let Some(session) = self.sessions.get_mut(client) {
                    session.in_flight.swap_remove(&frame.id);
                }
                self.send_error(client, &frame.id, method, error);
            }
            Err(error) => self.respond_error(client, &frame.id, error),
        }
    }

    fn dispatch(&mut self, client: &Id, id: &str, request: &Request<'_>) -> Outcome {
        let (raw, name) = (request.params, request.method.as_ref());
        match name {
            method::GET => self.get(client, id, params(raw, name)?),
            method::CONTAINER_REQUEST => self.container_request(client, id, raw),
            method::RELEASE => {
                let Uuid { uuid } = params(raw, name)?;
                self.release_once(client, id, &Id::from(uuid.as_str()))?;
                now("ok")
            }
            method::LIST_AGENTS => now(&self.list_agents(self.is_rust(client))),
            method::LIST_KINDS => now(&self.list_kinds()),
            method::LIST_CONTAINERS => {
                let find: Option<Find> = params(raw, name)?;
                let kind = find.unwrap_or_default().kind;
                now(&self.list_containers(kind.as_deref(), self.is_rust(client)))
            }
            method::REGISTER_AGENT => {
                let registration: AgentRegistration = params(raw, name)?;
                let agent = Id::from(registration.uuid.as_str());
                if let Some(ends) = self.outdated(client, &agent, id) {
                    return now(&ends);
                }
                let before = self.out.len();
                let answer = self
                    .register(client, registration, raw.get().len())?
                    .unwrap_or_default();
                self.note_told(client, &agent, id, &answer);
                // The answer goes first: the agent's lease begins with it.
                let calls = self.out.split_off(before);
                self.respond(client, id, answer);
                self.out.extend(calls);
                self.after_registration();
                Ok(None)
            }
            method::UNREGISTER_AGENT => {
                let AgentUuid { uuid } = params(raw, name)?;
                self.unregister(client, &Id::from(uuid.as_str()))
            }
            method::CONTAINER_UPDATE => {
                let event: NetworkEvent = params(raw, name)?;
                self.container_update(client, &event)
            }
            method::DRAIN => {
                let AgentUuid { uuid } = params(raw, name)?;
                self.drain(client, &Id::from(uuid.as_str()))
            }
            method::DETACH => {
                if let Some(session) = self.sessions.get_mut(client) {
                    session.detached = true;
                }
                now("ok")
            }
            method::REASSERT => {
                let Reassert { gets } = params(raw, name)?;
                self.reassert(client, gets)
            }
            method::WATCH => self.watch(client, id),
            method::UNWATCH => {
                self.feed.watchers.swap_remove(client);
                now("ok")
            }
            method::LIST_KIND_SPECS => now(&self.kinds.values().collect::<Vec<_>>()),
            method::SET_KIND => {
                self.need_control(client, name)?;
                let spec: KindSpec = params(raw, name)?;
                self.set_kind(spec)
            }
            method::REMOVE_KINDS => {
                self.need_control(client, name)?;
                let KindBarrier { kinds } = params(raw, name)?;
                self.kind_barrier(kinds)
            }
            method::SYNC => {
                self.need_control(client, name)?;
                let sync: Sync = params(raw, name)?;
                self.sync(client, sync)
            }
            other => {
                let message = format!("there is no method {other:?}");
                Err(ErrorPayload::new(ErrorCode::BadRequest, message))
            }
        }
    }

    pub(crate) fn need_control(&self, client: &Id, what: &str) -> Result<(), ErrorPayload> {
        if self
            .sessions
            .get(client)
            .is_some_and(|session| session.control)
        {
            return Ok(());
        }
        let why = match self.config.control_secret {
            None => "the network server was started without --control-secret-file",
            Some(_) => "the control secret in the hello is missing or wrong",
        };
        let message = format!("{what} is not allowed: {why}");
        Err(ErrorPayload::new(ErrorCode::NotAllowed, message))
    }
}
