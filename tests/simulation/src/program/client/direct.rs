//! A client's direct connections: links to the ROUTERs of agents and containers, and for each
//! connected container the real follower, which says where it is connected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use huly_session::direct::{
    ContainerRequest, DirectWay, FollowEffect, FollowInput, Follower, Setback,
};
use huly_session::{CallError, Config, Effect, Input, Location, Peer, Token};

use super::{ClientProgram, Waits};
use crate::ledger::Seen;
use crate::program::link::Link;
use crate::program::{Action, Came, Context};
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::wire::WireId;

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

/// A connected container.
#[derive(Debug)]
struct Connection {
    follower: Follower,
    /// Where the follower believes it to be.
    at: Location,
    /// The attempt that goes on, or the one that it is connected by.
    begun: Option<Begun>,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    attempt: u64,
    link: u64,
    /// The call that waits for the agent's answer.
    call: Option<Token>,
    /// A container's own ROUTER is asked nothing: it is waited for until it knows the client.
    waits_for_link: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Directs {
    config: Config,
    random: Random,
    links: BTreeMap<u64, DirectLink>,
    made: u64,
    connections: BTreeMap<String, Connection>,
}

impl Directs {
    pub(super) fn new(config: Config) -> Self {
        Self {
            random: Random::new(config.seed),
            config,
            links: BTreeMap::new(),
            made: 0,
            connections: BTreeMap::new(),
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

    /// A container's new request id, good on both routes.
    fn request_id(&self, op: u64) -> String {
        format!("{}d{op}", self.config.request_prefix)
    }

    /// By which route a container is asked now: zero through the server.
    pub(super) fn route_to(&self, uuid: &str) -> u64 {
        self.open_link(uuid).map_or(0, |(number, _)| number)
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

    pub(super) fn connect(&mut self, cx: &mut Context, uuid: String) {
        if self.directs.connections.contains_key(&uuid) {
            return;
        }
        let Some(at) = self.link.session().location(&uuid).cloned() else {
            return;
        };
        if !at.gone && DirectWay::to(&at).is_none() {
            return; // It takes no direct connections.
        }
        cx.tell(format!("connects to {uuid}"));
        let mut effects = Vec::new();
        let connection = Connection {
            follower: Follower::new(at.clone(), &mut effects),
            at,
            begun: None,
        };
        self.directs.connections.insert(uuid.clone(), connection);
        self.follow(cx, &uuid, effects);
    }

    pub(super) fn disconnect(&mut self, cx: &mut Context, uuid: &str) {
        if self.directs.connections.contains_key(uuid) {
            cx.tell(format!("disconnects from {uuid}"));
            self.unsubscribe(cx, uuid);
            self.directs.connections.remove(uuid);
        }
    }

    pub(super) fn disconnect_all(&mut self, cx: &mut Context) {
        let all: Vec<String> = self.directs.connections.keys().cloned().collect();
        for uuid in all {
            self.disconnect(cx, &uuid);
        }
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
        if let Some(link) = self.directs.links.get_mut(&number) {
            let effects = link.link.take(cx, came);
            self.link_effects(cx, number, effects);
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

    fn link_is_up(&mut self, cx: &mut Context, number: u64) {
        let connections = self.directs.connections.iter();
        let waiting: Vec<(String, u64)> = connections
            .filter_map(|(uuid, connection)| {
                let begun = connection.begun?;
                let waits = begun.link == number && begun.waits_for_link;
                waits.then(|| (uuid.clone(), begun.attempt))
            })
            .collect();
        for (uuid, attempt) in waiting {
            self.begun(cx, &uuid, attempt, Ok(()));
        }
    }

    /// Wakes what is due, and follows containers that have moved.
    pub(super) fn look_after_directs(&mut self, cx: &mut Context) {
        let due = |at: Option<Duration>| at.is_some_and(|at| at <= cx.now);
        let links = self.directs.links.iter();
        let links: Vec<u64> = links
            .filter(|(_, link)| due(link.link.session().next_wake()))
            .map(|(number, _)| *number)
            .collect();
        for number in links {
            self.take_link(cx, number, Came::Wake);
        }
        let all: Vec<String> = self.directs.connections.keys().cloned().collect();
        for uuid in all {
            let Some(connection) = self.directs.connections.get_mut(&uuid) else {
                continue;
            };
            let Some(at) = self.link.session().location(&uuid) else {
                self.disconnect(cx, &uuid);
                continue;
            };
            let mut effects = Vec::new();
            if *at != connection.at {
                connection.at = at.clone();
                let moved = FollowInput::Moved(Box::new(at.clone()));
                connection.follower.handle(cx.now, moved, &mut effects);
            }
            let wake = FollowInput::Wake;
            connection.follower.handle(cx.now, wake, &mut effects);
            self.follow(cx, &uuid, effects);
        }
    }

    fn follow(&mut self, cx: &mut Context, uuid: &str, effects: Vec<FollowEffect>) {
        for effect in effects {
            match effect {
                FollowEffect::Close => self.unsubscribe(cx, uuid),
                FollowEffect::Begin { attempt, way } => self.subscribe(cx, uuid, attempt, way),
                FollowEffect::Open => cx.tell(format!("is connected to {uuid}")),
                FollowEffect::Refuse => cx.tell(format!("may not connect to {uuid}")),
            }
        }
    }

    /// Has the container's events sent from there.
    fn subscribe(&mut self, cx: &mut Context, uuid: &str, attempt: u64, way: DirectWay) {
        let link = self.link_to(cx, way);
        if let Some(link) = self.directs.links.get_mut(&link) {
            link.users.insert(uuid.to_owned());
        }
        let token = self.token(Waits::Connect {
            uuid: uuid.to_owned(),
            attempt,
        });
        if let Some(connection) = self.directs.connections.get_mut(uuid) {
            connection.begun = Some(Begun {
                attempt,
                link,
                call: Some(token),
                waits_for_link: false,
            });
        }
        let uuid = uuid.to_owned();
        self.link_input(cx, link, Input::Connect { token, uuid });
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

    /// The events of a container are wanted no more from where they came.
    fn unsubscribe(&mut self, cx: &mut Context, uuid: &str) {
        let connection = self.directs.connections.get_mut(uuid);
        let Some(begun) = connection.and_then(|connection| connection.begun.take()) else {
            return;
        };
        if let Some(token) = begun.call {
            self.waits.remove(&token);
            self.link_input(cx, begun.link, Input::Cancel { token });
        }
        if let Some(link) = self.directs.links.get_mut(&begun.link) {
            link.users.remove(uuid);
        }
        self.leave_link(cx, begun.link, uuid);
    }

    /// A container is connected over a link no more, unless it is asked something still.
    fn leave_link(&mut self, cx: &mut Context, number: u64, uuid: &str) {
        let links = &self.directs.links;
        let Some(link) = links.get(&number).filter(|link| !link.is_used_for(uuid)) else {
            return;
        };
        let is_last = !link.is_used();
        let uuid = uuid.to_owned();
        self.link_input(cx, number, Input::Disconnect { uuid });
        if is_last {
            self.link_input(cx, number, Input::Close);
        }
    }

    /// A request has its answer on the direct route.
    fn is_answered(&mut self, cx: &mut Context, number: u64, token: Token) {
        let link = self.directs.links.get_mut(&number);
        if let Some(uuid) = link.and_then(|link| link.asked.remove(&token)) {
            self.leave_link(cx, number, &uuid);
        }
    }

    /// An agent answered whether it sends a container's events.
    pub(super) fn connect_answered(
        &mut self,
        cx: &mut Context,
        uuid: &str,
        attempt: u64,
        result: Result<(), Setback>,
    ) {
        let Some(connection) = self.directs.connections.get_mut(uuid) else {
            return;
        };
        let begun = connection.begun.as_mut();
        let Some(begun) = begun.filter(|begun| begun.attempt == attempt) else {
            return;
        };
        begun.call = None;
        let link = self.directs.links.get(&begun.link);
        let waits = link.is_some_and(|link| !link.way.of_agent() && !link.link.session().is_up());
        begun.waits_for_link = waits && result.is_ok();
        if !begun.waits_for_link {
            self.begun(cx, uuid, attempt, result);
        }
    }

    fn begun(&mut self, cx: &mut Context, uuid: &str, attempt: u64, result: Result<(), Setback>) {
        if result.is_err() {
            self.unsubscribe(cx, uuid);
        }
        let Some(connection) = self.directs.connections.get_mut(uuid) else {
            return;
        };
        if let Some(begun) = &mut connection.begun {
            begun.waits_for_link = false;
        }
        let mut effects = Vec::new();
        let begun = FollowInput::Begun { attempt, result };
        connection.follower.handle(cx.now, begun, &mut effects);
        self.follow(cx, uuid, effects);
    }

    /// Sends a request: directly where that is possible.
    pub(super) fn send_request(
        &mut self,
        cx: &mut Context,
        op: u64,
        mut request: ContainerRequest,
    ) {
        let Some((link, of)) = self.directs.open_link(&request.uuid) else {
            return self.send_routed(cx, op, &request);
        };
        request.id = Some(self.directs.request_id(op));
        let of_agent = of.way.of_agent();
        let began = cx.now;
        let token = self.token(Waits::Direct {
            op,
            request: Box::new(request.clone()),
            began,
        });
        cx.tell(format!("sends request {op} directly"));
        if let Ok(call) = request.direct(token, of_agent) {
            if let Some(of) = self.directs.links.get_mut(&link) {
                of.asked.insert(token, request.uuid);
            }
            self.link_input(cx, link, Input::Call(call));
        }
    }

    fn send_routed(&mut self, cx: &mut Context, op: u64, request: &ContainerRequest) {
        let token = self.token(Waits::Request { op });
        if let Ok(call) = request.routed(token) {
            self.input(cx, Input::Call(call));
        }
    }

    /// A request failed on its direct route; returns whether it goes on by the other one.
    pub(super) fn goes_on(
        &mut self,
        cx: &mut Context,
        op: u64,
        mut request: ContainerRequest,
        began: Duration,
        error: &CallError,
    ) -> bool {
        if !request.goes_on(error.into(), cx.now.saturating_sub(began)) {
            return false;
        }
        cx.tell(format!("request {op} goes through the server: {error:?}"));
        cx.saw(Seen::SentAgain { op });
        if cx.does(Sabotage::FreshIds) {
            request.id = None;
        }
        self.send_routed(cx, op, &request);
        true
    }
}
