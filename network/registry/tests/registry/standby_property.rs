//! Any sequence of what befalls agents that make one container beforehand: at most one has the uuid
//! at any moment, and once all is well one has it and the others stand by.

use huly_protocol::Op;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{AgentSim, Peer, Plain, Rust, World, config, text};

const LEADER: &str = "leader";
/// The kind of the first is what a specification may name; TypeScript agents have it beforehand.
const KIND: &str = "k";
/// The last two are TypeScript ones.
const AGENTS: usize = 5;
const RUST_AGENTS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Connect(usize),
    Close(usize),
    Freeze(usize),
    Thaw(usize),
    Register(usize),
    /// What an agent has ends by itself, and it says so or not.
    End(usize, bool),
    Refuse(usize, bool),
    Mute(usize, bool),
    AnswerAll(usize),
    Unregister(usize),
    Drain(usize),
    Get,
    Release,
    Call,
    Spec(bool),
    RestartServer,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let agent = || 0..AGENTS;
    prop_oneof![
        3 => agent().prop_map(Step::Connect),
        3 => agent().prop_map(Step::Close),
        1 => agent().prop_map(Step::Freeze),
        2 => agent().prop_map(Step::Thaw),
        4 => agent().prop_map(Step::Register),
        3 => (agent(), any::<bool>()).prop_map(|(a, b)| Step::End(a, b)),
        1 => (agent(), any::<bool>()).prop_map(|(a, b)| Step::Refuse(a, b)),
        1 => (agent(), any::<bool>()).prop_map(|(a, b)| Step::Mute(a, b)),
        2 => agent().prop_map(Step::AnswerAll),
        2 => agent().prop_map(Step::Unregister),
        1 => agent().prop_map(Step::Drain),
        2 => Just(Step::Get),
        1 => Just(Step::Release),
        1 => Just(Step::Call),
        1 => any::<bool>().prop_map(Step::Spec),
        1 => Just(Step::RestartServer),
        5 => proptest::sample::select(&[1_u64, 100, 300, 800, 1_600, 3_500, 35_000][..])
            .prop_map(Step::Wait),
    ]
}

struct Stage {
    world: World,
    watcher: Peer,
    operator: Peer,
    revision: u64,
    servers: u64,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::starting(config());
        for number in 0..AGENTS {
            let rust = number < RUST_AGENTS;
            let (side, kinds) = if rust {
                (Rust, &[KIND][..])
            } else {
                (Plain, &["other"][..])
            };
            let peer = world.peer(&format!("client-of-{number}"), side);
            let sim = AgentSim::new(&format!("agent-{number}"), side, kinds);
            world[peer].agent = Some(sim);
        }
        let watcher = world.client("watcher", Rust);
        let operator = world.operator();
        Self {
            world,
            watcher,
            operator,
            revision: 0,
            servers: 1,
        }
    }

    /// An agent makes what it has not, and registers.
    fn register(&mut self, number: usize) {
        let peer = Peer(number);
        if !self.world[peer].sim().containers.contains_key(LEADER) {
            self.world[peer].sim().stand_by(LEADER, KIND);
        }
        if !self.world[peer].runs || self.world[peer].conn.is_none() {
            return;
        }
        let params = self.world[peer].sim().registration();
        let id = self.world.request(peer, "ar", params);
        let Some(Ok(end)) = self.world.answer(peer, &id) else {
            return;
        };
        let named = end.as_array().is_some_and(|end| !end.is_empty());
        assert!(
            !named || number < RUST_AGENTS,
            "a TypeScript standby is lost"
        );
        if named {
            let stateless = &self.world[peer].sim().containers[LEADER].huly["stateless"];
            assert_eq!(stateless, "Owner", "one that stands by is told to end");
            self.world[peer].sim().containers.remove(LEADER);
        }
    }

    fn end(&mut self, number: usize, says: bool) {
        let peer = Peer(number);
        let Some(copy) = self.world[peer].sim().containers.remove(LEADER) else {
            return;
        };
        if number < RUST_AGENTS && says && self.world[peer].runs {
            let record = json!({"agentId": format!("agent-{number}"), "uuid": LEADER, "kind": KIND,
                "endpoint": copy.endpoint, "huly": copy.huly});
            let event = json!({"agents": [], "containers": [{"container": record, "event": 2}]});
            self.world.request(peer, "cu", event);
        } else {
            self.register(number);
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Connect(n) => {
                if self.world[Peer(n)].runs {
                    self.world.connect(Peer(n));
                    self.register(n);
                }
            }
            Step::Close(n) => self.world.close(Peer(n)),
            Step::Freeze(n) => self.world.freeze(Peer(n)),
            Step::Thaw(n) => self.world.thaw(Peer(n)),
            Step::Register(n) => self.register(n),
            Step::End(n, says) => self.end(n, says),
            Step::Refuse(n, yes) => {
                self.world[Peer(n)].sim().refuses = yes.then(|| "no".to_owned());
            }
            Step::Mute(n, yes) => {
                let all = vec!["gg", "ct", "cs"];
                self.world[Peer(n)].sim().mute = if yes { all } else { Vec::new() };
            }
            Step::AnswerAll(n) => self.world.answer_calls(Peer(n)),
            Step::Unregister(n) => {
                self.world[Peer(n)].sim().containers.clear();
                if self.world[Peer(n)].runs {
                    let params = json!({"uuid": format!("agent-{n}")});
                    self.world.request(Peer(n), "au", params);
                }
            }
            Step::Drain(n) => {
                if n < RUST_AGENTS && self.world[Peer(n)].runs {
                    let params = json!({"uuid": format!("agent-{n}")});
                    self.world.request(Peer(n), "xg", params);
                }
            }
            Step::Get => {
                let params = json!({"kind": KIND, "request": {"uuid": LEADER}});
                self.world.request(self.operator, "gg", params);
            }
            Step::Release => {
                self.world
                    .request(self.operator, "cr", json!({"uuid": LEADER}));
            }
            Step::Call => {
                self.world
                    .request(self.operator, "cs", json!([LEADER, "op", 1]));
            }
            Step::Spec(named) => self.specify(named),
            Step::RestartServer => self.restart(),
            Step::Wait(ms) => self.world.run(ms),
        }
    }

    fn specify(&mut self, named: bool) {
        self.revision += 1;
        let uuid = named.then_some(LEADER);
        let spec = json!({"kind": KIND, "revision": self.revision, "statelessUuid": uuid});
        self.world.request(self.operator, "ks", spec);
    }

    fn restart(&mut self) {
        self.servers += 1;
        let mut config = config();
        config.instance = format!("instance-{}", self.servers);
        config.term += u64::try_from(self.world.now.as_millis()).unwrap() + self.servers;
        self.world.restart_with(config);
        self.world.connect(self.watcher);
        self.world.connect(self.operator);
    }

    /// Who has the uuid, of which there is one at most.
    fn owner(&mut self) -> Option<String> {
        let listed = self.world.ask(self.watcher, "cl", json!({})).unwrap();
        let all: Vec<&Value> = listed.as_array().unwrap().iter().collect();
        assert!(all.len() <= 1, "{all:?}");
        all.first().map(|record| text(&record["agentId"]))
    }

    fn check(&mut self) {
        self.owner();
        for number in RUST_AGENTS..AGENTS {
            let sim = self.world[Peer(number)].sim();
            assert!(sim.called("ct").is_empty(), "a TypeScript standby is ended");
        }
        let snapshot = self.world.registry.snapshot();
        let agents = self.world.ask(self.watcher, "al", json!({})).unwrap();
        let counts = agents.as_array().unwrap().iter();
        let counted: u64 = counts
            .filter_map(|agent| agent["huly"]["standbysByKind"][KIND].as_u64())
            .sum();
        assert_eq!(
            snapshot.standbys.get(KIND).copied().unwrap_or_default() as u64,
            counted
        );
    }

    /// All agents are there and make what they lack: one has the uuid, and keeps it.
    fn heal(&mut self) {
        for number in 0..AGENTS {
            self.world.thaw(Peer(number));
            let sim = self.world[Peer(number)].sim();
            (sim.refuses, sim.mute) = (None, Vec::new());
            self.world.answer_calls(Peer(number));
            self.world.connect(Peer(number));
        }
        for _ in 0..3 {
            // TypeScript ones register again when they see that the uuid is free.
            self.world.run(3_000);
            for number in 0..AGENTS {
                self.register(number);
                self.check();
            }
        }
        self.world.run(40_000);
        let owner = self.owner().expect("somebody has the uuid");
        for number in 0..AGENTS {
            self.register(number);
            let sim = self.world[Peer(number)].sim();
            let copy = &sim.containers[LEADER];
            if number < RUST_AGENTS {
                let owns = copy.huly["stateless"] != "Standby";
                assert_eq!(owns, owner == sim.id, "agent-{number} beside {owner}");
            }
        }
        self.check();
        let snapshot = self.world.registry.snapshot();
        assert_eq!(snapshot.standbys[KIND], AGENTS - 1, "{snapshot:?}");
        assert_eq!((snapshot.calls, snapshot.held), (0, (0, 0)), "{snapshot:?}");
        assert_eq!(snapshot.waiting.values().sum::<usize>(), 0);
        // Nobody's leaving ends it.
        self.world.say(self.operator, Op::Close, "", "");
        self.world.run(120_000);
        assert_eq!(self.owner(), Some(owner));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_has_the_uuid_whatever_happens(steps in proptest::collection::vec(step(), 1..60)) {
        let mut stage = Stage::new();
        for number in 0..AGENTS {
            stage.take(&Step::Connect(number));
        }
        for step in &steps {
            stage.take(step);
            stage.check();
        }
        stage.heal();
    }
}
