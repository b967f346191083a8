//! References: what the client holds, and that a fresh session of the server's knows it again.

use std::time::Duration;

use bytes::Bytes;
use huly_protocol::{
    Endpoint, Epoch, GetParams, GetRequest, GotContainer, Json, Placement, Uuid, method,
};
use indexmap::{IndexMap, IndexSet};

use crate::io::{CallError, Effect, Token};
use crate::pending::{Body, Key, Owner, Pending};
use crate::session::Session;

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

impl Location {
    /// Which life of the container is there.
    pub fn epoch(&self) -> Option<Epoch> {
        let placed = self.placement.as_ref().and_then(|at| at.epoch);
        // An agent of ours writes it into the endpoint as well.
        let said = || Endpoint::parse(&self.endpoint).ok()?.epoch;
        placed.or_else(said)
    }
}

/// One reference.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) kind: String,
    pub(crate) request: GetRequest,
    pub(crate) durable: bool,
    /// Handles that the session counts.
    handles: u32,
    /// Whether a caller that counts its own handles holds it too.
    raw: bool,
    pub(crate) location: Location,
}

/// What the client holds, by container.
#[derive(Debug, Default)]
pub(crate) struct References {
    pub(crate) held: IndexMap<String, Held>,
    /// Of those, what is being got again at an original server.
    pub(crate) regaining: IndexSet<String>,
    /// Let go while a get was under way that may bring it again: its kind, and who waits
    /// for the release.
    releasing: Vec<(String, Option<String>, Option<Token>)>,
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
                self.let_go(&got.uuid, Some(&params.kind), None);
                Err(CallError::Protocol(message))
            }
            (result, _) => result,
        };
        if let Ok(got) = &result {
            match token {
                Some(_) => self.hold(&params, got, raw),
                None => self.let_go(&got.uuid, Some(&params.kind), None),
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
                true => self.let_go(&uuid, None, token),
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
        let kind = self
            .references
            .held
            .swap_remove(&uuid)
            .map(|held| held.kind);
        self.regained(&uuid);
        self.let_go(&uuid, kind.as_deref(), token);
    }

    fn released(&mut self, token: Option<Token>, out: &mut Vec<Effect>) {
        if let Some(token) = token {
            let result = Ok(Bytes::from_static(b"\"ok\""));
            out.push(Effect::Answered { token, result });
        }
    }

    /// Releases what nobody holds here, once no get under way may bring it again: on the wire a
    /// reference is a member of a set, so a release would take away what that get brings.
    fn let_go(&mut self, uuid: &str, kind: Option<&str>, token: Option<Token>) {
        if self.references.held.contains_key(uuid) {
            return;
        }
        if self.queue.may_get(uuid, kind) {
            let kind = kind.map(str::to_owned);
            let releasing = &mut self.references.releasing;
            releasing.push((uuid.to_owned(), kind, token));
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
        for (uuid, kind, token) in std::mem::take(&mut self.references.releasing) {
            match self.references.held.contains_key(&uuid) {
                true => self.released(token, out),
                false => self.let_go(&uuid, kind.as_deref(), token),
            }
        }
    }

    /// Nobody waits for a get any more: what it brings is released, unless that is a durable reference:
    /// another process of the client may have made it long before, and whoever wants it no more says so.
    pub(crate) fn abandon_get(&mut self, key: Key, out: &mut Vec<Effect>) {
        let Some(request) = self.queue.get(key) else {
            return;
        };
        if !request.ever_sent {
            self.queue.remove(key);
            return self.finish_releases(out);
        }
        let (asked, durable) = match &request.body {
            Body::Get(params) => {
                let ext = params.huly.as_ref();
                let durable = ext.is_some_and(|ext| ext.durable);
                (params.request.uuid.clone(), durable)
            }
            Body::Json(_) => (None, false),
        };
        match asked {
            // A release takes back the get as well.
            Some(uuid) => {
                self.queue.give_up(key);
                if !durable {
                    self.let_go(&uuid, None, None);
                }
            }
            None => self.queue.abandon(key),
        }
        self.finish_releases(out);
    }
}
