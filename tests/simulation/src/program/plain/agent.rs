//! A TypeScript-like agent: it knows no epoch, no lease and nothing of requests sent again.

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::{EventKind, NetworkEvent, method};
use serde_json::{Value, json};

use super::{Heard, PlainSession};
use crate::ledger::Seen;
use crate::program::hosting::Manners;
use crate::program::{Came, Context, Told};
use crate::random::Random;
use crate::tries::{number_of, try_of};
use crate::wire::WireId;
use crate::words::of_all;

/// After how long it registers what it keeps of a uuid that is free (W26).
const STANDBY: Duration = Duration::from_millis(100);

#[derive(Debug)]
enum Job {
    Started(String),
    Register,
    Answer { id: String, data: Value },
}

#[derive(Debug)]
struct Hosted {
    run: u64,
    kind: String,
    live: bool,
    /// Calls that wait for its start.
    waiters: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct PlainAgent {
    id: String,
    kinds: Vec<String>,
    session: PlainSession,
    manners: Manners,
    random: Random,
    hosted: BTreeMap<String, Hosted>,
    /// What it made beforehand: uuids, with their kinds.
    made: BTreeMap<String, String>,
    runs: u64,
    jobs: BTreeMap<(Duration, u64), Job>,
    /// The last registration, by which alone it is told what to end.
    registering: u64,
}

impl PlainAgent {
    /// `made` is what it makes beforehand: uuids, with their kinds.
    pub(crate) fn new(
        id: String,
        kinds: Vec<String>,
        made: BTreeMap<String, String>,
        manners: Manners,
        random: Random,
    ) -> Self {
        let mut hosted = BTreeMap::new();
        for ((uuid, kind), run) in made.iter().zip(1..) {
            let one = Hosted {
                run,
                kind: kind.clone(),
                live: true,
                waiters: Vec::new(),
            };
            hosted.insert(uuid.clone(), one);
        }
        Self {
            session: PlainSession::new(format!("of-{id}")),
            id,
            kinds,
            manners,
            random,
            runs: made.len() as u64,
            hosted,
            made,
            jobs: BTreeMap::new(),
            registering: 0,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn wire(&self) -> Option<WireId> {
        self.session.wire()
    }

    /// Calls that it has no answer to or has not answered.
    pub(crate) fn pending(&self) -> usize {
        let waiters = self.hosted.values().map(|one| one.waiters.len());
        self.session.pending() + self.jobs.len() + waiters.sum::<usize>()
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let job = self.jobs.first_key_value().map(|((at, _), _)| *at);
        [job, self.session.next_wake()].into_iter().flatten().min()
    }

    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) {
        match came {
            Came::Told(Told::Leave) => self.session.leave(cx),
            Came::Told(Told::LoseContainer) => self.lose_one(cx),
            Came::Told(Told::Rest | Told::LetGo | Told::Kinds(_)) => {}
            came => match self.session.take(cx, came) {
                Some(Heard::Fresh) => {
                    self.session.resend_first(cx);
                    self.register(cx);
                    self.session.resend_rest(cx);
                }
                Some(Heard::Answer { request, result }) if request == self.registering => {
                    self.registered(cx, &result.unwrap_or_default());
                }
                Some(Heard::Call { id, method, params }) => self.call(cx, id, &method, &params),
                Some(Heard::Events(event)) => self.events(cx, &event),
                Some(Heard::Answer { .. } | Heard::Again { .. }) | None => {}
            },
        }
        while let Some(entry) = self.jobs.first_entry() {
            if entry.key().0 > cx.now {
                break;
            }
            match entry.remove() {
                Job::Register => self.register(cx),
                Job::Started(uuid) => self.started(cx, &uuid),
                Job::Answer { id, data } => self.session.answer(cx, id, Ok(data)),
            }
        }
    }

    /// Clients do not connect to it.
    fn endpoint(&self, uuid: Option<&str>) -> String {
        let endpoint = json!({
            "kind": 2, "host": self.id, "port": 3738, "agentId": self.id, "uuid": uuid,
        });
        endpoint.to_string()
    }

    /// At a fresh uuid, and whenever the list changes (W24).
    fn register(&mut self, cx: &mut Context) {
        let live = self.hosted.iter().filter(|(_, hosted)| hosted.live);
        let containers: Vec<Value> = live
            .map(|(uuid, hosted)| {
                json!({
                    "agentId": self.id, "uuid": uuid, "kind": hosted.kind,
                    "endpoint": self.endpoint(Some(uuid)), "lastVisit": 0,
                })
            })
            .collect();
        let said = json!({
            "uuid": self.id, "containers": containers, "kinds": self.kinds,
            "endpoint": self.endpoint(None),
        });
        self.registering = self.session.request(cx, method::REGISTER_AGENT, &said);
    }

    fn registered(&mut self, cx: &mut Context, end: &Value) {
        let end: Vec<String> = serde_json::from_value(end.clone()).unwrap_or_default();
        cx.tell(format!("is registered; is to end {}", of_all(&end)));
        let wire = self.session.wire();
        cx.saw(Seen::Registered { wire });
        let ended: Vec<bool> = end.iter().map(|uuid| self.end(cx, uuid)).collect();
        if ended.contains(&true) {
            self.register(cx);
        }
    }

    /// Returns whether it was there.
    fn end(&mut self, cx: &mut Context, uuid: &str) -> bool {
        let Some(hosted) = self.hosted.remove(uuid) else {
            return false;
        };
        cx.tell(format!("ends container {uuid}"));
        let (run, by_itself) = (hosted.run, false);
        cx.saw(Seen::Refuses { run, by_itself });
        for id in hosted.waiters {
            self.session.answer(cx, id, Err("the container was ended"));
        }
        true
    }

    /// Whether it has a container of the uuid that it made beforehand.
    pub(crate) fn keeps(&self, uuid: &str) -> bool {
        self.made.contains_key(uuid) && self.hosted.contains_key(uuid)
    }

    /// A uuid of which it made a container beforehand is free: it registers that (W26).
    fn events(&mut self, cx: &mut Context, event: &NetworkEvent) {
        let removed = event.containers.iter();
        let mut removed = removed.filter(|told| told.event == EventKind::Removed);
        if removed.any(|told| self.keeps(&told.container.uuid)) {
            self.runs += 1;
            self.jobs
                .insert((cx.now + STANDBY, self.runs), Job::Register);
        }
    }

    fn lose_one(&mut self, cx: &mut Context) {
        let live = self.hosted.iter().filter(|(_, hosted)| hosted.live);
        let live: Vec<String> = live.map(|(uuid, _)| uuid.clone()).collect();
        if let Some(hosted) = self.random.pick(&live).and_then(|u| self.hosted.remove(u)) {
            let (run, by_itself) = (hosted.run, true);
            cx.saw(Seen::Refuses { run, by_itself });
            self.register(cx);
        }
    }

    fn started(&mut self, cx: &mut Context, uuid: &str) {
        let endpoint = self.endpoint(Some(uuid));
        let Some(hosted) = self.hosted.get_mut(uuid).filter(|hosted| !hosted.live) else {
            return;
        };
        hosted.live = true;
        cx.saw(Seen::Accepts {
            run: hosted.run,
            uuid: uuid.to_owned(),
            epoch: None,
            serial: false,
        });
        for id in std::mem::take(&mut hosted.waiters) {
            self.session.answer(cx, id, Ok(json!([uuid, endpoint])));
        }
        self.register(cx);
    }

    fn job(&mut self, now: Duration, longest_ms: u64, job: Job) {
        self.runs += 1;
        let at = now + self.random.millis(0..longest_ms.max(1));
        self.jobs.insert((at, self.runs), job);
    }

    fn call(&mut self, cx: &mut Context, id: String, method: &str, params: &Value) {
        let (agent, said) = (params[0].as_str().unwrap_or_default(), &params[1]);
        if agent != self.id {
            return self.session.answer(cx, id, Err("no such agent"));
        }
        match method {
            method::GET => self.get(cx, id, said),
            method::CONTAINER_REQUEST => {
                let uuid = said[0].as_str().unwrap_or_default();
                let Some(hosted) = self.hosted.get(uuid).filter(|hosted| hosted.live) else {
                    return self.session.answer(cx, id, Err("no such container"));
                };
                let carried = said[2].as_u64().unwrap_or_default();
                let (op, of_try) = (number_of(carried), try_of(carried));
                let run = hosted.run;
                let alone = false;
                cx.saw(Seen::Executed {
                    run,
                    op,
                    of_try,
                    alone,
                });
                let data = said[2].clone();
                self.job(cx.now, self.manners.work_ms, Job::Answer { id, data });
            }
            method::TERMINATE => {
                let uuid = said[0].as_str().unwrap_or_default().to_owned();
                let was = self.end(cx, &uuid);
                self.session.answer(cx, id, Ok(json!("")));
                if was {
                    self.register(cx);
                }
            }
            _ => self.session.answer(cx, id, Ok(json!([]))),
        }
    }

    fn get(&mut self, cx: &mut Context, id: String, said: &Value) {
        let kind = said[0].as_str().unwrap_or_default().to_owned();
        self.runs += 1;
        let run = self.runs;
        // It chooses the uuid itself where the server does not.
        let uuid = match said[1]["uuid"].as_str() {
            Some(uuid) => uuid.to_owned(),
            None => format!("{}-made-{run}", self.id),
        };
        match self.hosted.get_mut(&uuid) {
            Some(hosted) if hosted.live => {
                let endpoint = self.endpoint(Some(&uuid));
                self.session.answer(cx, id, Ok(json!([uuid, endpoint])));
            }
            Some(hosted) => hosted.waiters.push(id),
            None => {
                cx.tell(format!("starts container {uuid}"));
                let hosted = Hosted {
                    run,
                    kind,
                    live: false,
                    waiters: vec![id],
                };
                self.hosted.insert(uuid.clone(), hosted);
                self.job(cx.now, self.manners.slow_ms, Job::Started(uuid));
            }
        }
    }
}
