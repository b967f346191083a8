use std::collections::VecDeque;
use std::time::Duration;

use huly_protocol::{Frame, HelloAnswer, Op};
use indexmap::{IndexMap, IndexSet};

use crate::backcall::BackCalls;
use crate::config::Config;
use crate::feed::Feed;
use crate::io::{Effect, Input, StopReason};
use crate::jitter::Jitter;
use crate::life::refuse;
use crate::queue::Queue;
use crate::references::{Location, References};

/// What a session has counted; numbers only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections on which the peer answered the hello.
    pub connections: u64,
    /// Answers to what was not asked in this session.
    pub unknown_answers: u64,
    /// Messages that are not of the protocol.
    pub bad_messages: u64,
    /// Servers refused, as their term was lower than one known.
    pub refused_servers: u64,
    /// Connections given up because nothing was heard.
    pub silences: u64,
    /// Times that what a caller asked for was sent again, over another connection or on another
    /// route.
    pub resent: u64,
}

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not started.
    Idle,
    /// A connection was asked for.
    Dialing,
    /// Hello was sent at that time.
    Greeting { since: Duration },
    /// Requests go out.
    Up,
    /// Close was sent; the peer's answer to a ping tells that it was read.
    Closing,
    /// Over.
    Stopped,
}

/// A ping that may still be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentPing {
    pub(crate) number: u64,
    pub(crate) at: Duration,
}

/// What is known of the peer since its last hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The session's uuid; none after the peer asked for a new hello.
    pub(crate) session: Option<String>,
    /// What it says of itself; nothing of an original one.
    pub(crate) answer: Option<HelloAnswer>,
    /// Which process it is.
    pub(crate) instance: String,
}

/// A peer's side of a session.
#[derive(Debug)]
pub struct Session {
    pub(crate) config: Config,
    pub(crate) jitter: Jitter,
    pub(crate) counters: Counters,
    pub(crate) link: Link,
    /// How the session is to end, once the peer has taken note.
    pub(crate) leaving: Option<Duration>,
    pub(crate) known: Option<Known>,
    /// Whether hello was answered on the present connection.
    pub(crate) greeted: bool,
    /// When hello was first sent on the present connection.
    pub(crate) hello_at: Duration,
    pub(crate) term: u64,
    /// When the last of what the peer answered had been sent: it knew the session after that.
    pub(crate) known_at: Duration,

    pub(crate) pings: VecDeque<SentPing>,
    pub(crate) ping_number: u64,
    pub(crate) next_ping: Duration,
    pub(crate) last_pong: Duration,
    /// When the last ping that was answered on this connection had been sent.
    pub(crate) heard_of: Option<Duration>,
    /// Whether a registration was answered in the present session.
    pub(crate) registered: bool,

    pub(crate) queue: Queue,
    pub(crate) references: References,
    pub(crate) connected: IndexSet<String>,
    pub(crate) feed: Feed,
    pub(crate) back: BackCalls,
}

impl Session {
    /// A session that has not begun.
    pub fn new(config: Config) -> Self {
        Self {
            jitter: Jitter::new(config.seed),
            config,
            counters: Counters::default(),
            link: Link::Idle,
            leaving: None,
            known: None,
            greeted: false,
            hello_at: Duration::ZERO,
            term: 0,
            known_at: Duration::ZERO,
            pings: VecDeque::new(),
            ping_number: 0,
            next_ping: Duration::ZERO,
            last_pong: Duration::ZERO,
            heard_of: None,
            registered: false,
            queue: Queue::default(),
            references: References::default(),
            connected: IndexSet::new(),
            feed: Feed::default(),
            back: BackCalls::default(),
        }
    }

    /// Takes what happened at `now`, by a clock that counts the time the machine was suspended, and
    /// appends what is to be done.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut Vec<Effect>) {
        if self.link == Link::Stopped {
            return refuse(input, out);
        }
        match input {
            Input::Start => self.dial(Duration::ZERO, out),
            Input::Connected => self.connected(now, out),
            Input::Disconnected => self.disconnected(out),
            Input::Frame(frame) => self.frame(now, frame, out),
            Input::Unreadable => self.counters.bad_messages += 1,
            Input::Call(call) => self.call(now, call, out),
            Input::Get {
                token,
                params,
                raw,
                timeout,
            } => self.get(now, token, params, raw, timeout),
            Input::Release { token, uuid, raw } => self.release(token, uuid, raw, out),
            Input::Cancel { token } => self.cancel(token, out),
            Input::Reply { call, result } => self.reply(call, result, out),
            Input::Connect { token, uuid } => self.connect(now, token, uuid, out),
            Input::Disconnect { uuid } => self.disconnect(&uuid),
            Input::Watch => self.watch(out),
            Input::Unwatch => self.unwatch(),
            Input::Wake => {}
            Input::Close => self.close(now, out),
            Input::Detach => self.detach(now, out),
        }
        self.tick(now, out);
    }

    fn frame(&mut self, now: Duration, frame: Frame, out: &mut Vec<Effect>) {
        if matches!(self.link, Link::Idle | Link::Dialing) {
            return; // Of a connection that was hung up.
        }
        if self.link == Link::Closing {
            // The peer does not know us any more: it has read the close.
            if frame.op == Op::AskHello {
                self.stop(StopReason::Left, out);
            }
            return;
        }
        match frame.op {
            Op::Hello => self.hello_answered(now, frame, out),
            Op::Pong => self.pong(now, frame, out),
            Op::AskHello => self.hello_asked(now, out),
            Op::Response | Op::ResponseError => self.answered(now, frame, out),
            Op::Retry => self.retry(now, &frame, out),
            Op::Request => self.back_call(frame, out),
            Op::Event => self.event(frame, out),
            Op::Ping | Op::Close => self.counters.bad_messages += 1,
        }
    }

    /// When to come back with [`Input::Wake`] at the latest.
    pub fn next_wake(&self) -> Option<Duration> {
        let link = match self.link {
            Link::Idle | Link::Dialing | Link::Closing | Link::Stopped => None,
            Link::Greeting { since } => Some(since + self.patience()),
            Link::Up => Some(self.next_ping.min(self.last_pong + self.patience())),
        };
        let retries = match self.link {
            Link::Up => self.queue.next_retry(),
            _ => None,
        };
        [link, retries, self.queue.next_deadline(), self.leaving]
            .into_iter()
            .flatten()
            .min()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether requests go out.
    pub fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// The session's uuid as the peer said it last.
    pub fn uuid(&self) -> Option<&str> {
        self.known.as_ref()?.session.as_deref()
    }

    /// What the peer says of itself; nothing if it is an original one or not known yet.
    pub fn peer_answer(&self) -> Option<&HelloAnswer> {
        self.known.as_ref()?.answer.as_ref()
    }

    /// Where a container is that the client holds, or that is being got.
    pub fn location(&self, uuid: &str) -> Option<&Location> {
        self.references.location(uuid)
    }

    /// What the client holds: container and number of handles (none of those that the caller
    /// counts itself).
    pub fn held(&self) -> IndexMap<&str, u32> {
        self.references.handles()
    }

    /// Requests that are not answered yet, the session's own among them.
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Whether the peer is one of ours; an original one until it is known.
    pub(crate) fn is_rust(&self) -> bool {
        self.peer_answer().is_some()
    }

    pub(crate) fn stop(&mut self, reason: StopReason, out: &mut Vec<Effect>) {
        let was_up = self.is_up();
        self.link = Link::Stopped;
        self.leaving = None;
        out.push(Effect::Hangup);
        if was_up {
            out.push(Effect::Down);
        }
        self.fail_all(&reason, out);
        out.push(Effect::Stopped(reason));
    }
}
