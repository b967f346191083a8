//! After a fresh session of the server's: it is told what the client holds. Events of that.

use huly_protocol::{
    EventKind, Frame, GotContainer, HeldEvent, Json, NetworkEvent, PeerEvent, Reassert,
    ReassertedGet, method,
};

use crate::config::Peer;
use crate::io::{Effect, StopReason};
use crate::pending::{Body, Internal, Key, Owner};
use crate::references::{Location, epoch_at};
use crate::session::Session;

/// References in one chunk of a re-assertion.
const CHUNK: usize = 500;
/// Bytes of a re-assertion beside its references, with some to spare.
const ENVELOPE: u64 = 64;

impl Session {
    /// Asserts every reference again.
    pub(crate) fn assert_again(&mut self) {
        self.forget_regaining();
        if !self.is_rust() {
            return self.regain_all();
        }
        let uuids: Vec<String> = self.references.held.keys().cloned().collect();
        for chunk in self.chunks(&uuids) {
            self.ask_reassert(&chunk);
        }
    }

    /// What is held in chunks that the server takes: gets may carry large extras.
    fn chunks(&self, uuids: &[String]) -> Vec<Vec<String>> {
        let limit = self
            .peer_answer()
            .map_or(u64::MAX, |answer| answer.limits.message_bytes);
        let mut chunks: Vec<Vec<String>> = Vec::new();
        let mut bytes = u64::MAX;
        for uuid in uuids {
            let Some(get) = self.reasserted(uuid) else {
                continue;
            };
            let size = Json::of(&get).map_or(0, |json| json.text().len() as u64 + 1);
            let full = bytes.saturating_add(size) > limit;
            match chunks
                .last_mut()
                .filter(|chunk| !full && chunk.len() < CHUNK)
            {
                Some(chunk) => {
                    chunk.push(uuid.clone());
                    bytes += size;
                }
                None => {
                    chunks.push(vec![uuid.clone()]);
                    bytes = ENVELOPE + size;
                }
            }
        }
        chunks
    }

    /// Asserts those of a chunk that are still held.
    pub(crate) fn ask_reassert(&mut self, uuids: &[String]) -> Option<Key> {
        let (uuids, params) = self.reassertion(uuids)?;
        Some(self.ask(Internal::Reassert(uuids), method::REASSERT, params))
    }

    /// What is said of those that are held, and which they are.
    fn reassertion(&self, uuids: &[String]) -> Option<(Vec<String>, Json)> {
        let gets: Vec<ReassertedGet> = uuids
            .iter()
            .filter_map(|uuid| self.reasserted(uuid))
            .collect();
        if gets.is_empty() {
            return None;
        }
        let uuids = gets.iter().map(|get| get.uuid.clone()).collect();
        let params = Json::of(&Reassert { gets }).unwrap_or_else(|_| Json::null());
        Some((uuids, params))
    }

    /// Whether a request of the session's own still says what is so, now that it is sent for the first
    /// time; it may have waited. One that asserts references is written anew.
    pub(crate) fn is_still_meant(&mut self, key: Key) -> bool {
        let Some(request) = self.queue.get(key).filter(|request| !request.ever_sent) else {
            return true;
        };
        match &request.owner {
            Owner::Internal(Internal::Regain(uuid)) => self.references.held.contains_key(uuid),
            Owner::Internal(Internal::Reassert(uuids)) => {
                let uuids = uuids.clone();
                let Some((uuids, params)) = self.reassertion(&uuids) else {
                    return false;
                };
                if let Some(request) = self.queue.get_mut(key) {
                    request.owner = Owner::Internal(Internal::Reassert(uuids));
                    request.body = Body::Json(params);
                }
                true
            }
            _ => true,
        }
    }

    /// Also of one that nothing replaces for now: a server of ours places it later, for those who
    /// hold it.
    fn reasserted(&self, uuid: &str) -> Option<ReassertedGet> {
        let held = self.references.held.get(uuid)?;
        let placement = held.location.placement.as_ref();
        Some(ReassertedGet {
            uuid: uuid.to_owned(),
            kind: held.kind.clone(),
            request: held.request.clone(),
            durable: held.durable,
            epoch: placement.and_then(|placement| placement.epoch),
            agent_id: placement.map(|placement| placement.agent_id.clone()),
            failovers: placement.map_or(0, |placement| placement.failovers),
        })
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
                Ok(got) if got.uuid == *uuid => {
                    self.found(got, out);
                    self.regained(uuid);
                }
                Ok(_) | Err(_) => {
                    self.counters.bad_messages += 1;
                    self.regained(uuid);
                }
            },
            Internal::Connect | Internal::Disconnect(_) | Internal::Quiet | Internal::Detach => {}
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
            let epoch = epoch_at(&location);
            self.has_moved(&got.uuid, epoch);
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
        let gone = event.containers.iter();
        let gone: Vec<String> = gone
            .filter(|change| change.event == EventKind::Removed)
            .map(|change| change.container.uuid.clone())
            .collect();
        if !gone.is_empty() {
            out.push(Effect::Removed(gone));
        }
        self.agents_told(&event.agents);
        for event in event.containers {
            let Some(held) = self.references.held.get(&event.container.uuid) else {
                continue;
            };
            if event.event == EventKind::Added {
                if held.location.gone {
                    self.regain(&event.container.uuid);
                }
                continue;
            }
            if event.event == EventKind::Removed {
                self.regained(&event.container.uuid);
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
            let epoch = epoch_at(location);
            self.has_moved(&event.uuid, epoch);
        }
        out.push(Effect::Held(event));
    }
}
