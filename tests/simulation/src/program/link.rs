//! A peer's session with the network server over the connection of the day.

use huly_protocol::{Frame, Op, Request, method};
use serde_json::Value;

use huly_session::{Config, Effect, Input, Session};

use super::{Action, Came, Context, Target};
use crate::sabotage::Sabotage;
use crate::wire::WireId;

/// Bits of a dialing's number that are its own; the rest is the link's.
const DIALS: u32 = 32;

#[derive(Debug)]
pub(crate) struct Link {
    session: Session,
    target: Target,
    wire: Option<WireId>,
    /// The number of the last dialing, and whether it goes on.
    dial: u64,
    dialing: bool,
}

impl Link {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            session: Session::new(config),
            target: Target::Server,
            wire: None,
            dial: 0,
            dialing: false,
        }
    }

    /// One of several links of a process, to another ROUTER than the server's. Numbers begin with 1.
    pub(crate) fn to_door(config: Config, number: u64, authority: String) -> Self {
        Self {
            target: Target::Door(authority),
            dial: dials_of(number),
            ..Self::new(config)
        }
    }

    /// The next of a process to the server, after the one that has the number before. Numbers begin
    /// with 1.
    pub(crate) fn next(config: Config, number: u64) -> Self {
        Self {
            dial: dials_of(number),
            ..Self::new(config)
        }
    }

    /// The number of the link that has dialed.
    pub(crate) fn number_of(dial: u64) -> u64 {
        dial >> DIALS
    }

    /// The connection of the day.
    pub(crate) fn wire(&self) -> Option<WireId> {
        self.wire
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// What is held, and where it is.
    pub(crate) fn whereabouts(&self) -> Vec<(String, Option<String>)> {
        let held = self.session.held();
        let all = held.keys().filter_map(|uuid| {
            let location = self.session.location(uuid)?;
            let at = (!location.gone).then(|| location.endpoint.clone());
            Some(((*uuid).to_owned(), at))
        });
        all.collect()
    }

    /// What came, for the session; what it wants beside messages and connections is returned.
    pub(crate) fn take(&mut self, cx: &mut Context, came: Came) -> Vec<Effect> {
        match came {
            Came::Start => self.input(cx, Input::Start),
            Came::Dialed { dial, wire } if dial == self.dial && self.dialing => {
                self.dialing = false;
                self.wire = wire;
                let input = match wire {
                    Some(_) => Input::Connected,
                    None => Input::Disconnected,
                };
                self.input(cx, input)
            }
            Came::Dialed { wire, .. } => {
                let unwanted = wire.map(|wire| Action::Close { wire });
                cx.actions.extend(unwanted);
                Vec::new()
            }
            Came::Frame { wire, frame } if self.wire == Some(wire) => {
                self.input(cx, Input::Frame(frame))
            }
            Came::Closed { wire } | Came::Clogged { wire } if self.wire == Some(wire) => {
                self.hang_up(cx);
                self.input(cx, Input::Disconnected)
            }
            Came::Wake => self.input(cx, Input::Wake),
            // Of a connection that was hung up.
            Came::Frame { .. }
            | Came::Closed { .. }
            | Came::Clogged { .. }
            | Came::Taken { .. }
            | Came::Knocked { .. }
            | Came::Lease { .. }
            | Came::Told(_) => Vec::new(),
        }
    }

    pub(crate) fn input(&mut self, cx: &mut Context, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.session.handle(cx.now, input, &mut effects);
        effects.retain(|effect| match effect {
            Effect::Dial { after } => {
                self.hang_up(cx);
                self.dial += 1;
                self.dialing = true;
                let (dial, after, to) = (self.dial, *after, self.target.clone());
                cx.actions.push(Action::Dial { dial, after, to });
                false
            }
            Effect::Hangup => {
                self.hang_up(cx);
                self.dialing = false;
                false
            }
            Effect::Send(frame) => {
                self.send(cx, frame.clone());
                false
            }
            _ => true,
        });
        effects
    }

    fn send(&mut self, cx: &mut Context, frame: Frame) {
        if let Some(wire) = self.wire
            && !is_dropped(cx, &frame)
        {
            cx.send(wire, altered(cx, frame));
        }
    }

    pub(crate) fn hang_up(&mut self, cx: &mut Context) {
        if let Some(wire) = self.wire.take() {
            cx.actions.push(Action::Close { wire });
        }
    }
}

/// Below the numbers of the dialings of a link.
pub(crate) fn dials_of(link: u64) -> u64 {
    link << DIALS
}

fn is_dropped(cx: &Context, frame: &Frame) -> bool {
    let of = |name: &str| {
        frame.op == Op::Request && Request::read(&frame.payload).is_ok_and(|r| r.method == name)
    };
    match cx.sabotage {
        Some(Sabotage::DropReleases) => of(method::RELEASE),
        Some(Sabotage::DropConnects) => of(method::CONNECT),
        Some(Sabotage::DropReassertions) => of(method::REASSERT),
        Some(Sabotage::DropReplies) => matches!(frame.op, Op::Response | Op::ResponseError),
        _ => false,
    }
}

/// The message as it is sent.
fn altered(cx: &Context, frame: Frame) -> Frame {
    let (name, at) = match cx.sabotage {
        Some(Sabotage::AskOthers) => (method::CONTAINER_REQUEST, "/1/0"),
        Some(Sabotage::GetOthers) => (method::GET, "/1/request/uuid"),
        _ => return frame,
    };
    let call = match frame.op {
        Op::Request => serde_json::from_slice::<Value>(&frame.payload),
        _ => return frame,
    };
    let Ok(mut call) = call else { return frame };
    match call.pointer_mut(at) {
        // Those that all clients share have numbers.
        Some(uuid) if *uuid == "u0" => *uuid = "u2".into(),
        Some(uuid) if *uuid == "u1" => *uuid = "u0".into(),
        _ => return frame,
    }
    if call[0] != name {
        return frame;
    }
    Frame::new(frame.op, frame.id, call.to_string())
}
