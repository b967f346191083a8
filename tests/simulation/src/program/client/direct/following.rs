//! Connected containers: for each the real follower, which says where it is connected.

use std::time::Duration;

use huly_session::direct::{DirectWay, FollowEffect, FollowInput, Follower, Setback};
use huly_session::{Input, Location, Token};

use super::super::{ClientProgram, Waits};
use crate::program::{Came, Context};

/// A connected container.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) follower: Follower,
    /// Where the follower believes it to be.
    pub(super) at: Location,
    /// The attempt that goes on, or the one that it is connected by.
    pub(super) begun: Option<Begun>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    attempt: u64,
    pub(super) link: u64,
    /// The call that waits for the agent's answer.
    call: Option<Token>,
    /// A container's own ROUTER is asked nothing: it is waited for until it knows the client.
    waits_for_link: bool,
}

impl ClientProgram {
    pub(in crate::program::client) fn connect(&mut self, cx: &mut Context, uuid: String) {
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

    pub(in crate::program::client) fn disconnect(&mut self, cx: &mut Context, uuid: &str) {
        if self.directs.connections.contains_key(uuid) {
            cx.tell(format!("disconnects from {uuid}"));
            self.unsubscribe(cx, uuid);
            self.directs.connections.remove(uuid);
        }
    }

    pub(in crate::program::client) fn disconnect_all(&mut self, cx: &mut Context) {
        let all: Vec<String> = self.directs.connections.keys().cloned().collect();
        for uuid in all {
            self.disconnect(cx, &uuid);
        }
    }

    pub(super) fn link_is_up(&mut self, cx: &mut Context, number: u64) {
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
    pub(in crate::program::client) fn look_after_directs(&mut self, cx: &mut Context) {
        self.directs.forget_left(cx.now);
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

    /// The events of a container are wanted no more from where they came.
    pub(super) fn unsubscribe(&mut self, cx: &mut Context, uuid: &str) {
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

    /// An agent answered whether it sends a container's events.
    pub(in crate::program::client) fn connect_answered(
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
}
