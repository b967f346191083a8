//! Messages on the agent's own ROUTER and on those of containers.

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{
    CallerExt, Connect, ContainerCall, ErrorCode, ErrorPayload, Frame, Hello, HelloAnswer, Json,
    Limits, MAX_CLIENT_ID_BYTES, Op, PROTOCOL_VERSION, Request, Uuid, method,
};

use super::answers::{Counted, Name};
use super::calls::{Asker, Caller, Reply, read_call};
use super::session::{InFlight, Session, Sessions};
use super::types::{Conn, Door, Effect, Id};
use super::{Agent, error, json};

/// The alive timeout of a client that does not say one (W08).
const ALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often silence is looked for.
const SILENCE_CHECK: Duration = Duration::from_millis(250);

impl Agent {
    pub(super) fn message(&mut self, conn: Conn, frame: Frame) {
        // Of a container that has ended: its ROUTER is closed.
        let Some(sessions) = self.doors.get_mut(conn.door) else {
            return;
        };
        let client = sessions.client_of(&conn.name).cloned();
        if let Some(session) = client.as_ref().and_then(|client| sessions.get_mut(client)) {
            session.last_heard = self.now;
        }
        match frame.op {
            Op::Hello => self.hello(conn, &frame),
            Op::Request => self.direct_request(conn, frame),
            Op::Ping => self.pong(conn, frame),
            Op::Close => {
                if let Some(client) = client {
                    self.forget_sender(&conn);
                    self.forget_client(conn.door, &client);
                }
            }
            // The agent asks its clients nothing.
            Op::Response | Op::ResponseError => self.bad_message("unknown_answer"),
            Op::Event | Op::Pong | Op::Retry | Op::AskHello => self.bad_message("unexpected_op"),
        }
    }

    pub(super) fn connection_closed(&mut self, conn: &Conn) {
        if let Some(sessions) = self.doors.get_mut(conn.door) {
            sessions.unbind(&conn.name);
        }
    }

    pub(super) fn send(&mut self, conn: Conn, frame: Frame) {
        self.effect(Effect::Send { conn, frame });
    }

    fn hello(&mut self, conn: Conn, frame: &Frame) {
        let Ok(hello) = Hello::read(&frame.payload) else {
            return self.bad_message("bad_hello");
        };
        if frame.id.len() > MAX_CLIENT_ID_BYTES {
            return self.bad_message("client_id_too_long");
        }
        let client = Id::from(frame.id.as_str());
        let alive_timeout = hello.alive_timeout_or(ALIVE_TIMEOUT);
        let nonce = hello.huly.map(|huly| huly.nonce);
        self.note_client(&client, &conn, nonce, alive_timeout);
        let Some(sessions) = self.doors.get_mut(conn.door) else {
            return;
        };
        let instance = sessions.instance();
        let Some(session) = sessions.get_mut(&client) else {
            return;
        };
        let (uuid, rust) = (session.uuid.clone(), session.is_rust());
        let payload = if rust {
            let container = self.behind(conn.door).map(ToString::to_string);
            self.hello_answer(instance, container)
        } else {
            Bytes::new()
        };
        self.send(conn, Frame::new(Op::Hello, uuid, payload));
    }

    /// Finds or makes the client's session and binds it to the connection.
    fn note_client(
        &mut self,
        client: &Id,
        conn: &Conn,
        nonce: Option<String>,
        alive_timeout: Duration,
    ) {
        let now = self.now;
        let own = self.behind(conn.door).cloned();
        let known = self
            .doors
            .get_mut(conn.door)
            .and_then(|all| all.get_mut(client));
        if known.is_some_and(|session| session.nonce != nonce) {
            // Another process with the client's id: it says itself what it wants.
            self.forget_client(conn.door, client);
        }
        let Some(sessions) = self.doors.get_mut(conn.door) else {
            return;
        };
        let fresh = sessions.next_uuid();
        let mut connected = Vec::new();
        match sessions.get_mut(client) {
            Some(session) => {
                // An answer may have been lost with the old connection. A TypeScript client sends
                // its requests again only when the uuid differs (W21).
                if !session.is_rust() && session.conn.as_ref() != Some(&conn.name) {
                    session.uuid = fresh;
                }
                session.alive_timeout = alive_timeout;
                session.last_heard = now;
            }
            None => {
                // Whoever comes to a container's own ROUTER is connected to it.
                connected.extend(own);
                sessions.insert(
                    client.clone(),
                    Session {
                        uuid: fresh,
                        conn: None,
                        nonce,
                        alive_timeout,
                        last_heard: now,
                        present: true,
                        in_flight: InFlight::default(),
                        containers: connected.iter().cloned().collect(),
                    },
                );
            }
        }
        sessions.bind(client, &conn.name);
        connected.extend(sessions.arrive(client));
        for uuid in connected {
            self.tell_connected(&uuid, client);
        }
    }

    fn hello_answer(&self, instance: String, container: Option<String>) -> Bytes {
        let in_flight = u32::try_from(self.config.requests_in_flight).unwrap_or(u32::MAX);
        let lease = u64::try_from(self.gate.length.as_millis()).unwrap_or(u64::MAX);
        json(&HelloAnswer {
            v: PROTOCOL_VERSION,
            instance,
            term: self.term,
            // An agent serves its containers, not the network.
            network: String::new(),
            features: Vec::new(),
            control: false,
            limits: Limits {
                message_bytes: self.config.message_bytes,
                requests_in_flight: in_flight,
                lease_ms: lease,
            },
            container,
        })
        .into_bytes()
    }

    fn pong(&mut self, conn: Conn, frame: Frame) {
        let Some(sessions) = self.doors.get_mut(conn.door) else {
            return;
        };
        let known = sessions.client_of(&conn.name).cloned();
        let uuid = known.and_then(|client| sessions.get_mut(&client).map(|s| s.uuid.clone()));
        let asks = uuid.is_none();
        let uuid = uuid.unwrap_or_else(|| sessions.instance());
        self.send(conn.clone(), Frame::pong(uuid, frame.payload));
        if asks {
            self.ask_hello(conn);
        }
    }

    fn ask_hello(&mut self, conn: Conn) {
        if let Some(instance) = self.doors.get(conn.door).map(Sessions::instance) {
            self.send(conn, Frame::new(Op::AskHello, instance, Bytes::new()));
        }
    }

    fn direct_request(&mut self, conn: Conn, frame: Frame) {
        let door = conn.door;
        let Some(sessions) = self.doors.get_mut(door) else {
            return;
        };
        let Some(client) = sessions.client_of(&conn.name).cloned() else {
            self.retry(conn.clone(), frame.id);
            return self.ask_hello(conn);
        };
        let request = Request::read(&frame.payload);
        // What is answered at once cannot pile up, and must go through also when requests do.
        let counts = request.as_ref().is_ok_and(|request| {
            door != Door::Agent || request.method == method::CONTAINER_REQUEST
        });
        let Some(session) = sessions.get_mut(&client) else {
            return;
        };
        let id = Id::from(frame.id.as_str());
        let bytes = frame.payload.len();
        if counts && !session.in_flight.takes(&id, bytes, &self.config) {
            return match session.is_rust() {
                true => {
                    let ext = request.ok().and_then(|request| said_beside(door, &request));
                    let again = ext.is_some_and(|ext| ext.epoch.is_some());
                    self.too_many(conn, frame.id, again);
                }
                false => self.retry(conn, frame.id),
            };
        }
        session.in_flight.insert(id.clone(), bytes);
        let asker = Asker {
            door,
            over: (!session.is_rust()).then_some(conn.name),
            client,
            request: id,
        };
        let done = match request {
            Ok(request) => match self.behind(door).cloned() {
                Some(uuid) => self.run_operation(&asker, &uuid, &request),
                None => self.run_method(&asker, &request),
            },
            Err(cause) => {
                self.bad_message("bad_request");
                let message = format!("the payload is no request [method, params]: {cause}");
                Err(error(ErrorCode::BadRequest, message))
            }
        };
        match done {
            Ok(None) => {}
            Ok(Some(answer)) => self.answer_client(&asker, Ok(answer)),
            Err(cause) => self.answer_client(&asker, Err(cause)),
        }
    }

    pub(super) fn retry(&mut self, conn: Conn, id: String) {
        self.send(conn, Frame::new(Op::Retry, id, Bytes::from_static(b"1")));
    }

    /// A Rust client is told: it knows better than to try again at once. Of what was sent before it is
    /// not looked up here whether it ran.
    fn too_many(&mut self, conn: Conn, id: String, again: bool) {
        let message = format!(
            "agent {} takes {} requests of a client at once, of {} bytes",
            self.config.agent, self.config.requests_in_flight, self.config.bytes_in_flight
        );
        let cause = match again {
            true => {
                let message = format!("outcome unknown: it was sent before; now {message}");
                error(ErrorCode::OutcomeUnknown, message)
            }
            false => error(ErrorCode::Busy, message),
        };
        let payload = cause.bytes();
        self.send(conn, Frame::new(Op::ResponseError, id, payload));
    }

    fn run_method(
        &mut self,
        asker: &Asker,
        request: &Request<'_>,
    ) -> Result<Option<Json>, ErrorPayload> {
        let params = request.params.get();
        match request.method.as_ref() {
            method::CONTAINER_REQUEST => {
                let mut call = read_call(params)?;
                let ext = call.ext.take().unwrap_or_default();
                self.admit_from(asker, &call, ext)
            }
            method::CONNECT => {
                let connect: Connect = read_params(params)?;
                Ok(Some(self.connect(&asker.client, connect.uuid.into_vec())))
            }
            method::DISCONNECT => {
                let named: Uuid = read_params(params)?;
                self.disconnect(&asker.client, &named.uuid).map(Some)
            }
            other => {
                self.bad_message("unknown_method");
                let message = format!("an agent knows no method {other:?}");
                Err(error(ErrorCode::BadRequest, message))
            }
        }
    }

    /// On a container's own ROUTER the method is the operation, and the parameters are its data.
    fn run_operation(
        &mut self,
        asker: &Asker,
        uuid: &str,
        request: &Request<'_>,
    ) -> Result<Option<Json>, ErrorPayload> {
        let ext = request.ext.map(|ext| read_params::<CallerExt>(ext.get()));
        let call = ContainerCall {
            uuid: uuid.into(),
            operation: request.method.as_ref().into(),
            data: request.params,
            ext: None,
        };
        self.admit_from(asker, &call, ext.transpose()?.unwrap_or_default())
    }

    fn admit_from(
        &mut self,
        asker: &Asker,
        call: &ContainerCall<'_>,
        ext: CallerExt,
    ) -> Result<Option<Json>, ErrorPayload> {
        // Over one connection asks who does not say that its ids are good on all routes.
        let counted = asker.over.as_ref().map(|_| Counted::new(asker.door, call));
        let name = Some(Name {
            client: asker.client.clone(),
            request: asker.request.clone(),
            counted,
        });
        self.admit(call, Caller { name, ext }, Reply::Client(asker.clone()))
    }

    /// The client closed, or nothing is kept of it any more.
    fn forget_client(&mut self, door: Door, client: &Id) {
        let Some(session) = self.doors.get_mut(door).and_then(|all| all.remove(client)) else {
            return;
        };
        for uuid in &session.containers {
            if door == Door::Agent
                && let Some(container) = self.containers.get_mut(uuid)
            {
                container.connected.remove(client);
            }
            if session.present {
                self.tell_disconnected(uuid, client);
            }
        }
    }

    pub(super) fn forget_silent_clients(&mut self) {
        if self.now < self.silence_check {
            return;
        }
        self.silence_check = self.now + SILENCE_CHECK;
        for door in self.doors.all() {
            self.forget_silent_clients_at(door);
        }
        while self.doors.agent().absent() > self.config.absent_clients {
            let Some(client) = self.doors.agent().longest_away() else {
                break;
            };
            self.forget_client(Door::Agent, &client);
        }
    }

    fn forget_silent_clients_at(&mut self, door: Door) {
        let Some(sessions) = self.doors.get_mut(door) else {
            return;
        };
        let mut left = Vec::new();
        for client in sessions.silent(self.now) {
            let containers = sessions.leave(&client);
            // On a container's own ROUTER its hello says all that it wants.
            if containers.is_empty() || door != Door::Agent {
                sessions.remove(&client);
            }
            left.extend(containers.into_iter().map(|uuid| (uuid, client.clone())));
        }
        for (uuid, client) in left {
            self.tell_disconnected(&uuid, &client);
        }
    }
}

fn read_params<T: serde::de::DeserializeOwned>(params: &str) -> Result<T, ErrorPayload> {
    serde_json::from_str(params)
        .map_err(|cause| error(ErrorCode::BadRequest, format!("wrong parameters: {cause}")))
}

/// What a client says beside a request to a container.
fn said_beside(door: Door, request: &Request<'_>) -> Option<CallerExt> {
    match door {
        Door::Agent => read_call(request.params.get()).ok()?.ext,
        Door::Container(_) => read_params(request.ext?.get()).ok(),
    }
}
