use std::collections::VecDeque;
use std::time::Duration;

use huly_protocol::{Frame, Op};
use huly_registry::ConnId;
use serde_json::{Value, json};

use super::{AgentSim, World};

/// Which implementation a peer is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// TypeScript.
    Plain,
    /// Ours.
    Rust,
}

/// A peer of a [`World`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) usize);

pub(crate) struct PeerState {
    pub(crate) client: String,
    pub(crate) side: Side,
    pub(crate) nonce: String,
    pub(crate) term: u64,
    pub(crate) secret: Option<String>,
    pub(crate) fencing: Option<u64>,
    pub(crate) alive_timeout: Option<f64>,
    pub(crate) conn: Option<ConnId>,
    /// The uuid in the last hello.
    pub(crate) uuid: String,
    /// Whether the process runs: one that does not neither reads nor pings.
    pub(crate) runs: bool,
    pub(crate) next_ping: Duration,
    pub(crate) requests: u64,
    pub(crate) unread: VecDeque<Frame>,
    pub(crate) got: Vec<Frame>,
    /// What came over connections of before.
    pub(crate) got_on_old: Vec<Frame>,
    pub(crate) agent: Option<AgentSim>,
}

impl PeerState {
    pub(crate) fn new(client: &str, side: Side) -> Self {
        Self {
            client: client.into(),
            side,
            nonce: format!("nonce of {client}"),
            term: 0,
            secret: None,
            fencing: None,
            alive_timeout: Some(3.0),
            conn: None,
            uuid: String::new(),
            runs: true,
            next_ping: Duration::ZERO,
            requests: 0,
            unread: VecDeque::new(),
            got: Vec::new(),
            got_on_old: Vec::new(),
            agent: None,
        }
    }

    pub(crate) fn hello(&self) -> Value {
        match self.side {
            Side::Plain => json!({"aliveTimeout": self.alive_timeout}),
            Side::Rust => json!({"aliveTimeout": self.alive_timeout, "huly": {
                "v": 1, "nonce": self.nonce, "term": self.term, "secret": self.secret,
                "fencing": self.fencing,
            }}),
        }
    }

    pub(crate) fn pings(&self) -> bool {
        self.runs && self.conn.is_some()
    }

    pub(crate) fn ping_interval(&self) -> Duration {
        Duration::from_millis(match self.side {
            Side::Plain => 1_000,
            Side::Rust => 250,
        })
    }

    /// Reads a frame; returns what is sent back.
    pub(crate) fn read(&mut self, frame: &Frame) -> Option<Frame> {
        match frame.op {
            Op::Hello => self.uuid.clone_from(&frame.id),
            Op::Request => {
                let answer = self.agent.as_mut()?.call(frame)?;
                return Some(AgentSim::answer_frame(&frame.id, answer));
            }
            _ => {}
        }
        None
    }

    pub(crate) fn sim(&mut self) -> &mut AgentSim {
        self.agent.as_mut().expect("a peer with an agent")
    }

    /// The payloads of hellos, the last first.
    pub(crate) fn last_hello(&self) -> Value {
        let hello = self.got.iter().rev().find(|frame| frame.op == Op::Hello);
        let payload = hello.expect("a hello").payload.clone();
        serde_json::from_slice(&payload).unwrap_or_default()
    }
}

impl World {
    /// An agent answers all calls that it had left unanswered; one that does not run forgets them.
    pub(crate) fn answer_calls(&mut self, peer: Peer) {
        let calls = std::mem::take(&mut self[peer].sim().calls);
        if self[peer].runs {
            for call in calls {
                self.answer_call(peer, &call);
            }
        }
    }
}
