//! References: what the client holds, and that a fresh session of the server's knows it again.

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{
    EventKind, Frame, GetParams, GetRequest, GotContainer, HeldEvent, Json, NetworkEvent,
    PeerEvent, Placement, Reassert, ReassertedGet, Uuid, method,
};
use indexmap::IndexMap;

use crate::config::Peer;
use crate::io::{CallError, Effect, StopReason, Token};
use crate::pending::{Body, Internal, Key, Owner, Pending};
use crate::session::Session;

/// References in one chunk of a re-assertion.
const CHUNK: usize = 500;

/// Where a container is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Location {
    /// Its endpoint text; what it was last, of one that is gone.
    pub endpoint: String,
    /// Where it lives; nothing at an original server.
    pub placement: Option<Placement>,
    /// Whether it ended and nothing replaced it.
    pub gone: bool,
}

/// One reference.
#[derive(Debug, Clone)]
struct Held {
    kind: String,
    request: GetRequest,
    durable: bool,
    /// Handles that the session counts.
    handles: u32,
    /// Whether a caller that counts its own handles holds it too.
    raw: bool,
    location: Location,
}

/// What the client holds, by container.
#[derive(Debug, Default)]
pub(crate) struct References {
    held: IndexMap<String, Held>,
    /// Let go while a get was under way that may bring it again: who waits for the release.
    releasing: IndexMap<String, Vec<Option<Token>>>,
}

impl References {
    pub(crate) fn location(&self, uuid: &str) -> Option<&Location> {
        self.held.get(uuid).map(|held| &held.location)
    }

    pub(crate) fn handles(&self) -> IndexMap<&str, u32> {
        self.held
            .iter()
            .map(|(uuid, held)| (uuid.as_str(), held.handles))
            .collect()
    }
}

impl Session {
    pub(crate) fn get(
        &mut self,
        now: Duration,
        token: Token,
        params: GetParams,
        raw: bool,
        timeout: Option<Duration>,
    ) {
        let owner = Owner::Get {
            token: Some(token),
            raw,
        };
        let body = Body::Get(Box::new(params));
        let mut request = Pending::new(String::new(), method::GET.into(), body, owner);
        request.deadline = self.deadline(now, timeout);
        self.enqueue(request);
    }

    /// A get was answered.
    pub(crate) fn got(
        &mut self,
        token: Option<Token>,
        params: GetParams,
        raw: bool,
        result: Result<Bytes, CallError>,
        out: &mut Vec<Effect>,
    ) {
        let result = result.and_then(|payload| {
            serde_json::from_slice::<GotContainer>(&payload).map_err(|error| {
                self.counters.bad_messages += 1;
                CallError::Protocol(format!("the answer to a get cannot be read: {error}"))
            })
        });
        let result = match (result, &params.request.uuid) {
            (Ok(got), Some(asked)) if got.uuid != *asked => {
                let message = format!(
                    "container {asked} was asked for, the network answered with {}",
                    got.uuid
                );
                self.let_go(&got.uuid, None);
                Err(CallError::Protocol(message))
            }
            (result, _) => result,
        };
        if let Ok(got) = &result {
            match token {
                Some(_) => self.hold(&params, got, raw),
                None => self.let_go(&got.uuid, None),
            }
        }
        self.finish_releases(out);
        if let Some(token) = token {
            out.push(Effect::Got { token, result });
        }
    }

    fn hold(&mut self, params: &GetParams, got: &GotContainer, raw: bool) {
        let durable = params.huly.as_ref().is_some_and(|ext| ext.durable);
        let location = Location {
            endpoint: got.endpoint.clone(),
            placement: got.placement.clone(),
            gone: false,
        };
        let held = self
            .references
            .held
            .entry(got.uuid.clone())
            .or_insert_with(|| Held {
                kind: params.kind.clone(),
                request: params.request.clone(),
                durable: false,
                handles: 0,
                raw: false,
                location: Location::default(),
            });
        held.durable |= durable;
        held.location = location;
        held.raw |= raw;
        held.handles += u32::from(!raw);
    }

    pub(crate) fn release(
        &mut self,
        token: Option<Token>,
        uuid: String,
        raw: bool,
        out: &mut Vec<Effect>,
    ) {
        let Some(held) = self.references.held.get_mut(&uuid) else {
            // A caller that counts its own may know of one from its former life.
            return match raw {
                true => self.let_go(&uuid, token),
                false => self.released(token, out),
            };
        };
        match raw {
            true => held.raw = false,
            false => held.handles = held.handles.saturating_sub(1),
        }
        if held.handles > 0 || held.raw {
            return self.released(token, out);
        }
        self.references.held.shift_remove(&uuid);
        self.let_go(&uuid, token);
    }

    fn released(&mut self, token: Option<Token>, out: &mut Vec<Effect>) {
        if let Some(token) = token {
            let result = Ok(Bytes::from_static(b"\"ok\""));
            out.push(Effect::Answered { token, result });
        }
    }

    /// Releases what nobody holds here, once no get under way may bring it again: on the wire a
    /// reference is a member of a set, so a release would take away what that get brings.
    fn let_go(&mut self, uuid: &str, token: Option<Token>) {
        if self.references.held.contains_key(uuid) {
            return;
        }
        if self.queue.may_get(uuid) {
            self.references
                .releasing
                .entry(uuid.to_owned())
                .or_default()
                .push(token);
            return;
        }
        let uuid = Uuid {
            uuid: uuid.to_owned(),
        };
        let body = Body::Json(Json::of(&uuid).unwrap_or_else(|_| Json::null()));
        let owner = Owner::Release(token);
        self.enqueue(Pending::new(
            String::new(),
            method::RELEASE.into(),
            body,
            owner,
        ));
    }

    fn finish_releases(&mut self, out: &mut Vec<Effect>) {
        if self.references.releasing.is_empty() {
            return;
        }
        for (uuid, tokens) in std::mem::take(&mut self.references.releasing) {
            for token in tokens {
                match self.references.held.contains_key(&uuid) {
                    true => self.released(token, out),
                    false => self.let_go(&uuid, token),
                }
            }
        }
    }

    /// Nobody waits for a get any more: what it brings is released.
    pub(crate) fn abandon_get(&mut self, key: Key, out: &mut Vec<Effect>) {
        let Some(request) = self.queue.get(key) else {
            return;
        };
        if !request.ever_sent {
            self.queue.remove(key);
            return self.finish_releases(out);
        }
        let asked = match &request.body {
            Body::Get(params) => params.request.uuid.clone(),
            Body::Json(_) => None,
        };
        match asked {
            // A release takes back the get as well.
            Some(uuid) => {
                self.queue.give_up(key);
                self.let_go(&uuid, None);
            }
            None => self.queue.abandon(key),
        }
        self.finish_releases(out);
    }

    /// Asserts every reference again, after a fresh session of the server's.
    pub(crate) fn assert_again(&mut self) {
        let rust = self.is_rust();
        let gets: Vec<ReassertedGet> = self
            .references
            .held
            .iter()
            .filter(|(_, held)| !held.location.gone)
            .map(|(uuid, held)| {
                let placement = held.location.placement.as_ref();
                ReassertedGet {
                    uuid: uuid.clone(),
                    kind: held.kind.clone(),
                    request: held.request.clone(),
                    durable: held.durable,
                    epoch: placement.and_then(|placement| placement.epoch),
                    agent_id: placement.map(|placement| placement.agent_id.clone()),
                    failovers: placement.map_or(0, |placement| placement.failovers),
                }
            })
            .collect();
        if rust {
            for chunk in gets.chunks(CHUNK) {
                let uuids = chunk.iter().map(|get| get.uuid.clone()).collect();
                let chunk = Reassert {
                    gets: chunk.to_vec(),
                };
                let params = Json::of(&chunk).unwrap_or_else(|_| Json::null());
                self.ask(Internal::Reassert(uuids), method::REASSERT, params);
            }
            return;
        }
        for get in gets {
            // By its uuid, so that what is held stays the same container where it still lives.
            let params = GetParams {
                kind: get.kind,
                request: GetRequest {
                    uuid: Some(get.uuid.clone()),
                    ..get.request
                },
                huly: None,
            };
            let params = Json::of(&params).unwrap_or_else(|_| Json::null());
            self.ask(Internal::Regain(get.uuid), method::GET, params);
        }
    }

    pub(crate) fn internal_answered(
        &mut self,
        what: &Internal,
        payload: &[u8],
        out: &mut Vec<Effect>,
    ) {
        match what {
            Internal::Watch => self.watch_answered(payload),
            Internal::Reassert(uuids) => {
                match serde_json::from_slice::<Vec<Option<GotContainer>>>(payload) {
                    Ok(answers) => {
                        for (uuid, got) in uuids.iter().zip(answers) {
                            // Of what is not known yet a held event tells.
                            if let Some(got) = got.filter(|got| got.uuid == *uuid) {
                                self.found(got, out);
                            }
                        }
                    }
                    Err(_) => self.counters.bad_messages += 1,
                }
            }
            Internal::Regain(uuid) => match serde_json::from_slice::<GotContainer>(payload) {
                Ok(got) if got.uuid == *uuid => self.found(got, out),
                Ok(_) | Err(_) => self.counters.bad_messages += 1,
            },
            Internal::Connect | Internal::Quiet | Internal::Detach => {}
        }
    }

    fn found(&mut self, got: GotContainer, out: &mut Vec<Effect>) {
        let location = Location {
            endpoint: got.endpoint,
            placement: got.placement,
            gone: false,
        };
        let Some(held) = self.references.held.get_mut(&got.uuid) else {
            return;
        };
        if held.location != location {
            held.location = location.clone();
            out.push(Effect::Held(HeldEvent {
                uuid: got.uuid,
                event: EventKind::Updated,
                endpoint: Some(location.endpoint),
                placement: location.placement,
            }));
        }
    }

    pub(crate) fn event(&mut self, frame: Frame, out: &mut Vec<Effect>) {
        if self.config.peer != Peer::Server {
            return out.push(Effect::Event(frame.payload));
        }
        if !self.is_rust() {
            return self.plain_event(&frame.payload, out);
        }
        match serde_json::from_slice::<PeerEvent>(&frame.payload) {
            Ok(PeerEvent::Held(events)) => {
                for event in events {
                    self.held_event(event, out);
                }
            }
            Ok(PeerEvent::Feed(event)) => self.feed_event(event, out),
            Ok(PeerEvent::Term(term)) => self.raise_term(term, out),
            Ok(PeerEvent::Superseded(text)) => self.stop(StopReason::Superseded(text), out),
            // A member that a later version added, or nonsense.
            Err(_) => self.counters.bad_messages += 1,
        }
    }

    fn plain_event(&mut self, payload: &[u8], out: &mut Vec<Effect>) {
        let Ok(event) = serde_json::from_slice::<NetworkEvent>(payload) else {
            self.counters.bad_messages += 1;
            return;
        };
        for event in event.containers {
            if event.event == EventKind::Added
                || !self.references.held.contains_key(&event.container.uuid)
            {
                continue;
            }
            let moved = event.event == EventKind::Updated && !event.container.endpoint.is_empty();
            let event = HeldEvent {
                uuid: event.container.uuid,
                event: event.event,
                endpoint: moved.then_some(event.container.endpoint),
                placement: None,
            };
            self.held_event(event, out);
        }
    }

    fn held_event(&mut self, event: HeldEvent, out: &mut Vec<Effect>) {
        if let Some(held) = self.references.held.get_mut(&event.uuid) {
            let location = &mut held.location;
            location.gone = event.event == EventKind::Removed;
            if let Some(endpoint) = &event.endpoint {
                location.endpoint.clone_from(endpoint);
            }
            if event.placement.is_some() {
                location.placement.clone_from(&event.placement);
            }
        }
        out.push(Effect::Held(event));
    }
}
