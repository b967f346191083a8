//! A client's direct connections: links to the ROUTERs of agents and containers.

mod following;
mod requests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use huly_session::direct::DirectWay;
use huly_session::{Config, Effect, Input, Peer, Token};

use super::{ClientProgram, refused};
use crate::ledger::Seen;
use crate::program::link::Link;
use crate::program::{Action, Came, Context};
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::wire::WireId;
use following::Connection;

/// After which an agent has heard that a container's events are wanted no more, or the link is closed:
/// one that is silent is dialed again after a second, for as long as nobody is reached.
const HEARD: Duration = Duration::from_secs(20);

/// A connection to a ROUTER, shared by all containers behind it.
#[derive(Debug)]
struct DirectLink {
    way: DirectWay,
    link: Link,
    /// Containers that are connected over it. Without any it is closed.
    users: BTreeSet<String>,
    /// Requests without an answer, with their containers: so long it is not closed either.
    asked: BTreeMap<Token, String>,
}

impl DirectLink {
    fn is_used(&self) -> bool {
        !self.users.is_empty() || !self.asked.is_empty()
    }

    fn is_used_for(&self, uuid: &str) -> bool {
        self.users.contains(uuid) || self.asked.values().any(|asked| asked == uuid)
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Directs {
    config: Config,
    random: Random,
    links: BTreeMap<u64, DirectLink>,
    made: u64,
    connections: BTreeMap<String, Connection>,
    /// When containers were left, of late.
    left: VecDeque<Duration>,
}

impl Directs {
    pub(super) fn new(config: Config) -> Self {
        Self {
            random: Random::new(config.seed),
            config,
            links: BTreeMap::new(),
            made: 0,
            connections: BTreeMap::new(),
            left: VecDeque::new(),
        }
    }

    pub(super) fn links(&self) -> Vec<&Link> {
        self.links.values().map(|link| &link.link).collect()
    }

    pub(super) fn left_lately(&self) -> usize {
        self.left.len()
    }

    /// A container is left now.
    fn leaves(&mut self, now: Duration) {
        self.left.push_back(now);
    }

    /// What was left a while ago counts no more.
    pub(super) fn forget_left(&mut self, now: Duration) {
        while self.left.front().is_some_and(|at| *at + HEARD < now) {
            self.left.pop_front();
        }
    }

    pub(super) fn pending(&self) -> usize {
        let links = self.links.values();
        links.map(|link| link.link.session().pending()).sum()
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        let links = self.links.values();
        let links = links.filter_map(|link| link.link.session().next_wake());
        let followers = self.connections.values();
        let followers = followers.filter_map(|connection| connection.follower.next_wake());
        links.chain(followers).min()
    }

    /// The link by which a container is asked directly now, if it is.
    fn open_link(&self, uuid: &str) -> Option<(u64, &DirectLink)> {
        let connection = self.connections.get(uuid)?;
        let begun = connection.begun.filter(|_| connection.follower.is_open())?;
        let link = self.links.get(&begun.link)?;
        link.link.session().is_up().then_some((begun.link, link))
    }
}

impl ClientProgram {
    /// The containers that are connected to, with the connections that they are asked over.
    pub(crate) fn connections(&self) -> Vec<(String, Option<WireId>)> {
        let all = self.directs.connections.iter();
        all.filter(|(_, connection)| DirectWay::to(&connection.at).is_some())
            .map(|(uuid, _)| {
                let open = self.directs.open_link(uuid);
                (uuid.clone(), open.and_then(|(_, link)| link.link.wire()))
            })
            .collect()
    }

    /// What may be for one of the direct links is taken by it; the rest is left.
    pub(super) fn take_direct(&mut self, cx: &mut Context, came: Came) -> Option<Came> {
        let links = &self.directs.links;
        let of_wire = |wire: WireId| {
            let mut links = links.iter();
            links
                .find(|(_, link)| link.link.wire() == Some(wire))
                .map(|(number, _)| *number)
        };
        let number = match &came {
            Came::Dialed { dial, wire } => match Link::number_of(*dial) {
                0 => None,
                number if links.contains_key(&number) => Some(number),
                _ => {
                    let unwanted = wire.map(|wire| Action::Close { wire });
                    cx.actions.extend(unwanted);
                    return None;
                }
            },
            Came::Frame { wire, .. } | Came::Closed { wire } | Came::Clogged { wire } => {
                of_wire(*wire)
            }
            _ => None,
        };
        let Some(number) = number else {
            return Some(came);
        };
        self.take_link(cx, number, came);
        None
    }

    fn take_link(&mut self, cx: &mut Context, number: u64, came: Came) {
        let refused = refused(&came);
        if let Some(link) = self.directs.links.get_mut(&number) {
            let effects = link.link.take(cx, came);
            self.link_effects(cx, number, effects);
        }
        if let Some(id) = refused {
            cx.saw(Seen::Refused { id });
        }
    }

    fn link_input(&mut self, cx: &mut Context, number: u64, input: Input) {
        if let Some(link) = self.directs.links.get_mut(&number) {
            let effects = link.link.input(cx, input);
            self.link_effects(cx, number, effects);
        }
    }

    fn link_effects(&mut self, cx: &mut Context, number: u64, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Answered { token, result } => {
                    self.is_answered(cx, number, token);
                    self.answered(cx, token, result);
                }
                Effect::Up { .. } => {
                    self.is_up(cx);
                    self.link_is_up(cx, number);
                }
                Effect::Stopped(_) => drop(self.directs.links.remove(&number)),
                _ => {}
            }
        }
    }

    fn link_to(&mut self, cx: &mut Context, way: DirectWay) -> u64 {
        let mut links = self.directs.links.iter();
        // One that is not used is being closed.
        let known = links.find(|(_, link)| link.way == way && link.is_used());
        if let Some((number, _)) = known {
            return *number;
        }
        self.directs.made += 1;
        let number = self.directs.made;
        let config = &self.directs.config;
        let config = Config {
            peer: match way.of_agent() {
                true => Peer::Agent,
                false => Peer::Container,
            },
            secret: None,
            container: way.container().filter(|_| !cx.does(Sabotage::MixDoors)),
            request_prefix: format!("{}l{number}-", config.request_prefix),
            seed: self.directs.random.next(),
            ..config.clone()
        };
        let link = DirectLink {
            link: Link::to_door(config, number, way.authority.clone()),
            way,
            users: BTreeSet::new(),
            asked: BTreeMap::new(),
        };
        self.directs.links.insert(number, link);
        self.take_link(cx, number, Came::Start);
        number
    }

    /// A container is connected over a link no more, unless it is asked something still.
    fn leave_link(&mut self, cx: &mut Context, number: u64, uuid: &str) {
        let links = &self.directs.links;
        let Some(link) = links.get(&number).filter(|link| !link.is_used_for(uuid)) else {
            return;
        };
        let is_last = !link.is_used();
        let uuid = uuid.to_owned();
        self.directs.leaves(cx.now);
        self.link_input(cx, number, Input::Disconnect { uuid });
        if is_last {
            self.link_input(cx, number, Input::Close);
        }
    }
}
