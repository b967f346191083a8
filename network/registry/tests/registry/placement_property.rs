//! Placement against a model that is written down in a few lines: selectors, limits, round robin,
//! reuse and joining. And what placement does not depend on.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::support::{AgentSim, Peer, Rust, World, uuid_of};

const KINDS: [&str; 2] = ["k", "other"];
const LABELS: [&str; 3] = ["x", "y", "z"];
const ZONES: [&str; 2] = ["north", "south"];
const AGENTS: usize = 4;

/// A get without a uuid may reuse a container, or make a new one.
#[derive(Debug, Clone)]
enum Get {
    ByUuid(&'static str),
    Labelled(Vec<&'static str>),
    New,
}

#[derive(Debug, Clone)]
enum Step {
    /// An agent comes, or says again what it is.
    Register(usize, Vec<&'static str>, &'static str),
    Unregister(usize),
    Specify(&'static str, Option<u32>, Option<&'static str>),
    Get(&'static str, Get),
    /// The container that came so many before the last is let go, and ends.
    Release(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let agent = || 0..AGENTS;
    let kind = || select(&KINDS[..]);
    let kinds = || subsequence(&KINDS[..], 1..=KINDS.len());
    let uuid = || select(&["u0", "u1", "u2", "u3"][..]);
    let get = prop_oneof![
        3 => uuid().prop_map(Get::ByUuid),
        3 => subsequence(&LABELS[..], 0..=LABELS.len()).prop_map(Get::Labelled),
        2 => Just(Get::New),
    ];
    let zone = || select(&ZONES[..]);
    prop_oneof![
        4 => (agent(), kinds(), zone()).prop_map(|(a, b, c)| Step::Register(a, b, c)),
        1 => agent().prop_map(Step::Unregister),
        2 => (kind(), proptest::option::of(1..4_u32), proptest::option::of(zone()))
            .prop_map(|(a, b, c)| Step::Specify(a, b, c)),
        12 => (kind(), get).prop_map(|(a, b)| Step::Get(a, b)),
        3 => (0..6_usize).prop_map(Step::Release),
    ]
}

#[derive(Debug, Clone)]
struct Agent {
    name: usize,
    kinds: Vec<&'static str>,
    zone: &'static str,
}

#[derive(Debug, Clone)]
struct Lives {
    uuid: String,
    kind: &'static str,
    labels: Vec<&'static str>,
    by_uuid: bool,
    on: usize,
}

/// What the rules say.
#[derive(Debug, Default)]
struct Model {
    /// In the order in which they came.
    agents: Vec<(u64, Agent)>,
    came: u64,
    /// The oldest first.
    containers: Vec<Lives>,
    specs: BTreeMap<&'static str, (Option<u32>, Option<&'static str>)>,
    /// The agent that was picked last, by kind and of all.
    cursors: BTreeMap<&'static str, u64>,
    last: u64,
}

impl Model {
    fn pick(&self, kind: &str) -> Option<(u64, usize)> {
        let (max, zone) = self.specs.get(kind).copied().unwrap_or_default();
        let has = |name: usize| {
            let its = self.containers.iter();
            its.filter(|one| one.on == name && one.kind == kind).count()
        };
        let fits = |agent: &Agent| {
            agent.kinds.contains(&kind)
                && zone.is_none_or(|zone| agent.zone == zone)
                && max.is_none_or(|max| has(agent.name) < max as usize)
        };
        let mut fit = self.agents.iter().filter(|(_, agent)| fits(agent));
        let cursor = self.cursors.get(kind).copied().unwrap_or(self.last);
        let first = fit.clone().next();
        let next = fit.find(|(number, _)| *number > cursor).or(first)?;
        Some((next.0, next.1.name))
    }

    fn advance(&mut self, kind: &'static str, number: u64) {
        self.cursors.insert(kind, number);
        self.last = number;
    }

    /// The container that answers a get; else the agent that gets a new one, if there is one.
    fn answer(&mut self, kind: &'static str, get: &Get) -> Result<String, Option<usize>> {
        let mut known = self.containers.iter();
        let picked = self.pick(kind);
        let found = match get {
            Get::ByUuid(uuid) => known.find(|one| one.uuid == *uuid),
            Get::New => None,
            Get::Labelled(labels) => known.find(|one| {
                let on_it = picked.is_some_and(|(_, name)| one.on == name);
                let fits = labels.iter().all(|label| one.labels.contains(label));
                one.kind == kind && !one.by_uuid && fits && (on_it || !labels.is_empty())
            }),
        };
        let found = found.map(|one| one.uuid.clone());
        let moves_on = match get {
            Get::ByUuid(_) | Get::New => found.is_none(),
            Get::Labelled(labels) => labels.is_empty() || found.is_none(),
        };
        if let Some((number, _)) = picked.filter(|_| moves_on) {
            self.advance(kind, number);
        }
        found.ok_or(picked.map(|(_, name)| name))
    }
}

struct Stage {
    world: World,
    model: Model,
    agents: Vec<Peer>,
    client: Peer,
    operator: Peer,
    revision: u64,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::new();
        let agents = (0..AGENTS).map(|name| {
            let peer = world.peer(&format!("client-of-{name}"), Rust);
            world[peer].agent = Some(AgentSim::new(&format!("agent-{name}"), Rust, &[]));
            world.connect(peer);
            peer
        });
        let agents = agents.collect();
        Self {
            agents,
            client: world.client("client", Rust),
            operator: world.operator(),
            world,
            model: Model::default(),
            revision: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::Register(name, kinds, zone) => self.register(name, &kinds, zone),
            Step::Unregister(name) => self.unregister(name),
            Step::Specify(kind, max, zone) => {
                self.revision += 1;
                let labels = zone.map(|zone| json!({"matchLabels": {"zone": zone}}));
                let spec = json!({
                    "kind": kind, "revision": self.revision, "maxPerAgent": max,
                    "agentSelector": labels.unwrap_or(json!({})),
                });
                self.world.ask(self.operator, "ks", spec).unwrap();
                self.model.specs.insert(kind, (max, zone));
            }
            Step::Get(kind, get) => self.get(kind, &get),
            Step::Release(before) => {
                let Some(at) = self.model.containers.len().checked_sub(before + 1) else {
                    return;
                };
                let gone = self.model.containers.remove(at);
                let params = json!({"uuid": gone.uuid});
                self.world.ask(self.client, "cr", params).unwrap();
                self.world.run(6_000);
            }
        }
        self.check();
    }

    /// It goes on hosting the kinds of what it has.
    fn register(&mut self, name: usize, kinds: &[&'static str], zone: &'static str) {
        let its = self.model.containers.iter().filter(|one| one.on == name);
        let has: BTreeSet<&str> = its
            .map(|one| one.kind)
            .chain(kinds.iter().copied())
            .collect();
        let kinds: Vec<&'static str> = KINDS
            .into_iter()
            .filter(|kind| has.contains(kind))
            .collect();
        let sim = self.world[self.agents[name]].sim();
        sim.kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        sim.labels = json!({"zone": zone});
        self.world.register(self.agents[name]);
        let agent = Agent { name, kinds, zone };
        let mut known = self.model.agents.iter_mut();
        match known.find(|(_, known)| known.name == name) {
            Some((_, known)) => *known = agent,
            None => {
                self.model.came += 1;
                self.model.agents.push((self.model.came, agent));
            }
        }
    }

    /// Only one that has nothing leaves: what is placed again then is told elsewhere.
    fn unregister(&mut self, name: usize) {
        if self.model.containers.iter().any(|one| one.on == name) {
            return;
        }
        let uuid = format!("agent-{name}");
        let gone = json!({ "uuid": uuid });
        self.world.ask(self.agents[name], "au", gone).unwrap();
        self.model.agents.retain(|(_, agent)| agent.name != name);
    }

    fn get(&mut self, kind: &'static str, get: &Get) {
        let (request, new) = match get {
            Get::ByUuid(uuid) => (json!({ "uuid": uuid }), false),
            Get::Labelled(labels) => (json!({ "labels": labels }), false),
            Get::New => (json!({}), true),
        };
        let got = self
            .world
            .get_with(self.client, kind, request, json!({ "new": new }));
        match self.model.answer(kind, get) {
            Ok(uuid) => assert_eq!(uuid_of(&got.unwrap()), uuid),
            Err(None) => {
                let code = got.unwrap_err()["code"].clone();
                assert!(code == "noSuitableAgent" || code == "noSuchKind", "{code}");
            }
            Err(Some(on)) => {
                let uuid = uuid_of(&got.unwrap());
                let by_uuid = matches!(get, Get::ByUuid(_));
                let labels = match get {
                    Get::Labelled(labels) => labels.clone(),
                    Get::ByUuid(_) | Get::New => Vec::new(),
                };
                self.model.containers.push(Lives {
                    uuid,
                    kind,
                    labels,
                    by_uuid,
                    on,
                });
            }
        }
    }

    fn check(&mut self) {
        let all = self.world.ask(self.client, "cl", json!({})).unwrap();
        let home = |record: &Value| (record["uuid"].clone(), record["agentId"].clone());
        let homes: BTreeMap<String, String> = all
            .as_array()
            .unwrap()
            .iter()
            .map(home)
            .map(|(uuid, agent)| (crate::support::text(&uuid), crate::support::text(&agent)))
            .collect();
        let model = self.model.containers.iter();
        let expected: BTreeMap<String, String> = model
            .map(|one| (one.uuid.clone(), format!("agent-{}", one.on)))
            .collect();
        assert_eq!(homes, expected);
    }
}

/// Where a list of gets is placed.
fn placed(
    clients: &[usize],
    kinds: &[&str],
    labels: &[&str],
    gets: &[(usize, bool)],
) -> Vec<Option<String>> {
    let mut world = World::new();
    // Who holds, in any order; the agents come in one.
    let mut peers: BTreeMap<usize, Peer> = BTreeMap::new();
    for client in clients {
        peers.insert(*client, world.client(&format!("client-{client}"), Rust));
    }
    for agent in ["c", "a", "b"] {
        world.agent(agent, Rust, kinds);
    }
    let asked = |labelled: bool| match labelled {
        true => json!({ "labels": labels }),
        false => json!({}),
    };
    gets.iter()
        .map(|(client, labelled)| {
            let uuid = world.get(peers[client], "k", asked(*labelled));
            world.home(peers[client], &uuid)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn placement_is_as_the_rules_say(steps in proptest::collection::vec(step(), 1..60)) {
        let mut stage = Stage::new();
        for step in &steps {
            stage.take(step);
        }
    }

    /// Nothing but what came says what is placed where, and what peers are told: no order of a map,
    /// no address, no earlier network of the process.
    #[test]
    fn the_same_inputs_place_the_same(steps in proptest::collection::vec(step(), 1..60)) {
        let told = || {
            let mut stage = Stage::new();
            for step in &steps {
                stage.take(step);
            }
            let peers = stage.world.peers.into_iter();
            peers.map(|peer| peer.got).collect::<Vec<_>>()
        };
        prop_assert_eq!(told(), told());
    }

    /// Of agents that fit alike, none has more than one container more than another.
    #[test]
    fn round_robin_is_fair(agents in 1..6_usize, gets in 1..40_u64) {
        let mut world = World::new();
        let client = world.client("c", Rust);
        let ids: Vec<String> = (0..agents).map(|number| format!("a{number}")).collect();
        for id in &ids {
            world.agent(id, Rust, &["k"]);
        }
        let mut counts: BTreeMap<String, u64> = ids.iter().map(|id| (id.clone(), 0)).collect();
        for _ in 0..gets {
            let got = world.get_with(client, "k", json!({}), json!({"new": true})).unwrap();
            let home = world.home(client, &uuid_of(&got)).unwrap();
            *counts.get_mut(&home).unwrap() += 1;
            let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
            prop_assert!(most - least <= 1, "{counts:?}");
        }
    }

    /// In which order clients came, kinds and labels are named, says nothing of a place.
    #[test]
    fn what_does_not_matter_changes_no_place(
        clients in Just(vec![0, 1, 2]).prop_shuffle(),
        kinds in Just(vec!["k", "l", "m"]).prop_shuffle(),
        labels in Just(vec!["x", "y"]).prop_shuffle(),
        gets in proptest::collection::vec((0..3_usize, any::<bool>()), 1..20),
    ) {
        let plain = placed(&[0, 1, 2], &["k", "l", "m"], &["x", "y"], &gets);
        prop_assert_eq!(placed(&clients, &kinds, &labels, &gets), plain);
    }
}
