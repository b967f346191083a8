//! Any sequence of inputs: never a panic, and what must hold at every moment holds.

use huly_protocol::Op;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::events::{View, listed};
use crate::support::{AgentSim, Peer, Plain, Rust, SECRET, World, config};

const AGENTS: usize = 4;
const CLIENTS: usize = 4;
const UUIDS: [&str; 5] = ["u0", "u1", "u2", "u3", "u4"];

#[derive(Debug, Clone)]
enum Step {
    /// Of an agent or client, by number.
    Connect(usize),
    Close(usize),
    Freeze(usize),
    Thaw(usize),
    Garbage(usize, u8, Vec<u8>),
    /// Of an agent.
    Register(usize),
    Forget(usize, &'static str),
    Bring(usize, &'static str, u64),
    Refuse(usize, bool),
    Mute(usize, bool),
    AnswerAll(usize),
    Unregister(usize),
    Drain(usize),
    /// Of a client.
    Get(usize, Option<&'static str>, bool, bool),
    Release(usize, &'static str),
    Call(usize, &'static str),
    Reassert(usize, &'static str),
    Leave(usize),
    Sync(Vec<&'static str>),
    Spec(Option<u32>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let peer = || 0..AGENTS + CLIENTS;
    let agent = || 0..AGENTS;
    let client = || AGENTS..AGENTS + CLIENTS;
    let uuid = || select(&UUIDS[..]);
    prop_oneof![
        3 => peer().prop_map(Step::Connect),
        2 => peer().prop_map(Step::Close),
        1 => peer().prop_map(Step::Freeze),
        2 => peer().prop_map(Step::Thaw),
        1 => (peer(), 0..10_u8, any::<Vec<u8>>()).prop_map(|(a, b, c)| Step::Garbage(a, b, c)),
        3 => agent().prop_map(Step::Register),
        1 => (agent(), uuid()).prop_map(|(a, b)| Step::Forget(a, b)),
        1 => (agent(), uuid(), 0..3_u64).prop_map(|(a, b, c)| Step::Bring(a, b, c)),
        2 => (agent(), any::<bool>()).prop_map(|(a, b)| Step::Refuse(a, b)),
        1 => (agent(), any::<bool>()).prop_map(|(a, b)| Step::Mute(a, b)),
        2 => agent().prop_map(Step::AnswerAll),
        2 => agent().prop_map(Step::Unregister),
        1 => agent().prop_map(Step::Drain),
        6 => (client(), proptest::option::of(uuid()), any::<bool>(), any::<bool>())
            .prop_map(|(a, b, c, d)| Step::Get(a, b, c, d)),
        3 => (client(), uuid()).prop_map(|(a, b)| Step::Release(a, b)),
        4 => (client(), uuid()).prop_map(|(a, b)| Step::Call(a, b)),
        1 => (client(), uuid()).prop_map(|(a, b)| Step::Reassert(a, b)),
        1 => client().prop_map(Step::Leave),
        1 => proptest::collection::vec(uuid(), 0..4).prop_map(Step::Sync),
        1 => proptest::option::of(1..3_u32).prop_map(Step::Spec),
        5 => select(&[1_u64, 90, 300, 800, 1_600, 3_500, 6_000, 35_000][..]).prop_map(Step::Wait),
    ]
}

struct Stage {
    world: World,
    watcher: Peer,
    view: View,
    revision: u64,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::starting(config());
        for number in 0..AGENTS {
            let side = if number % 2 == 0 { Rust } else { Plain };
            let peer = world.peer(&format!("client-of-{number}"), side);
            let sim = AgentSim::new(&format!("agent-{number}"), side, &["k"]);
            world[peer].agent = Some(sim);
        }
        for number in 0..CLIENTS {
            let side = if number % 2 == 0 { Rust } else { Plain };
            let peer = world.peer(&format!("client-{number}"), side);
            world[peer].secret = (number == 0).then(|| SECRET.to_owned());
        }
        let watcher = world.client("watcher", Rust);
        let view = View::subscribe(&mut world, watcher);
        Self {
            world,
            watcher,
            view,
            revision: 0,
        }
    }

    /// Everybody is there and holds something.
    fn begin(&mut self) {
        for number in 0..AGENTS + CLIENTS {
            self.world.connect(Peer(number));
        }
        for number in 0..AGENTS {
            self.register(number);
        }
        for (number, uuid) in UUIDS.into_iter().enumerate() {
            let client = AGENTS + number % CLIENTS;
            self.take(&Step::Get(client, Some(uuid), false, true));
        }
        self.world.run(2_000);
        self.check();
    }

    /// Sends a request if the peer runs and is connected.
    fn request(&mut self, number: usize, method: &str, params: Value) {
        let peer = Peer(number);
        if self.world[peer].runs {
            self.world.request(peer, method, params);
        }
    }

    /// Returns whether the agent is registered now.
    fn register(&mut self, number: usize) -> bool {
        let peer = Peer(number);
        if !self.world[peer].runs || self.world[peer].conn.is_none() {
            return false;
        }
        let params = self.world[peer].sim().registration();
        let id = self.world.request(peer, "ar", params);
        let Some(Ok(end)) = self.world.answer(peer, &id) else {
            return false;
        };
        let sim = self.world[peer].sim();
        for uuid in end.as_array().unwrap() {
            sim.containers.remove(uuid.as_str().unwrap());
        }
        true
    }

    fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::Connect(n) => {
                if self.world[Peer(n)].runs {
                    self.world.connect(Peer(n));
                }
            }
            Step::Close(n) => self.world.close(Peer(n)),
            Step::Freeze(n) => self.world.freeze(Peer(n)),
            Step::Thaw(n) => self.world.thaw(Peer(n)),
            Step::Garbage(n, op, payload) => {
                let op = Op::ALL[usize::from(op)];
                // No hello of this peer: one without any text is a TypeScript client's.
                let id = if op == Op::Hello { "garbage" } else { "x" };
                if op != Op::Hello || serde_json::from_slice::<Value>(&payload).is_err() {
                    self.world.say(Peer(n), op, id, payload);
                }
            }
            Step::Register(n) => {
                self.register(n);
            }
            Step::Forget(n, uuid) => {
                self.world[Peer(n)].sim().containers.remove(uuid);
                self.register(n);
            }
            Step::Bring(n, uuid, term) => {
                let epoch = json!({"epoch": [term, 1], "failovers": term});
                self.world[Peer(n)].sim().put(uuid, "k", epoch);
                self.register(n);
            }
            Step::Refuse(n, yes) => {
                self.world[Peer(n)].sim().refuses = yes.then(|| "no".to_owned());
            }
            Step::Mute(n, yes) => {
                let all = vec!["gg", "ct", "cs"];
                self.world[Peer(n)].sim().mute = if yes { all } else { Vec::new() };
            }
            Step::AnswerAll(n) => self.world.answer_calls(Peer(n)),
            Step::Unregister(n) => {
                // An orderly end: nothing is left there.
                self.world[Peer(n)].sim().containers.clear();
                self.request(n, "au", json!({"uuid": format!("agent-{n}")}));
            }
            Step::Drain(n) => self.request(n, "xg", json!({"uuid": format!("agent-{n}")})),
            Step::Get(n, uuid, labels, durable) => {
                let labels = labels.then(|| json!(["x"]));
                let rust = self.world[Peer(n)].side == Rust;
                let huly = rust.then(|| json!({"durable": durable && n == AGENTS}));
                let request = json!({"uuid": uuid, "labels": labels});
                self.request(
                    n,
                    "gg",
                    json!({"kind": "k", "request": request, "huly": huly}),
                );
            }
            Step::Release(n, uuid) => self.request(n, "cr", json!({"uuid": uuid})),
            Step::Call(n, uuid) => self.request(n, "cs", json!([uuid, "op", 1])),
            Step::Reassert(n, uuid) => {
                let get = json!({"uuid": uuid, "kind": "k", "agentId": "agent-0", "epoch": [1, 1]});
                self.request(n, "xr", json!({"gets": [get]}));
            }
            Step::Leave(n) => self.world.say(Peer(n), Op::Close, "", ""),
            Step::Sync(uuids) => {
                self.request(
                    AGENTS,
                    "xs",
                    json!({"sync": "s", "uuids": uuids, "last": true}),
                );
            }
            Step::Spec(max) => {
                self.revision += 1;
                let spec = json!({"kind": "k", "revision": self.revision, "maxPerAgent": max});
                self.request(AGENTS, "ks", spec);
            }
            Step::Wait(ms) => self.world.run(ms),
        }
    }

    /// What must hold after every step.
    fn check(&mut self) {
        let (world, watcher) = (&mut self.world, self.watcher);
        self.view.catch_up(world, watcher);
        let listed = listed(world, watcher);
        let snapshot = world.registry.snapshot();
        // Subscribers are told once of a container that moves: when it lives again.
        let mut seen = self.view.homes();
        for (uuid, home) in &listed {
            assert_eq!(seen.remove(uuid).as_ref(), Some(home), "the feed on {uuid}");
        }
        let moving = snapshot.waiting.values().sum::<usize>() + snapshot.calls;
        assert!(seen.len() <= moving, "gone, but not in the feed: {seen:?}");
        let agents = world.ask(watcher, "al", json!({})).unwrap();
        let agents = agents.as_array().unwrap();
        assert_eq!(agents.len(), snapshot.agents.values().sum::<usize>());
        let mut ids: Vec<&Value> = agents.iter().map(|agent| &agent["agentId"]).collect();
        ids.dedup();
        assert_eq!(ids.len(), agents.len(), "each agent once");
        for home in listed.values() {
            assert!(
                ids.iter().any(|id| *id == home),
                "{home:?} of a container is no agent"
            );
        }
        assert_eq!(listed.len(), snapshot.containers.values().sum::<usize>());
        for agent in agents {
            let lives = listed
                .values()
                .filter(|home| agent["agentId"] == home.as_str())
                .count();
            let counted = agent["containers"].as_u64().unwrap();
            assert!(counted >= lives as u64, "{agent} has {lives}");
            let by_kind = agent["huly"]["containersByKind"]["k"].as_u64().unwrap_or(0);
            assert_eq!(by_kind, counted);
        }
        if snapshot.held.0 == 0 {
            assert_eq!(snapshot.held.1, 0, "bytes of nothing are held");
        }
    }

    /// Everybody who lives goes on as peers should; then what is wanted must be placed.
    fn heal(&mut self) {
        self.revision += 1;
        for number in 0..AGENTS + CLIENTS {
            self.world.thaw(Peer(number));
            self.world.connect(Peer(number));
        }
        let spec = json!({"kind": "k", "revision": self.revision});
        self.request(AGENTS, "ks", spec);
        for number in 0..AGENTS {
            let sim = self.world[Peer(number)].sim();
            (sim.refuses, sim.mute) = (None, Vec::new());
            self.world.answer_calls(Peer(number));
        }
        // Where garbage was read as the hello of another client, that one may have its id until it
        // is silent: a refused agent asks again.
        for number in 0..AGENTS {
            let registered = self.register(number) || {
                self.world.run(3_000);
                self.register(number)
            };
            assert!(registered, "agent-{number} is refused for ever");
        }
        self.world.run(40_000);
        self.check();
        let snapshot = self.world.registry.snapshot();
        assert_eq!(snapshot.waiting.values().sum::<usize>(), 0, "{snapshot:?}");
        assert_eq!((snapshot.held, snapshot.calls), ((0, 0), 0), "{snapshot:?}");
        let listed = listed(&mut self.world, self.watcher);
        assert_eq!(
            self.view.homes(),
            listed,
            "the feed tells what the list says"
        );
        // Whoever has gone holds nothing; durable references end with a sync.
        self.request(
            AGENTS,
            "xs",
            json!({"sync": "end", "uuids": [], "last": true}),
        );
        for number in AGENTS..AGENTS + CLIENTS {
            self.world.say(Peer(number), Op::Close, "", "");
        }
        let snapshot = self.world.registry.snapshot();
        assert_eq!(
            snapshot.references.values().sum::<usize>(),
            0,
            "{snapshot:?}"
        );
        self.world.run(120_000);
        self.check();
        let snapshot = self.world.registry.snapshot();
        assert_eq!(
            snapshot.containers.values().sum::<usize>(),
            0,
            "{snapshot:?}"
        );
        for number in 0..AGENTS {
            let sim = self.world[Peer(number)].sim();
            assert!(sim.containers.is_empty(), "{} is left with copies", sim.id);
        }
    }
}

proptest! {
    // PROPTEST_CASES says how many; a failure prints the steps, there is nothing to keep.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_inputs(steps in proptest::collection::vec(step(), 1..80)) {
        let mut stage = Stage::new();
        for step in &steps {
            stage.take(step);
            stage.check();
        }
        stage.heal();
    }

    /// The same from a network at work, where more can go wrong.
    #[test]
    fn any_sequence_of_inputs_at_work(steps in proptest::collection::vec(step(), 1..40)) {
        let mut stage = Stage::new();
        stage.begin();
        for step in &steps {
            stage.take(step);
            stage.check();
        }
        stage.heal();
    }
}
