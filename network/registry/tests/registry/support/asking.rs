//! What peers ask of the server, and what they are told.

use huly_protocol::{Frame, Op};
use serde_json::{Value, json};

use super::{Answer, Peer, World, text, uuid_of};

impl World {
    /// Sends a request; returns its id.
    pub(crate) fn request(&mut self, peer: Peer, method: &str, params: Value) -> String {
        let state = &mut self[peer];
        state.requests += 1;
        let id = format!("{}-{}", state.client, state.requests);
        self.request_as(peer, &id, method, params);
        id
    }

    pub(crate) fn request_as(&mut self, peer: Peer, id: &str, method: &str, params: Value) {
        let payload = json!([method, params]).to_string();
        self.say(peer, Op::Request, id, payload);
    }

    /// Every answer to a request so far.
    pub(crate) fn answers(&self, peer: Peer, id: &str) -> Vec<Answer> {
        let frames = self[peer].got.iter().filter(|frame| frame.id == id);
        frames
            .filter_map(|frame| match frame.op {
                Op::Response => Some(Ok(serde_json::from_slice(&frame.payload).unwrap())),
                Op::ResponseError => Some(Err(serde_json::from_slice(&frame.payload).unwrap())),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn answer(&self, peer: Peer, id: &str) -> Option<Answer> {
        let mut answers = self.answers(peer, id);
        assert!(answers.len() < 2, "{id} was answered twice: {answers:?}");
        answers.pop()
    }

    /// Sends a request that is answered without time passing.
    pub(crate) fn ask(&mut self, peer: Peer, method: &str, params: Value) -> Answer {
        let id = self.request(peer, method, params);
        let answer = self.answer(peer, &id);
        answer.unwrap_or_else(|| panic!("{method} of {} was not answered", self[peer].client))
    }

    /// Gets a container; returns its uuid.
    pub(crate) fn get(&mut self, peer: Peer, kind: &str, request: Value) -> String {
        let got = self.ask(peer, "gg", json!({"kind": kind, "request": request}));
        uuid_of(&got.unwrap())
    }

    /// Gets a container with what Rust clients may say beside it.
    pub(crate) fn get_with(
        &mut self,
        peer: Peer,
        kind: &str,
        request: Value,
        huly: Value,
    ) -> Answer {
        let params = json!({"kind": kind, "request": request, "huly": huly});
        self.ask(peer, "gg", params)
    }

    /// Gets a container with a durable reference.
    pub(crate) fn hold_durably(&mut self, peer: Peer, kind: &str, uuid: &str) {
        let durable = json!({"durable": true});
        self.get_with(peer, kind, json!({"uuid": uuid}), durable)
            .unwrap();
    }

    /// The payloads of the events that a peer got since this was last asked.
    pub(crate) fn events(&mut self, peer: Peer) -> Vec<Value> {
        let got = std::mem::take(&mut self[peer].got);
        let (events, rest) = got.into_iter().partition(|frame| frame.op == Op::Event);
        self[peer].got = rest;
        let events: Vec<Frame> = events;
        events
            .iter()
            .map(|frame| serde_json::from_slice(&frame.payload).unwrap())
            .collect()
    }

    /// The held events among them, one by one.
    pub(crate) fn held_events(&mut self, peer: Peer) -> Vec<Value> {
        let events = self.events(peer);
        let held = events.iter().filter_map(|event| event.get("held"));
        held.flat_map(|list| list.as_array().unwrap().clone())
            .collect()
    }

    /// The agent that has a container, by a question to the server.
    pub(crate) fn home(&mut self, asker: Peer, uuid: &str) -> Option<String> {
        let all = self.ask(asker, "cl", json!({})).unwrap();
        let mut found = all
            .as_array()
            .unwrap()
            .iter()
            .filter(|record| record["uuid"] == uuid);
        let home = found.next().map(|record| text(&record["agentId"]));
        assert!(found.next().is_none(), "{uuid} is listed twice");
        home
    }
}
