//! A client's caller: it gets, asks, connects and releases at random.

use std::collections::BTreeSet;

use huly_protocol::{GetExt, GetParams, GetRequest, Json};
use huly_session::direct::ContainerRequest;
use huly_session::{Input, Location, Token};

use super::{ClientProgram, Waits};
use crate::ledger::Seen;
use crate::program::Context;

/// Handles that a client keeps at most.
const MOST_HANDLES: usize = 6;

/// What callers ask for.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    /// Containers that all clients share, with their kinds.
    pub(crate) uuids: Vec<(String, String)>,
    /// Kinds of which containers are got without a uuid.
    pub(crate) kinds: Vec<String>,
    /// Whether it subscribes to the feed.
    pub(crate) watches: bool,
    /// Whether it connects to containers directly.
    pub(crate) connects: bool,
    /// The longest time between two wishes, in ms.
    pub(crate) pause_ms: u64,
}

impl ClientProgram {
    /// Subscribes to the feed, or ends that.
    fn watch_or_not(&mut self, cx: &mut Context) {
        if self.random.percent(70) {
            return self.watch(cx);
        }
        self.belief = None;
        self.input(cx, Input::Unwatch);
    }

    pub(super) fn wish(&mut self, cx: &mut Context) {
        if self.wishes.watches && self.random.percent(3) {
            return self.watch_or_not(cx);
        }
        if self.wishes.connects && self.random.percent(10) {
            return self.connect_or_not(cx);
        }
        match self.random.of(0..100) {
            _ if self.handles.is_empty() => self.get(cx),
            0..15 if self.handles.len() < MOST_HANDLES => self.get(cx),
            15..25 => {
                let at = self.random.index(self.handles.len());
                let uuid = self.handles.swap_remove(at);
                if !self.handles.contains(&uuid) {
                    self.disconnect(cx, &uuid);
                }
                self.release(cx, uuid);
            }
            25..28 => self.cancel(cx),
            28..36 => {
                // Of a container that may or may not be held.
                let uuids = &self.wishes.uuids;
                if let Some((uuid, _)) = self.random.pick(uuids) {
                    let uuid = uuid.clone();
                    self.ask(cx, uuid);
                }
            }
            _ => {
                if let Some(uuid) = self.random.pick(&self.handles) {
                    let uuid = uuid.clone();
                    self.ask(cx, uuid);
                }
            }
        }
    }

    /// Connects to a container that is held, or ends that.
    fn connect_or_not(&mut self, cx: &mut Context) {
        let Some(uuid) = self.random.pick(&self.handles).cloned() else {
            return;
        };
        match self.random.percent(75) {
            true => self.connect(cx, uuid),
            false => self.disconnect(cx, &uuid),
        }
    }

    fn get(&mut self, cx: &mut Context) {
        let timeout = self.random.millis(1_000..10_000);
        let mut request = GetRequest::default();
        let mut ext = GetExt::default();
        let kind = if self.random.percent(70) {
            let Some((uuid, kind)) = self.random.pick(&self.wishes.uuids) else {
                return;
            };
            request.uuid = Some(uuid.clone());
            kind.clone()
        } else {
            let Some(kind) = self.random.pick(&self.wishes.kinds).cloned() else {
                return;
            };
            match self.random.of(0..3) {
                0 => request.labels = Some(vec![format!("label-{}", self.random.of(0..2))]),
                1 => ext.new = true,
                _ => {}
            }
            kind
        };
        let uuid = request.uuid.clone();
        let waits = Waits::Get {
            kind: kind.clone(),
            uuid,
        };
        let token = self.token(waits);
        let call = token;
        cx.saw(Seen::Calls {
            call,
            kind: kind.clone(),
            timeout,
        });
        let params = GetParams {
            kind,
            request,
            huly: Some(ext),
        };
        let input = Input::Get {
            token,
            params,
            raw: false,
            timeout: Some(timeout),
        };
        self.input(cx, input);
    }

    pub(super) fn release(&mut self, cx: &mut Context, uuid: String) {
        cx.tell(format!("releases {uuid}"));
        cx.saw(Seen::LetGo);
        let token = Some(self.token(Waits::Other));
        let raw = false;
        self.input(cx, Input::Release { token, uuid, raw });
    }

    /// Nobody waits for a call any more.
    fn cancel(&mut self, cx: &mut Context) {
        let gets: BTreeSet<Token> = self
            .waits
            .iter()
            .filter(|(_, waits)| matches!(waits, Waits::Get { .. }))
            .map(|(token, _)| *token)
            .collect();
        if let Some(token) = gets.first().copied() {
            if let Some(waits) = self.waits.remove(&token) {
                cx.tell(format!("waits no longer for its get of {}", waits.what()));
            }
            cx.call_ends(token);
            self.input(cx, Input::Cancel { token });
        }
    }

    fn ask(&mut self, cx: &mut Context, uuid: String) {
        self.ops += 1;
        let op = self.ops;
        let timeout = self.random.millis(300..8_000);
        let idempotent = self.random.percent(20);
        let Ok(data) = Json::of(&op) else { return };
        if idempotent {
            self.idempotent.insert(op);
        }
        // As a reference of the client crate knows it.
        let held = self.handles.contains(&uuid);
        let location = self.link.session().location(&uuid).filter(|_| held);
        let request = ContainerRequest {
            timeout: Some(timeout),
            idempotent,
            epoch: location.and_then(Location::epoch),
            ..ContainerRequest::new(uuid.as_str(), "count", data)
        };
        cx.tell(format!("request {op} to {uuid}"));
        cx.saw(Seen::Asked {
            op,
            uuid: request.uuid.clone(),
            timeout,
            idempotent,
            connection: Some((self.connections, self.directs.route_to(&request.uuid))),
            of_port: false,
        });
        self.send_request(cx, op, request);
    }
}
