//! Whatever gets lost in between: in the end the server holds what the client holds, and every
//! call was answered once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use huly_protocol::{Frame, Hello, Op, Request};
use huly_session::{Effect, Input, Token};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::rig::{Rig, config, got, hello_answer, ms};

/// The network server as docs/protocol.md has it, as far as references are concerned.
#[derive(Default)]
struct Server {
    instance: u64,
    sessions: u64,
    /// The client's session: its uuid, and whether anything was sent that may get lost.
    session: Option<(String, bool)>,
    greeted: bool,
    references: BTreeSet<String>,
    answered_gets: BTreeMap<String, String>,
    made: u64,
    runs: BTreeMap<String, u32>,
}

impl Server {
    fn handle(&mut self, frame: &Frame) -> Vec<Frame> {
        match frame.op {
            Op::Hello => {
                let _: Hello = serde_json::from_slice(&frame.payload).expect("a hello");
                let continued = self.session.take().filter(|(_, sent)| !sent);
                let uuid = continued.map_or_else(
                    || {
                        self.sessions += 1;
                        format!("s-{}-{}", self.instance, self.sessions)
                    },
                    |(uuid, _)| uuid,
                );
                self.session = Some((uuid.clone(), false));
                self.greeted = true;
                let instance = format!("i-{}", self.instance);
                vec![hello_answer(&uuid, &instance, 1_000 + self.instance, 3)]
            }
            Op::Ping => match (&self.session, self.greeted) {
                (Some((uuid, _)), true) => {
                    vec![Frame::new(Op::Pong, uuid.clone(), frame.payload.clone())]
                }
                _ => vec![Frame::new(Op::AskHello, "", "")],
            },
            Op::Request if !self.greeted => vec![Frame::new(Op::Retry, frame.id.clone(), "1")],
            Op::Request => {
                if let Some((_, sent)) = &mut self.session {
                    *sent = true;
                }
                let answer = self.request(frame);
                let payload = answer.to_string().into_bytes();
                vec![Frame::new(Op::Response, frame.id.clone(), payload)]
            }
            _ => Vec::new(),
        }
    }

    fn request(&mut self, frame: &Frame) -> Value {
        let request = Request::read(&frame.payload).expect("a request");
        let params: Value = serde_json::from_str(request.params.get()).expect("JSON");
        match request.method.as_ref() {
            "gg" => {
                *self.runs.entry(frame.id.clone()).or_default() += 1;
                let uuid = match self.answered_gets.get(&frame.id) {
                    Some(uuid) => uuid.clone(),
                    None => match params["request"]["uuid"].as_str() {
                        Some(uuid) => uuid.to_owned(),
                        None => {
                            // Any: now and then one that the client may hold already.
                            self.made += 1;
                            format!("c-{}", self.made % 3)
                        }
                    },
                };
                self.answered_gets.insert(frame.id.clone(), uuid.clone());
                self.references.insert(uuid.clone());
                got(&uuid)
            }
            "cr" => {
                let uuid = params["uuid"].as_str().expect("a uuid");
                self.references.remove(uuid);
                json!("ok")
            }
            "xr" => {
                let gets = params["gets"].as_array().expect("gets");
                let uuids = gets.iter().filter_map(|get| get["uuid"].as_str());
                let answers: Vec<Value> = uuids
                    .map(|uuid| {
                        self.references.insert(uuid.to_owned());
                        got(uuid)
                    })
                    .collect();
                json!(answers)
            }
            other => panic!("no {other} is sent here"),
        }
    }

    /// Another process: it knows nothing.
    fn restart(&mut self) {
        *self = Self {
            instance: self.instance + 1,
            made: self.made,
            ..Self::default()
        };
    }
}

#[derive(Debug, Clone)]
enum Step {
    Get(Option<u8>),
    Release(usize),
    Cancel(usize),
    ToServer(u8),
    ToClient(u8),
    Cut,
    Restart,
    Time(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::option::of(0_u8..3).prop_map(Step::Get),
        4 => (0_usize..8).prop_map(Step::Release),
        1 => (0_usize..8).prop_map(Step::Cancel),
        6 => (1_u8..4).prop_map(Step::ToServer),
        6 => (1_u8..4).prop_map(Step::ToClient),
        1 => Just(Step::Cut),
        1 => Just(Step::Restart),
        2 => (1_u64..400).prop_map(Step::Time),
    ]
}

struct World {
    rig: Rig,
    server: Server,
    to_server: VecDeque<Frame>,
    to_client: VecDeque<Frame>,
    connected: bool,
    /// Gets under way.
    getting: Vec<Token>,
    /// Handles given out and not given back, by container.
    handles: Vec<String>,
    /// How often each get was answered.
    answers: BTreeMap<Token, u32>,
    cancelled: BTreeSet<Token>,
}

impl World {
    fn new() -> Self {
        Self {
            rig: Rig::new(config()),
            server: Server::default(),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            connected: false,
            getting: Vec::new(),
            handles: Vec::new(),
            answers: BTreeMap::new(),
            cancelled: BTreeSet::new(),
        }
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(frame) if self.connected => self.to_server.push_back(frame),
                Effect::Send(frame) => panic!("sent without a connection: {frame:?}"),
                Effect::Hangup | Effect::Dial { .. } => self.cut(),
                Effect::Got { token, result } => {
                    *self.answers.entry(token).or_default() += 1;
                    self.getting.retain(|getting| *getting != token);
                    self.handles.extend(result.ok().map(|got| got.uuid));
                }
                _ => {}
            }
        }
    }

    fn cut(&mut self) {
        self.connected = false;
        self.server.greeted = false;
        self.to_server.clear();
        self.to_client.clear();
    }

    fn input(&mut self, input: Input) {
        let effects = self.rig.input(input);
        self.apply(effects);
    }

    fn connect(&mut self) {
        if !self.connected {
            self.connected = true;
            self.input(Input::Connected);
        }
    }

    fn reach_server(&mut self) {
        if let Some(frame) = self.to_server.pop_front() {
            let answers = self.server.handle(&frame);
            self.to_client.extend(answers);
        }
    }

    fn reach_client(&mut self) {
        if let Some(frame) = self.to_client.pop_front() {
            self.input(Input::Frame(frame));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Get(number) => {
                let uuid = number.map(|number| format!("c-{number}"));
                let (token, effects) = self.rig.get(uuid.as_deref());
                self.getting.push(token);
                self.apply(effects);
            }
            Step::Release(which) if !self.handles.is_empty() => {
                let uuid = self.handles.swap_remove(which % self.handles.len());
                self.input(Input::Release {
                    token: None,
                    uuid,
                    raw: false,
                });
            }
            Step::Cancel(which) if !self.getting.is_empty() => {
                let token = self.getting.swap_remove(which % self.getting.len());
                self.cancelled.insert(token);
                self.input(Input::Cancel { token });
            }
            Step::Release(_) | Step::Cancel(_) => {}
            Step::ToServer(count) => (0..count).for_each(|_| self.reach_server()),
            Step::ToClient(count) => (0..count).for_each(|_| self.reach_client()),
            Step::Cut | Step::Restart => {
                if matches!(step, Step::Restart) {
                    self.server.restart();
                }
                if self.connected {
                    self.cut();
                    self.input(Input::Disconnected);
                }
            }
            Step::Time(millis) => {
                self.rig.now += ms(millis);
                self.input(Input::Wake);
                self.connect();
            }
        }
    }

    /// Everything arrives from now on, until nothing is said but pings.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.connect();
            while !self.to_server.is_empty() || !self.to_client.is_empty() {
                self.reach_server();
                self.reach_client();
            }
            self.rig.now += ms(100);
            self.input(Input::Wake);
        }
    }
}

proptest! {
    #[test]
    fn both_sides_agree_in_the_end(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        world.connect();
        for step in steps {
            world.step(step);
        }
        world.settle();
        let held: BTreeSet<String> = world.handles.iter().cloned().collect();
        prop_assert_eq!(&world.server.references, &held);
        let known = world.rig.session.held();
        let known: BTreeSet<String> = known.keys().map(|uuid| (*uuid).to_owned()).collect();
        prop_assert_eq!(known, held);
        prop_assert!(world.getting.is_empty(), "unanswered: {:?}", world.getting);
        for (token, count) in &world.answers {
            prop_assert_eq!(*count, 1);
            prop_assert!(!world.cancelled.contains(token));
        }
        prop_assert_eq!(world.rig.session.counters().bad_messages, 0);
    }
}
