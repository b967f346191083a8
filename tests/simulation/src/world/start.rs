//! Processes are started.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use huly_session::{Config as SessionConfig, Peer};
use uuid::Uuid;

use super::{Process, ProcessId, World};
use crate::program::agent::AgentProgram;
use crate::program::client::{ClientProgram, Wishes};
use crate::program::operator::{Candidacy, OPERATOR, OperatorProgram};
use crate::program::plain::agent::PlainAgent;
use crate::program::plain::client::PlainClient;
use crate::program::server::Server;
use crate::program::{Came, Program};
use crate::sabotage::Sabotage;
use crate::scenario::Limits;
use crate::scenario::breadth::{Beforehand, STATELESS, ZONE, zone_of};

/// The control secret of the simulated network.
const SECRET: &str = "secret";

/// How long a server does not end what lived before, so that a simulation need not wait for long.
pub(crate) const ORPHAN_GRACE: Duration = Duration::from_secs(10);

/// After how many ms whoever has an operator's session hears that it leads no more.
const LAGS: [u64; 3] = [0, 4_000, 4_000];

/// Agents or containers in a chunk of the feed where messages are small: snapshots have several.
const SNAPSHOT_CHUNK: usize = 2;

/// Requests of one process have numbers below this beside each other.
const OPS: u64 = 1_000_000;

impl World {
    /// Starts what has a place, unless it runs.
    pub(crate) fn start(&mut self, place: &str) {
        if self.at(place).is_none() {
            self.start_another(place);
        }
    }

    pub(super) fn start_another(&mut self, place: &str) {
        let number = self.processes.len() as u32;
        let id = ProcessId(number);
        let of_place = |process: &&Process| process.place == place;
        let life = self.processes.iter().filter(of_place).count() + 1;
        let Some(clock) = self.clocks.get(place).copied() else {
            return;
        };
        let (mono, wall_ms) = (clock.mono(self.now), clock.wall_ms(self.now));
        let Some((program, heir)) = self.program(place, number, life, mono, wall_ms) else {
            return;
        };
        let name = match life {
            1 => place.to_owned(),
            _ => format!("{place}'{life}"),
        };
        self.story
            .tell(self.now, &name, || format!("starts, time of day {wall_ms}"));
        self.processes.push(Process {
            place: place.to_owned(),
            name,
            program: Some(program),
            paused: false,
            pauses: Vec::new(),
            backlog: VecDeque::new(),
            wake: None,
            awake_since: self.now,
            started: self.now,
            heir,
            ended: None,
            left: 0,
            left_calls: 0,
            outlived: None,
        });
        self.present.insert(place.to_owned(), id);
        self.give(id, Came::Start);
    }

    fn program(
        &mut self,
        place: &str,
        number: u32,
        life: usize,
        mono: Duration,
        wall_ms: u64,
    ) -> Option<(Program, bool)> {
        let mut heir = false;
        let (role, _) = place.split_once('-').unwrap_or((place, ""));
        let mut random = self.random.fork();
        let session = |id: String, seed: u64| SessionConfig {
            peer: Peer::Server,
            client_id: id,
            nonce: format!("nonce-{number}"),
            request_prefix: format!("{number}-"),
            secret: None,
            fencing: None,
            container: None,
            alive_timeout: SessionConfig::ALIVE_TIMEOUT,
            request_timeout: SessionConfig::REQUEST_TIMEOUT,
            seed,
        };
        let program = match role {
            "server" => {
                let instance = Uuid::from_u128(u128::from(random.next())).to_string();
                let defaults = huly_registry::Config::new(instance, wall_ms);
                let told = self.scenario.breadth.message_bytes;
                let small = told.is_some() || self.scenario.slow_readers;
                let chunk = small.then_some(SNAPSHOT_CHUNK);
                let times = self.scenario.times;
                let limits = match self.sabotage {
                    Some(Sabotage::NoLimits) => Limits::none(),
                    _ => self.scenario.limits,
                };
                let config = huly_registry::Config {
                    requests_in_flight: limits.requests_in_flight,
                    calls_per_container: limits.calls_per_container,
                    hold_bytes: limits.hold_bytes,
                    message_bytes: told.unwrap_or(defaults.message_bytes),
                    snapshot_chunk: chunk.unwrap_or(defaults.snapshot_chunk),
                    // Where there is a secret, TypeScript agents' containers wait for an operator.
                    control_secret: self.scenario.operator.then(|| SECRET.into()),
                    orphan_grace: match self.sabotage {
                        Some(Sabotage::NoOrphanGrace) => Duration::ZERO,
                        _ => ORPHAN_GRACE,
                    },
                    lease: times.lease,
                    settle: times.settle,
                    grace: times.grace,
                    plain_grace: times.plain_grace,
                    ..defaults
                };
                let config = match self.sabotage {
                    Some(Sabotage::NoMargin) => Server::without_margin(config),
                    _ => config,
                };
                let slow = self.scenario.slow_readers;
                let counts = !self.scenario.rations.is_empty();
                Program::Server(Box::new(Server::new(config, counts, slow, mono, wall_ms)))
            }
            "agent" => {
                let id = format!("{place}.{life}");
                let instance = Uuid::from_u128(u128::from(random.next()));
                let config = huly_agent::core::Config {
                    kinds: self.kinds_of_agents(),
                    stateless: self.made_beforehand(),
                    labels: [(ZONE.to_owned(), zone_of(place).to_owned())].into(),
                    ping_interval: Duration::ZERO,
                    calls_per_container: self.scenario.limits.calls_per_container as usize,
                    waiting_calls: self.scenario.limits.waiting_calls,
                    answers_window: self.scenario.limits.answers_window,
                    answers_bytes: self.scenario.limits.answers_bytes,
                    ..huly_agent::core::Config::new(id.clone(), instance, place, 3738)
                };
                let session = session(format!("of-{id}"), random.next());
                let listening = self.scenario.breadth.listening.clone();
                let manners = self.scenario.manners;
                let agent = AgentProgram::new(config, session, manners, listening, random, mono);
                Program::Agent(Box::new(agent))
            }
            "client" => {
                // Some come again under the id that they had.
                let id = match random.percent(50) {
                    true => place.to_owned(),
                    false => format!("{place}.{life}"),
                };
                heir = !self.client_ids.insert(id.clone());
                let session = session(id, random.next());
                let wishes = self.wishes();
                let ops = u64::from(number) * OPS;
                let client = ClientProgram::new(session, wishes, random, ops, mono);
                Program::Client(Box::new(client))
            }
            "tsagent" => {
                let id = format!("{place}.{life}");
                let made = self.made_beforehand();
                let (kinds, manners) = (self.scenario.kinds.clone(), self.scenario.manners);
                let agent = PlainAgent::new(id, kinds, made, manners, random);
                Program::PlainAgent(Box::new(agent))
            }
            "tsclient" => {
                let id = format!("{place}.{life}");
                let (wishes, ops) = (self.wishes(), u64::from(number) * OPS);
                let client = PlainClient::new(id, wishes, random, ops, mono);
                Program::PlainClient(Box::new(client))
            }
            "operator" => {
                let wanted: BTreeMap<_, _> = self.scenario.wanted.iter().cloned().collect();
                let specs = self.specs.clone();
                let session = SessionConfig {
                    secret: Some(SECRET.into()),
                    ..session(OPERATOR.to_owned(), random.next())
                };
                let candidacy = self.scenario.rivals.then(|| {
                    let lag = LAGS[random.index(LAGS.len())];
                    Candidacy::new(place, Duration::from_millis(lag), mono)
                });
                let operator = OperatorProgram::new(session, wanted, specs, candidacy, mono);
                Program::Operator(Box::new(operator))
            }
            _ => return None,
        };
        Some((program, heir))
    }

    /// The kinds that agents of ours can host.
    fn kinds_of_agents(&self) -> BTreeSet<String> {
        let kinds = self.scenario.kinds.iter().cloned();
        let by_kind = self.scenario.breadth.beforehand == Some(Beforehand::Kind);
        let more = by_kind.then(|| STATELESS.1.to_owned());
        kinds.chain(more).collect()
    }

    /// What agents make beforehand of their own accord: uuids, with their kinds.
    fn made_beforehand(&self) -> BTreeMap<String, String> {
        let by_agents = self.scenario.breadth.beforehand == Some(Beforehand::Agents);
        let made = by_agents.then(|| (STATELESS.0.to_owned(), STATELESS.1.to_owned()));
        made.into_iter().collect()
    }

    fn wishes(&self) -> Wishes {
        Wishes {
            uuids: self.scenario.uuids.clone(),
            kinds: self.scenario.kinds.clone(),
            connects: self.scenario.breadth.connecting,
            watches: self.scenario.breadth.watching,
            pause_ms: self.scenario.pause_ms,
        }
    }
}
