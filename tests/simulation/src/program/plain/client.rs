//! A TypeScript-like client.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::{ErrorCode, EventKind, NO_SUITABLE_AGENT, NetworkEvent, method};
use serde_json::{Value, json};

use super::{Heard, PlainSession};
use crate::ledger::{Outcome, Seen};
use crate::program::client::Wishes;
use crate::program::{Came, Context, Told};
use crate::random::Random;

/// After how long a get that found no agent is tried again (W15).
const GET_AGAIN: Duration = Duration::from_secs(1);
/// Containers that it holds at most.
const MOST_HELD: usize = 4;
/// Its calls have no deadline; this is beyond the end of a simulation.
const NEVER: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone)]
enum Waits {
    /// A get, and the hold that it is to bring again.
    Get {
        params: Value,
        of: Option<u64>,
    },
    Request {
        op: u64,
    },
}

/// What it holds.
#[derive(Debug, Clone)]
struct Hold {
    uuid: String,
    /// Where it believes it to be; nothing of what is gone.
    endpoint: Option<String>,
    /// The original get.
    params: Value,
}

#[derive(Debug)]
pub(crate) struct PlainClient {
    session: PlainSession,
    wishes: Wishes,
    random: Random,
    ops: u64,
    waits: BTreeMap<u64, Waits>,
    held: BTreeMap<u64, Hold>,
    holds: u64,
    /// Gets that found no agent.
    again: Vec<(Duration, Waits)>,
    rests: bool,
    next_wish: Duration,
}

impl PlainClient {
    pub(crate) fn new(
        client: String,
        wishes: Wishes,
        random: Random,
        ops: u64,
        now: Duration,
    ) -> Self {
        Self {
            session: PlainSession::new(client),
            wishes,
            random,
            ops,
            waits: BTreeMap::new(),
            held: BTreeMap::new(),
            holds: 0,
            again: Vec::new(),
            rests: false,
            next_wish: now,
        }
    }

    pub(crate) fn held(&self) -> Vec<String> {
        let uuids = self.held.values().map(|hold| hold.uuid.clone());
        uuids.collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(crate) fn whereabouts(&self) -> Vec<(String, Option<String>)> {
        let all = self.held.values();
        all.map(|hold| (hold.uuid.clone(), hold.endpoint.clone()))
            .collect()
    }

    pub(crate) fn pending(&self) -> usize {
        self.session.pending() + self.again.len()
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let wish = (!self.rests).then_some(self.next_wish);
        let again = self.again.iter().map(|(at, _)| *at).min();
        [wish, again, self.session.next_wake()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) {
        match came {
            Came::Told(Told::Rest) => self.rests = true,
            Came::Told(Told::LetGo) => {
                for uuid in self.held() {
                    self.let_go(cx, &uuid);
                }
            }
            Came::Told(Told::Leave) => self.session.leave(cx),
            Came::Told(Told::LoseContainer | Told::Kinds(_)) => {}
            came => {
                if let Some(heard) = self.session.take(cx, came) {
                    self.hear(cx, heard);
                }
            }
        }
        let now = cx.now;
        let due: Vec<_> = self.again.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, waits) in due {
            self.get(cx, waits);
        }
        if !self.rests && self.next_wish <= cx.now {
            self.next_wish = cx.now + self.random.millis(0..self.wishes.pause_ms);
            self.wish(cx);
        }
    }

    fn hear(&mut self, cx: &mut Context, heard: Heard) {
        match heard {
            Heard::Fresh => {
                for (hold, Hold { params, .. }) in self.held.clone() {
                    let of = Some(hold);
                    // One that was under way was sent again.
                    if !self.gets_again(hold) {
                        self.get(cx, Waits::Get { params, of });
                    }
                }
            }
            Heard::Answer { request, result } => {
                if let Some(waits) = self.waits.remove(&request) {
                    self.answered(cx, waits, result);
                }
            }
            Heard::Events(event) => self.events(cx, event),
            // It serves no agent.
            Heard::Call { id, .. } => self.session.answer(cx, id, Err("no such agent")),
        }
    }

    /// It takes from them where containers are (W25), and that an agent is there to try again.
    fn events(&mut self, cx: &mut Context, event: NetworkEvent) {
        for told in event.containers {
            let held = self.held.values_mut();
            for hold in held.filter(|hold| hold.uuid == told.container.uuid) {
                match told.event {
                    EventKind::Added => {}
                    EventKind::Updated => hold.endpoint = Some(told.container.endpoint.clone()),
                    EventKind::Removed => hold.endpoint = None,
                }
            }
        }
        let added = event.agents.iter();
        let mut added = added.filter(|agent| agent.event == EventKind::Added);
        if added.any(|agent| !agent.kinds.is_empty()) {
            for (at, _) in &mut self.again {
                *at = cx.now;
            }
        }
    }

    fn gets_again(&self, hold: u64) -> bool {
        let is_of = |waits: &Waits| matches!(waits, Waits::Get { of: Some(of), .. } if *of == hold);
        self.waits.values().any(is_of) || self.again.iter().any(|(_, waits)| is_of(waits))
    }

    fn answered(&mut self, cx: &mut Context, waits: Waits, result: Result<Value, String>) {
        match (waits, result) {
            (Waits::Get { params, of }, Ok(got)) => {
                let uuid = got[0].as_str().unwrap_or_default().to_owned();
                let endpoint = got[1].as_str().map(str::to_owned);
                cx.tell(format!("holds {uuid}"));
                match of {
                    None => {
                        self.holds += 1;
                        let hold = Hold {
                            uuid,
                            endpoint,
                            params,
                        };
                        self.held.insert(self.holds, hold);
                    }
                    Some(of) => match self.held.get_mut(&of) {
                        // The answer says nothing new of where it is (W25).
                        Some(hold) if hold.uuid == uuid => {}
                        Some(hold) => {
                            hold.uuid = uuid;
                            hold.endpoint = endpoint;
                        }
                        // Let go while it was got again.
                        None => self.let_go(cx, &uuid),
                    },
                }
            }
            (waits @ Waits::Get { .. }, Err(message)) => {
                if message.starts_with(NO_SUITABLE_AGENT) {
                    return self.again.push((cx.now + GET_AGAIN, waits));
                }
                if let Waits::Get { of: Some(of), .. } = waits {
                    self.held.remove(&of);
                }
            }
            (Waits::Request { op }, result) => {
                let outcome = match result {
                    Ok(answer) => Outcome::Answer {
                        fits: answer.as_u64() == Some(op),
                    },
                    // It is told no code: nothing is claimed.
                    Err(_) => Outcome::Error(Some(ErrorCode::OutcomeUnknown)),
                };
                cx.saw(Seen::Done { op, outcome });
            }
        }
    }

    fn get(&mut self, cx: &mut Context, waits: Waits) {
        let Waits::Get { params, .. } = &waits else {
            return;
        };
        let request = self.session.request(cx, method::GET, params);
        self.waits.insert(request, waits);
    }

    fn let_go(&mut self, cx: &mut Context, uuid: &str) {
        self.held.retain(|_, hold| hold.uuid != uuid);
        cx.tell(format!("releases {uuid}"));
        self.session
            .request(cx, method::RELEASE, &json!({ "uuid": uuid }));
    }

    fn wish(&mut self, cx: &mut Context) {
        let held = self.held();
        match self.random.of(0..100) {
            0..20 if held.len() < MOST_HELD => self.wish_get(cx),
            _ if held.is_empty() => self.wish_get(cx),
            20..30 => {
                if let Some(uuid) = self.random.pick(&held) {
                    self.let_go(cx, uuid);
                }
            }
            _ => {
                let Some(uuid) = self.random.pick(&held) else {
                    return;
                };
                self.ops += 1;
                let op = self.ops;
                cx.tell(format!("request {op} to {uuid}"));
                // What it sends again may run again.
                cx.saw(Seen::Asked {
                    op,
                    timeout: NEVER,
                    idempotent: true,
                });
                let params = json!([uuid, "count", op]);
                let request = self.session.request(cx, method::CONTAINER_REQUEST, &params);
                self.waits.insert(request, Waits::Request { op });
            }
        }
    }

    fn wish_get(&mut self, cx: &mut Context) {
        // One at a time of each container, as the original joins those under way.
        let under_way = self.waits.values().any(|w| matches!(w, Waits::Get { .. }));
        if under_way || !self.again.is_empty() {
            return;
        }
        let Some((uuid, kind)) = self.random.pick(&self.wishes.uuids) else {
            return;
        };
        let by_uuid = self.random.percent(70) || !self.wishes.kinds.contains(kind);
        let params = match by_uuid {
            true => json!({ "kind": kind, "request": { "uuid": uuid } }),
            false => json!({ "kind": kind, "request": {} }),
        };
        self.get(cx, Waits::Get { params, of: None });
    }
}
