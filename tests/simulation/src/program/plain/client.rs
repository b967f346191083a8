//! A TypeScript-like client: what it holds it gets again after a fresh uuid, one container after
//! another, each with the get by which it came to it; a release counts once it is answered.

mod events;
mod wishes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_protocol::method;
use serde_json::Value;

use super::direct::{Answered, Directs};
use super::{Heard, PlainSession};
use crate::ledger::{Outcome, Seen};
use crate::program::client::Wishes;
use crate::program::{Came, Context, Told};
use crate::random::Random;
use crate::wire::WireId;

/// This is beyond the end of a simulation.
const NEVER: Duration = Duration::from_secs(3_600);
/// What the server says of a get where there is no agent at all.
const NOBODY: &str = "no agent is there";
/// After how long a get that failed is tried again: it is for ever (W15).
const GET_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
enum Waits {
    /// A get, and the container that is got again by it, with its number.
    Get {
        params: Value,
        again: Option<(u64, String)>,
        /// Whether it was told of a new agent of the kind since it asked first.
        told: bool,
    },
    Release {
        uuid: String,
    },
    Request {
        op: u64,
    },
}

impl Waits {
    /// Whether it is a get that may bring this container.
    fn may_bring(&self, uuid: &str) -> bool {
        let Self::Get { params, .. } = self else {
            return false;
        };
        params["request"]["uuid"]
            .as_str()
            .is_none_or(|asked| asked == uuid)
    }

    fn releases(&self, uuid: &str) -> bool {
        matches!(self, Self::Release { uuid: released } if released == uuid)
    }
}

/// What it holds.
#[derive(Debug)]
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
    directs: Directs,
    wishes: Wishes,
    random: Random,
    ops: u64,
    waits: BTreeMap<u64, Waits>,
    /// What it holds, in the order in which it came to it.
    held: BTreeMap<u64, Hold>,
    holds: u64,
    /// Gets that failed.
    failed: Vec<(Duration, Waits)>,
    /// Containers of which the server may keep a reference though this client has none: it was
    /// given another one in their place, or released and got them at one time.
    unclear: BTreeSet<String>,
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
            directs: Directs::new(client.clone()),
            session: PlainSession::new(client),
            wishes,
            random,
            ops,
            waits: BTreeMap::new(),
            held: BTreeMap::new(),
            holds: 0,
            failed: Vec::new(),
            unclear: BTreeSet::new(),
            rests: false,
            next_wish: now,
        }
    }

    /// Its connection with the server.
    pub(crate) fn wire(&self) -> Option<WireId> {
        self.session.wire()
    }

    /// What it holds and is not releasing.
    pub(crate) fn held(&self) -> Vec<String> {
        let held = self.held.values().map(|hold| &hold.uuid);
        let releasing = |uuid: &str| self.waits.values().any(|waits| waits.releases(uuid));
        held.filter(|uuid| !releasing(uuid)).cloned().collect()
    }

    pub(crate) fn whereabouts(&self) -> Vec<(String, Option<String>)> {
        let all = self.held.values();
        all.map(|hold| (hold.uuid.clone(), hold.endpoint.clone()))
            .collect()
    }

    /// Whether the server may know a reference of it that this client knows nothing of.
    pub(crate) fn is_unclear(&self, uuid: &str) -> bool {
        self.unclear.contains(uuid)
    }

    /// How many those are.
    pub(crate) fn unclear(&self) -> usize {
        self.unclear.len()
    }

    pub(crate) fn pending(&self) -> usize {
        self.session.pending() + self.directs.pending() + self.failed.len()
    }

    /// Those of them that are to the server.
    pub(crate) fn calls(&self) -> usize {
        self.session.pending() + self.failed.len()
    }

    /// Requests to containers without an answer.
    pub(crate) fn requests(&self) -> usize {
        let all = self.waits.values();
        let routed = all.filter(|waits| matches!(waits, Waits::Request { .. }));
        routed.count() + self.directs.requests()
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let wish = (!self.rests).then_some(self.next_wish);
        let failed = self.failed.iter().map(|(at, _)| *at).min();
        let sessions = [self.session.next_wake(), self.directs.next_wake()];
        [wish, failed].into_iter().chain(sessions).flatten().min()
    }

    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) {
        match came {
            Came::Told(Told::Rest) => self.rests = true,
            Came::Told(Told::LetGo) => {
                for uuid in self.held() {
                    self.let_go(cx, &uuid);
                }
            }
            Came::Told(Told::Leave) => {
                self.directs.close_all(cx);
                self.session.leave(cx);
            }
            Came::Told(Told::LoseContainer | Told::Kinds(_)) => {}
            came => self.take_from_a_router(cx, came),
        }
        let now = cx.now;
        let due: Vec<_> = self.failed.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, waits) in due {
            self.get(cx, waits);
        }
        if !self.rests && self.next_wish <= cx.now {
            self.next_wish = cx.now + self.random.millis(0..self.wishes.pause_ms);
            self.wish(cx);
        }
    }

    fn take_from_a_router(&mut self, cx: &mut Context, came: Came) {
        if matches!(came, Came::Wake) {
            self.directs.wake(cx);
        }
        if let Some(sender) = self.directs.addressee(&came) {
            let answered = self.directs.take(cx, sender, came);
            return self.answered_directly(cx, answered);
        }
        if let Some(heard) = self.session.take(cx, came) {
            self.hear(cx, heard);
        }
    }

    fn hear(&mut self, cx: &mut Context, heard: Heard) {
        match heard {
            Heard::Fresh => {
                self.get_again(cx, 0);
                self.session.resend(cx);
            }
            Heard::Answer { request, result } => {
                if let Some(waits) = self.waits.remove(&request) {
                    self.answered(cx, waits, result);
                }
            }
            Heard::Again { result } => self.answered_again(&result),
            Heard::Events(event) => self.events(cx, event),
            // It serves no agent.
            Heard::Call { id, .. } => self.session.answer(cx, id, Err("no such agent")),
        }
    }

    /// Gets the next again of what it holds, those that came to it meanwhile too.
    fn get_again(&mut self, cx: &mut Context, after: u64) {
        let next = self.held.range(after + 1..).next();
        if let Some((number, hold)) = next {
            let (params, again) = (hold.params.clone(), Some((*number, hold.uuid.clone())));
            let told = false;
            self.get(
                cx,
                Waits::Get {
                    params,
                    again,
                    told,
                },
            );
        }
    }

    fn answered(&mut self, cx: &mut Context, waits: Waits, result: Result<Value, String>) {
        match (waits, result) {
            (Waits::Get { params, again, .. }, Ok(got)) => {
                let uuid = got[0].as_str().unwrap_or_default().to_owned();
                let endpoint = got[1].as_str().map(str::to_owned);
                cx.tell(format!("holds {uuid}"));
                if let Some(asked) = params["request"]["uuid"].as_str() {
                    let (asked, got) = (asked.to_owned(), uuid.clone());
                    cx.saw(Seen::Got { asked, got });
                }
                let released = self.waits.values().any(|waits| waits.releases(&uuid));
                self.note_unclear(&uuid, released);
                match again {
                    None => self.hold(Hold {
                        uuid,
                        endpoint,
                        params,
                    }),
                    Some((number, was)) => {
                        self.got_again(cx, &was, uuid, endpoint);
                        self.get_again(cx, number);
                    }
                }
            }
            (
                Waits::Get {
                    params,
                    again,
                    told,
                },
                Err(why),
            ) => {
                // The original waits for ever then, unless another agent comes: where there was none,
                // that is not promised to be seen.
                let hangs = told && !why.contains(NOBODY);
                let after = if hangs { NEVER } else { GET_AGAIN };
                let told = false;
                let waits = Waits::Get {
                    params,
                    again,
                    told,
                };
                self.failed.push((cx.now + after, waits));
            }
            (Waits::Release { uuid }, _) => {
                let mut gets = self
                    .waits
                    .values()
                    .chain(self.failed.iter().map(|(_, w)| w));
                let got = gets.any(|waits| waits.may_bring(&uuid));
                self.note_unclear(&uuid, got);
                self.held.retain(|_, hold| hold.uuid != uuid);
            }
            (Waits::Request { op }, result) => self.done(cx, op, &result),
        }
    }

    fn answered_directly(&mut self, cx: &mut Context, answered: Vec<Answered>) {
        for (op, result) in answered {
            self.done(cx, op, &result);
        }
    }

    fn done(&mut self, cx: &mut Context, op: u64, result: &Result<Value, String>) {
        let outcome = match result {
            Ok(answer) => Outcome::Answer {
                fits: answer.as_u64() == Some(op),
            },
            Err(_) => Outcome::Failed,
        };
        cx.saw(Seen::Done { op, outcome });
    }

    /// The original takes no notice. If it was a get, the server may know a reference by it.
    fn answered_again(&mut self, result: &Value) {
        let got = result[0].as_str();
        if let Some(uuid) = got.filter(|got| !self.held().iter().any(|held| held == got)) {
            self.unclear.insert(uuid.to_owned());
        }
    }

    /// A get or a release was answered: alone, it says what the server knows.
    fn note_unclear(&mut self, uuid: &str, unclear: bool) {
        match unclear {
            true => self.unclear.insert(uuid.to_owned()),
            false => self.unclear.remove(uuid),
        };
    }

    fn number_of(&self, uuid: &str) -> Option<u64> {
        let mut held = self.held.iter();
        let (number, _) = held.find(|(_, hold)| hold.uuid == uuid)?;
        Some(*number)
    }

    fn hold(&mut self, hold: Hold) {
        let number = self.number_of(&hold.uuid).unwrap_or_else(|| {
            self.holds += 1;
            self.holds
        });
        self.held.insert(number, hold);
    }

    /// What it held is another container now, or is not held any more. Of the same one the answer
    /// says nothing new of where it is (W25).
    fn got_again(&mut self, cx: &mut Context, was: &str, uuid: String, endpoint: Option<String>) {
        let Some(number) = self.number_of(was) else {
            self.unclear.insert(uuid);
            return;
        };
        if *was != uuid
            && let Some(hold) = self.held.remove(&number)
        {
            let failed = self.directs.disconnect(cx, was);
            self.answered_directly(cx, failed);
            self.unclear.insert(hold.uuid);
            let params = hold.params;
            self.hold(Hold {
                uuid,
                endpoint,
                params,
            });
        }
    }

    fn get(&mut self, cx: &mut Context, waits: Waits) {
        let Waits::Get { params, .. } = &waits else {
            return;
        };
        let request = self.session.request(cx, method::GET, params);
        self.waits.insert(request, waits);
    }
}
