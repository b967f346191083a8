//! What the registry counts, against a model that counts naively: references, containers, requests,
//! bytes that are held, epochs.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::support::{Peer, Plain, Rust, World, text};

const UUIDS: [&str; 4] = ["u0", "u1", "u2", "u3"];
/// The operator, a client of ours and one of the original.
const CLIENTS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Get(usize, &'static str, bool),
    Release(usize, &'static str),
    Reassert(usize, &'static str),
    Sync(Vec<&'static str>),
    /// It ends its session and begins another.
    Close(usize),
    /// It is silent until it is forgotten, and comes again.
    Silence(usize),
    /// Another connection.
    Reconnect(usize),
    /// Its process is another one, under the same id.
    Restart(usize),
    Ask(usize, &'static str),
    /// A container ends at its agent.
    Lose(&'static str),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0..CLIENTS;
    let uuid = || select(&UUIDS[..]);
    prop_oneof![
        8 => (client(), uuid(), any::<bool>()).prop_map(|(a, b, c)| Step::Get(a, b, c)),
        5 => (client(), uuid()).prop_map(|(a, b)| Step::Release(a, b)),
        2 => (0..2_usize, uuid()).prop_map(|(a, b)| Step::Reassert(a, b)),
        1 => proptest::collection::vec(uuid(), 0..4).prop_map(Step::Sync),
        1 => client().prop_map(Step::Close),
        1 => client().prop_map(Step::Silence),
        2 => client().prop_map(Step::Reconnect),
        1 => (0..2_usize).prop_map(Step::Restart),
        4 => (client(), uuid()).prop_map(|(a, b)| Step::Ask(a, b)),
        2 => uuid().prop_map(Step::Lose),
        2 => select(&[10_u64, 1_000, 6_000][..]).prop_map(Step::Wait),
    ]
}

struct Stage {
    world: World,
    clients: Vec<Peer>,
    agents: Vec<Peer>,
    /// Who holds what, and whether durably.
    held: BTreeMap<(usize, &'static str), bool>,
    /// Requests that were answered well, by method.
    answered: BTreeMap<&'static str, u64>,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::new();
        let agents = ["a", "b"].map(|id| world.agent(id, Rust, &["k"]));
        let operator = world.operator();
        let ours = world.client("ours", Rust);
        let original = world.client("original", Plain);
        Self {
            world,
            clients: vec![operator, ours, original],
            agents: agents.to_vec(),
            held: BTreeMap::new(),
            answered: BTreeMap::new(),
        }
    }

    fn ask(&mut self, client: usize, method: &'static str, params: serde_json::Value) -> bool {
        let answer = self.world.ask(self.clients[client], method, params);
        *self.answered.entry(method).or_default() += u64::from(answer.is_ok());
        answer.is_ok()
    }

    fn lives(&mut self, uuid: &str) -> bool {
        let mut agents = self.agents.clone().into_iter();
        agents.any(|agent| self.world[agent].sim().containers.contains_key(uuid))
    }

    /// A session is over: what is durable stays.
    fn forget(&mut self, client: usize) {
        self.held
            .retain(|(of, _), durable| *of != client || *durable);
    }

    /// Whether it waits for the time to be placed again: what is asked of it then waits too.
    fn waits(&mut self, uuid: &str) -> bool {
        self.held.keys().any(|(_, held)| *held == uuid) && !self.lives(uuid)
    }

    fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::Get(_, uuid, _) | Step::Ask(_, uuid) if self.waits(uuid) => {}
            Step::Get(client, uuid, durable) => {
                let durable = durable && client == 0;
                let huly = (client != 2).then(|| json!({ "durable": durable }));
                let params = json!({"kind": "k", "request": {"uuid": uuid}, "huly": huly});
                assert!(self.ask(client, "gg", params));
                *self.held.entry((client, uuid)).or_default() |= durable;
            }
            Step::Release(client, uuid) => {
                assert!(self.ask(client, "cr", json!({ "uuid": uuid })));
                self.held.remove(&(client, uuid));
            }
            Step::Reassert(client, uuid) => {
                let get = json!({"uuid": uuid, "kind": "k", "request": {"uuid": uuid}});
                assert!(self.ask(client, "xr", json!({ "gets": [get] })));
                self.held.entry((client, uuid)).or_default();
            }
            Step::Sync(uuids) => {
                let params = json!({"sync": "s", "uuids": uuids, "last": true});
                assert!(self.ask(0, "xs", params));
                let kept = |uuid: &&str| uuids.contains(uuid);
                self.held
                    .retain(|(client, uuid), durable| *client != 0 || !*durable || kept(uuid));
            }
            Step::Close(client) => {
                let peer = self.clients[client];
                self.world.say(peer, huly_protocol::Op::Close, "", "");
                self.world.connect(peer);
                self.forget(client);
            }
            Step::Silence(client) => {
                let peer = self.clients[client];
                self.world.freeze(peer);
                self.world.run(4_000);
                self.world.thaw(peer);
                self.world.connect(peer);
                self.forget(client);
            }
            Step::Reconnect(client) => {
                self.world.connect(self.clients[client]);
            }
            Step::Restart(client) => {
                let peer = self.clients[client];
                self.world[peer].nonce.push('+');
                self.world.connect(peer);
            }
            Step::Ask(client, uuid) => {
                let lives = self.lives(uuid);
                assert_eq!(self.ask(client, "cs", json!([uuid, "op", 1])), lives);
            }
            Step::Lose(uuid) => {
                for agent in self.agents.clone() {
                    if self.world[agent].sim().containers.remove(uuid).is_some() {
                        self.world.register(agent);
                    }
                }
            }
            Step::Wait(millis) => self.world.run(millis),
        }
        self.check();
    }

    fn check(&mut self) {
        let snapshot = self.world.registry.snapshot();
        let references: usize = snapshot.references.values().sum();
        assert_eq!(references, self.held.len(), "{:?}", self.held);
        let copies: BTreeSet<String> = self
            .agents
            .clone()
            .into_iter()
            .flat_map(|agent| self.world[agent].sim().containers.clone().into_keys())
            .collect();
        let waiting: usize = snapshot.waiting.values().sum();
        let living: usize = snapshot.containers.values().sum();
        assert_eq!(living, copies.len(), "as many live as agents have");
        let held: BTreeSet<&str> = self.held.keys().map(|(_, uuid)| *uuid).collect();
        let placed = held.iter().filter(|uuid| copies.contains(**uuid)).count();
        assert_eq!(waiting, held.len() - placed, "the others wait");
        for (method, times) in &self.answered {
            let counted = snapshot.counted.requests.get(&(*method, "ok"));
            assert_eq!(counted.copied().unwrap_or_default(), *times, "{method}");
        }
        let calls = self.agents.clone().into_iter();
        let started: usize = calls
            .map(|agent| self.world[agent].sim().called("gg").len())
            .sum();
        let counted = snapshot.counted.starts.get("ok").copied();
        assert_eq!(counted.unwrap_or_default(), started as u64);
        assert_eq!((snapshot.held, snapshot.calls), ((0, 0), 0));
        let list = self.world.ask(self.clients[1], "cl", json!({})).unwrap();
        *self.answered.entry("cl").or_default() += 1;
        for record in list.as_array().unwrap() {
            let uuid = text(&record["uuid"]);
            let holders = self.held.keys().filter(|(_, held)| **held == *uuid);
            let references = record["huly"]["references"].as_u64().unwrap();
            assert_eq!(references, holders.count() as u64, "{uuid}");
        }
        self.check_epochs();
    }

    /// Each start has a later epoch than all before.
    fn check_epochs(&mut self) {
        let mut starts: Vec<(u64, Vec<u64>)> = Vec::new();
        for agent in self.agents.clone() {
            for call in self.world[agent].sim().called("gg") {
                let number = call.id.rsplit('-').next().unwrap().parse().unwrap();
                let epoch = serde_json::from_value(call.ext["epoch"].clone()).unwrap();
                starts.push((number, epoch));
            }
        }
        starts.sort();
        assert!(
            starts.windows(2).all(|pair| pair[0].1 < pair[1].1),
            "{starts:?}"
        );
    }
}

/// What is held for a container whose agent was just lost.
#[derive(Debug, Clone)]
enum Held {
    Ask(usize, String),
    Leave(usize),
    Wait(u64),
    Back,
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        6 => (0..3_usize, "[a-z]{0,40}").prop_map(|(a, b)| Held::Ask(a, b)),
        1 => (0..3_usize).prop_map(Held::Leave),
        2 => select(&[1_u64, 40, 200][..]).prop_map(Held::Wait),
        1 => Just(Held::Back),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn references_containers_and_counters_are_what_they_should_be(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut stage = Stage::new();
        for step in &steps {
            stage.take(step);
        }
    }

    /// The bytes that are held are those of what is held: operation and data of each request.
    #[test]
    fn bytes_that_are_held_are_the_sum(steps in proptest::collection::vec(held(), 1..40)) {
        let mut world = World::new();
        let agent = world.agent("a", Rust, &["k"]);
        let clients: Vec<Peer> = (0..3)
            .map(|number| world.client(&format!("c{number}"), [Rust, Plain][number % 2]))
            .collect();
        world.get(clients[0], "k", json!({"uuid": "u"}));
        world.get(clients[1], "k", json!({"uuid": "u"}));
        let mut waits: Vec<(usize, usize)> = Vec::new();
        let mut away = false;
        for step in &steps {
            if !away {
                world.close(agent);
                away = true;
            }
            match step {
                Held::Ask(client, data) => {
                    let params = json!(["u", "op", data]);
                    world.request(clients[*client], "cs", params);
                    waits.push((*client, "op".len() + data.len() + 2));
                }
                Held::Leave(client) => {
                    world.say(clients[*client], huly_protocol::Op::Close, "", "");
                    world.connect(clients[*client]);
                    waits.retain(|(of, _)| of != client);
                }
                // Its grace is not over when it comes back.
                Held::Wait(millis) => {
                    world.run(*millis);
                    world.reconnect(agent);
                    (away, waits) = (false, Vec::new());
                }
                Held::Back => {
                    world.reconnect(agent);
                    (away, waits) = (false, Vec::new());
                }
            }
            let bytes: usize = waits.iter().map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(world.registry.snapshot().held, (waits.len(), bytes));
        }
    }
}
