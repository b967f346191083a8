//! A seed says who there is, what they want and what happens to them.

pub(crate) mod breadth;
mod limits;
mod orphans;
mod rations;
mod readers;
mod returns;
pub(crate) mod rivals;
mod step;
pub(crate) mod times;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use huly_protocol::KindSpec;

use crate::clock::Clock;
use crate::program::hosting::Manners;
use crate::random::Random;
use breadth::{Breadth, STATELESS};
pub(crate) use limits::Limits;
use rations::Rations;
pub(crate) use step::Step;
pub(crate) use times::Times;

/// How long the operator is left alone before it goes away.
const UNDISTURBED: Duration = Duration::from_secs(6);

/// How far apart two programs are killed that are killed together, in ms.
const AT_ONE_TIME: u64 = 20;

/// What a seed stands for.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    agents: usize,
    clients: usize,
    /// TypeScript-like ones.
    plain_agents: usize,
    plain_clients: usize,
    pub(crate) operator: bool,
    /// There are two operators, of which one leads.
    pub(crate) rivals: bool,
    pub(crate) kinds: Vec<String>,
    pub(crate) uuids: Vec<(String, String)>,
    pub(crate) wanted: Vec<(String, String)>,
    pub(crate) manners: Manners,
    pub(crate) pause_ms: u64,
    pub(crate) times: Times,
    pub(crate) steps: Vec<(Duration, Step)>,
    /// When faults stop.
    pub(crate) mended: Duration,
    /// When the operator goes away until everything else is calm, if it does.
    pub(crate) operator_away: Option<Duration>,
    pub(crate) breadth: Breadth,
    pub(crate) limits: Limits,
    pub(crate) rations: Rations,
    /// Whether some read slowly what the server sends them.
    pub(crate) slow_readers: bool,
}

/// Which faults a scenario has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mix {
    None,
    /// The server alone is killed.
    ServerRestarts,
    /// Agents alone.
    Agents,
    Connections,
    Pauses,
    /// Servers, clients and the operator are killed, servers doubled.
    Servers,
    All,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let kinds: Vec<String> = ["room", "counter"].map(str::to_owned).into();
        let number = random.of(2..7);
        let uuids: Vec<(String, String)> = (0..number)
            .map(|number| {
                let kind = kinds[number as usize % kinds.len()].clone();
                (format!("u{number}"), kind)
            })
            .collect();
        let operator = random.percent(50);
        let wanted = uuids.iter().filter(|_| operator && random.percent(40));
        let wanted: Vec<_> = wanted.cloned().collect();
        let mut scenario = Self {
            seed,
            agents: random.of(2..5) as usize,
            clients: random.of(1..5) as usize,
            plain_agents: 0,
            plain_clients: 0,
            operator,
            rivals: false,
            wanted,
            kinds,
            uuids,
            manners: Manners {
                slow_ms: [2, 50, 700][random.index(3)],
                work_ms: [2, 100, 1_500][random.index(3)],
                failing: [0, 0, 10][random.index(3)],
            },
            pause_ms: [100, 400, 1_500][random.index(3)],
            times: Times::new(seed),
            steps: Vec::new(),
            mended: random.millis(8_000..25_000),
            operator_away: None,
            breadth: Breadth::new(seed),
            limits: Limits::new(seed, false),
            rations: Rations::new(),
            slow_readers: false,
        };
        if random.percent(30) {
            scenario.plain_agents = random.of(0..3) as usize;
            scenario.plain_clients = random.of(0..3) as usize;
            scenario.limits = Limits::new(seed, scenario.plain_clients > 0);
        }
        scenario.rivals = operator && rivals::are_there(seed);
        scenario.begin(&mut random);
        let mixes = [
            Mix::None,
            Mix::ServerRestarts,
            Mix::Agents,
            Mix::Connections,
            Mix::Pauses,
            Mix::Servers,
            Mix::All,
            Mix::All,
        ];
        let mix = mixes[random.index(mixes.len())];
        // TypeScript agents keep no durable holders for the next server; nor is there anybody who does
        // where it and an agent are lost at one time, or two servers were up.
        let one = !matches!(mix, Mix::Servers | Mix::All);
        let kept = operator && scenario.plain_agents == 0 && one && !scenario.rivals;
        if kept && random.percent(70) {
            scenario.operator_leaves(&mut random);
        }
        if operator {
            scenario.breadth.specify(&scenario.kinds);
        }
        if operator && scenario.operator_away.is_none() {
            let steps = scenario.breadth.change_specs(scenario.mended);
            scenario.steps.extend(steps);
        }
        scenario.breadth.make_beforehand(operator);
        scenario.breadth.connect(&scenario.kinds);
        if mix != Mix::None && scenario.operator_away.is_none() {
            let places = scenario.places();
            let steps = scenario.breadth.part(&places, scenario.mended);
            scenario.steps.extend(steps);
        }
        if scenario.breadth.beforehand.is_some() {
            let (uuid, kind) = STATELESS;
            scenario.uuids.push((uuid.to_owned(), kind.to_owned()));
        }
        if operator {
            let (kinds, steps) = (&scenario.kinds, &mut scenario.steps);
            scenario.breadth.make_exclusive(seed, kinds, steps);
            if scenario.breadth.has_exclusive() && mix != Mix::None {
                let (times, until) = (scenario.times, scenario.mended);
                for (at, step) in times.outlive_leases(seed, &scenario.agents(), until) {
                    scenario.add(at, step);
                }
            }
        }
        // TypeScript peers' containers are not counted, and their clients ask without end. An operator
        // that goes away is to have got what it wants.
        let plain = scenario.plain_agents + scenario.plain_clients > 0;
        if operator && !plain && scenario.operator_away.is_none() {
            let (kinds, steps) = (&scenario.kinds, &mut scenario.steps);
            scenario.rations = scenario.breadth.ration(seed, kinds, steps);
        }
        if matches!(mix, Mix::Agents | Mix::Pauses | Mix::All) {
            for (at, step) in returns::returns(seed, &scenario.agents(), scenario.mended) {
                scenario.add(at, step);
            }
        }
        scenario.faults(mix, &mut random);
        if mix != Mix::None {
            let peers = scenario.places().split_off(1);
            let slow = readers::slow_ones(seed, &peers, scenario.mended);
            scenario.slow_readers = !slow.is_empty();
            // Who subscribes is told much.
            scenario.breadth.watching |= scenario.slow_readers;
            let orphans = orphans::orphans(seed, &scenario.clients(), scenario.mended);
            for (at, step) in slow.into_iter().chain(orphans) {
                scenario.add(at, step);
            }
        }
        if scenario.rivals && mix != Mix::None {
            let steps = rivals::faults(seed, scenario.mended);
            scenario.steps.extend(steps);
        }
        scenario.steps.sort_by_key(|(at, _)| *at);
        scenario
    }

    /// The specifications of kinds at the beginning.
    pub(crate) fn specs(&self) -> BTreeMap<String, KindSpec> {
        let all = self.breadth.specs.iter();
        all.map(|spec| (spec.kind.clone(), spec.clone())).collect()
    }

    pub(crate) fn has_plain_agents(&self) -> bool {
        self.plain_agents > 0
    }

    pub(crate) fn has_plain_clients(&self) -> bool {
        self.plain_clients > 0
    }

    /// Whether containers of the uuid are made beforehand.
    pub(crate) fn is_beforehand(&self, uuid: &str) -> bool {
        self.breadth.beforehand.is_some() && uuid == STATELESS.0
    }

    /// Who there may be.
    pub(crate) fn places(&self) -> Vec<String> {
        let mut places = vec!["server".to_owned()];
        places.extend(self.agents());
        places.extend(self.clients());
        places.extend(self.operators());
        places
    }

    /// Where operators are.
    pub(crate) fn operators(&self) -> Vec<String> {
        let places: &[&str] = match (self.operator, self.rivals) {
            (false, _) => &[],
            (true, false) => &["operator"],
            (true, true) => &rivals::PLACES,
        };
        places.iter().map(|place| (*place).to_owned()).collect()
    }

    fn agents(&self) -> Vec<String> {
        let ours = (1..=self.agents).map(|n| format!("agent-{n}"));
        let plain = (1..=self.plain_agents).map(|n| format!("tsagent-{n}"));
        ours.chain(plain).collect()
    }

    fn clients(&self) -> Vec<String> {
        let ours = (1..=self.clients).map(|n| format!("client-{n}"));
        let plain = (1..=self.plain_clients).map(|n| format!("tsclient-{n}"));
        ours.chain(plain).collect()
    }

    pub(crate) fn clock(&self, random: &mut Random) -> Clock {
        let most = self.times.drift;
        let drift = random.of(0..2 * most as u64) as i64 - most;
        Clock {
            drift,
            zero: random.millis(0..100_000_000),
            step_ms: random.of(0..200) as i64 - 100,
        }
    }

    fn begin(&mut self, random: &mut Random) {
        for place in self.places() {
            let at = random.millis(0..600);
            self.steps.push((at, Step::Start(place)));
        }
    }

    /// The operator is killed, after a time without faults in which it got what it wants.
    fn operator_leaves(&mut self, random: &mut Random) {
        let at = UNDISTURBED + random.millis(0..2_000);
        self.operator_away = Some(at);
        let (place, silent) = ("operator".to_owned(), random.percent(50));
        self.steps.push((at, Step::Crash { place, silent }));
    }

    fn faults(&mut self, mix: Mix, random: &mut Random) {
        if mix == Mix::None {
            return;
        }
        let many = [3, 8, 20][random.index(3)];
        for _ in 0..many {
            let latest = self.mended.as_millis() as u64;
            let at = random.millis(1_000..latest);
            self.fault(mix, at, random);
        }
    }

    fn fault(&mut self, mix: Mix, at: Duration, random: &mut Random) {
        let one_of = match mix {
            Mix::All => [
                Mix::ServerRestarts,
                Mix::Agents,
                Mix::Connections,
                Mix::Pauses,
                Mix::Servers,
            ][random.index(5)],
            one => one,
        };
        let places = self.places();
        let place = places[random.index(places.len())].clone();
        let agents = self.agents();
        let agent = agents[random.index(agents.len())].clone();
        // Now short, now long.
        let longest = [200, 1_200, 5_000][random.index(3)];
        let later = at + random.millis(10..longest);
        let silent = random.percent(30);
        match one_of {
            Mix::ServerRestarts => self.killed("server", false, at, later),
            Mix::Agents => match random.of(0..4) {
                0 => self.killed(&agent, silent, at, later),
                1 => self.add(at, Step::LoseContainer(agent)),
                2 => self.add(at, Step::Leave(agent)),
                _ => self.killed(&agent, false, at, later),
            },
            Mix::Connections => match random.of(0..5) {
                0 | 1 => self.add(at, Step::Cut(place)),
                2 => {
                    self.add(at, Step::Isolate(place.clone()));
                    self.add(later, Step::Join(place));
                }
                3 => {
                    let ms = [5, 100, 900][random.index(3)];
                    let of = place.clone();
                    self.add(at, Step::Slow { place: of, ms });
                    self.add(later, Step::Slow { place, ms: 0 });
                }
                _ => self.add(at, Step::Clog(place)),
            },
            Mix::Pauses => {
                self.add(at, Step::Pause(place.clone()));
                self.add(later, Step::Thaw(place));
            }
            Mix::Servers if self.operator && random.percent(30) => {
                let operator = match self.rivals {
                    true => rivals::PLACES[random.index(rivals::PLACES.len())],
                    false => "operator",
                };
                self.killed(operator, silent, at, later);
                if random.percent(50) {
                    // Both at nearly one time: neither tells the next of the other what it knew.
                    let (at, back) = (random.about(at, AT_ONE_TIME), random.millis(10..longest));
                    self.killed("server", random.percent(30), at, at + back);
                }
            }
            Mix::Servers => match random.of(0..4) {
                0 => {
                    let clients = self.clients();
                    let client = clients[random.index(clients.len())].clone();
                    self.killed(&client, silent, at, later);
                }
                1 => self.killed("server", silent, at, later),
                2 => {
                    let stay = places.iter().filter(|_| random.percent(50));
                    let stay = stay.filter(|place| *place != "server").cloned().collect();
                    self.add(at, Step::Double { stay });
                    self.add(later, Step::Single);
                }
                _ => {
                    let ms = random.of(0..20_000) as i64 - 10_000;
                    self.add(at, Step::SetClock { place, ms });
                }
            },
            Mix::None | Mix::All => {}
        }
    }

    fn killed(&mut self, place: &str, silent: bool, at: Duration, later: Duration) {
        let of = place.to_owned();
        self.add(at, Step::Crash { place: of, silent });
        self.add(later, Step::Start(place.to_owned()));
    }

    fn add(&mut self, at: Duration, step: Step) {
        let undisturbed = self.operator_away.is_some_and(|away| at < away);
        if at < self.mended && !undisturbed {
            self.steps.push((at, step));
        }
    }
}
