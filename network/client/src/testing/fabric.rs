//! The wires between the processes of a test's network. A wire keeps order and loses nothing: while
//! it is cut, what is sent is held, as TCP would send it again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use huly_protocol::Frame;
use tokio::sync::mpsc::UnboundedSender;

use super::trace::Trace;
use crate::clock::Clock;
use crate::direct::lock;

/// What a listening side hears.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message {
        /// The connection.
        conn: Bytes,
        /// What came.
        frame: Frame,
    },
    /// The other side closed a connection.
    Closed {
        /// Which.
        conn: Bytes,
    },
}

/// A process: its name may be another's before or after it.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) text: Arc<str>,
    /// Another one for each process of the network.
    pub(super) number: u64,
}

struct Listening {
    number: u64,
    owner: Name,
    to: UnboundedSender<Heard>,
}

/// One direction of a wire.
struct Pipe<T> {
    to: UnboundedSender<T>,
    held: VecDeque<T>,
}

impl<T> Pipe<T> {
    fn new(to: UnboundedSender<T>) -> Self {
        let held = VecDeque::new();
        Self { to, held }
    }

    fn put(&mut self, cut: bool, what: T) {
        match cut {
            true => self.held.push_back(what),
            // A side that has just ended hears nothing.
            false => drop(self.to.send(what)),
        }
    }

    fn flush(&mut self) {
        for what in self.held.drain(..) {
            drop(self.to.send(what));
        }
    }
}

struct Strand {
    dialer: Name,
    listener: Name,
    /// Where the listener listens.
    listening: u64,
    conn: Bytes,
    up: Pipe<Heard>,
    /// Nothing is the end.
    down: Pipe<Option<Frame>>,
    /// One of the sides has closed it.
    closed: bool,
}

/// All wires of a network.
pub(super) struct Fabric {
    pub(super) seed: u64,
    pub(super) clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listening: BTreeMap<String, Listening>,
    strands: BTreeMap<u64, Strand>,
    /// Names of those that are cut off.
    cut: BTreeSet<String>,
    /// Processes that were killed.
    dead: BTreeSet<u64>,
    /// How many processes of a name there have been.
    lives: BTreeMap<Arc<str>, u64>,
    numbers: u64,
    trace: Trace,
}

impl State {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn is_cut(&self, strand: &Strand) -> bool {
        let of = |name: &Name| self.cut.contains(&*name.text);
        of(&strand.dialer) || of(&strand.listener)
    }

    /// Takes a strand out to change it, with whether it is cut now.
    fn with<R>(
        &mut self,
        strand: u64,
        change: impl FnOnce(&mut Self, &mut Strand, bool) -> R,
    ) -> Option<R> {
        let mut taken = self.strands.remove(&strand)?;
        let cut = self.is_cut(&taken);
        let result = change(self, &mut taken, cut);
        // The end of a cut one is still to be heard.
        if !taken.closed || cut {
            self.strands.insert(strand, taken);
        }
        Some(result)
    }

    /// Closes each strand of which an end is told.
    fn close_all(&mut self, which: impl Fn(&Strand) -> Option<End>) {
        let all: Vec<u64> = self.strands.keys().copied().collect();
        for number in all {
            self.with(number, |state, strand, cut| {
                if let (Some(end), false) = (which(strand), strand.closed) {
                    close(&mut state.trace, strand, cut, end);
                }
            });
        }
    }
}

impl Fabric {
    pub(super) fn new(seed: u64, clock: Clock, traced: bool) -> Self {
        let trace = Trace::new(clock, traced);
        Self {
            seed,
            clock,
            state: Mutex::new(State {
                trace,
                ..State::default()
            }),
        }
    }

    /// A new process, and which one of its name it is.
    pub(super) fn process(&self, name: &str) -> (Name, u64) {
        let mut state = lock(&self.state);
        let text: Arc<str> = name.into();
        let life = state.lives.entry(text.clone()).or_default();
        *life += 1;
        let life = *life;
        let number = state.number();
        (Name { text, number }, life)
    }

    /// Has connections to `address` come to `to`, and says by which number; nothing if somebody
    /// listens there already.
    pub(super) fn listen(
        &self,
        owner: &Name,
        address: &str,
        to: UnboundedSender<Heard>,
    ) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.listening.contains_key(address) || state.dead.contains(&owner.number) {
            return None;
        }
        let number = state.number();
        let owner = owner.clone();
        let listening = Listening { number, owner, to };
        state.listening.insert(address.to_owned(), listening);
        Some(number)
    }

    /// Listens no more: the connections are closed.
    pub(super) fn unlisten(&self, listening: u64) {
        let mut state = lock(&self.state);
        state.listening.retain(|_, one| one.number != listening);
        state.close_all(|strand| (strand.listening == listening).then_some(End::Listener));
    }

    /// Connects a process to who listens at `address`.
    pub(super) fn dial(
        &self,
        dialer: &Name,
        address: &str,
        to: UnboundedSender<Option<Frame>>,
    ) -> Dialed {
        let mut state = lock(&self.state);
        if state.dead.contains(&dialer.number) {
            return Dialed::Refused;
        }
        if state.cut.contains(&*dialer.text) {
            return Dialed::Unanswered;
        }
        let Some(there) = state.listening.get(address) else {
            return Dialed::Refused;
        };
        if state.cut.contains(&*there.owner.text) {
            return Dialed::Unanswered;
        }
        let (listener, listening) = (there.owner.clone(), there.number);
        let up = Pipe::new(there.to.clone());
        let number = state.number();
        state.trace.connected(dialer, &listener);
        let strand = Strand {
            dialer: dialer.clone(),
            listener,
            listening,
            conn: Bytes::from(format!("{}#{number}", dialer.text)),
            up,
            down: Pipe::new(to),
            closed: false,
        };
        state.strands.insert(number, strand);
        Dialed::Strand(number)
    }

    /// From the side that dialed.
    pub(super) fn send_up(&self, strand: u64, frame: Frame) {
        let mut state = lock(&self.state);
        state.with(strand, |state, strand, cut| {
            if strand.closed {
                return;
            }
            state.trace.sent(&strand.dialer, &strand.listener, &frame);
            let conn = strand.conn.clone();
            strand.up.put(cut, Heard::Message { conn, frame });
        });
    }

    /// From the side that listens.
    pub(super) fn send_down(&self, listening: u64, conn: &Bytes, frame: Frame) {
        let mut state = lock(&self.state);
        let named = conn.rsplit(|byte| *byte == b'#').next();
        let number = named.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let Some(number) = number else { return };
        state.with(number, |state, strand, cut| {
            if strand.closed || strand.listening != listening {
                return;
            }
            state.trace.sent(&strand.listener, &strand.dialer, &frame);
            strand.down.put(cut, Some(frame));
        });
    }

    /// The side that dialed closes.
    pub(super) fn hang_up(&self, strand: u64) {
        let mut state = lock(&self.state);
        state.with(strand, |state, strand, cut| {
            if !strand.closed {
                close(&mut state.trace, strand, cut, End::Dialer);
            }
        });
    }

    /// Ends a process: its connections close, it listens and sends no more.
    pub(super) fn kill(&self, process: &Name) {
        let mut state = lock(&self.state);
        if !state.dead.insert(process.number) {
            return;
        }
        state.trace.ended(process);
        state
            .listening
            .retain(|_, listening| listening.owner.number != process.number);
        state.close_all(|strand| {
            let number = process.number;
            match strand.dialer.number == number {
                true => Some(End::Dialer),
                false => (strand.listener.number == number).then_some(End::Listener),
            }
        });
    }

    /// Holds what is sent to and by processes of this name.
    pub(super) fn cut(&self, name: &str) {
        let mut state = lock(&self.state);
        if state.cut.insert(name.to_owned()) {
            state.trace.note(&format!("{name} is cut off"));
        }
    }

    /// Delivers what was held, in the order sent.
    pub(super) fn heal(&self, name: &str) {
        let mut state = lock(&self.state);
        if !state.cut.remove(name) {
            return;
        }
        state.trace.note(&format!("{name} is healed"));
        let numbers: Vec<u64> = state.strands.keys().copied().collect();
        for number in numbers {
            state.with(number, |_, strand, cut| {
                if !cut {
                    strand.up.flush();
                    strand.down.flush();
                }
            });
        }
    }

    pub(super) fn trace(&self) -> Vec<String> {
        lock(&self.state).trace.lines()
    }
}

/// What became of dialing.
pub(super) enum Dialed {
    Strand(u64),
    /// Nobody listens there.
    Refused,
    /// Nobody answers: one of the sides is cut off.
    Unanswered,
}

enum End {
    Dialer,
    Listener,
}

/// What is on its way to the side that closes is lost, what comes from it is not.
fn close(trace: &mut Trace, strand: &mut Strand, cut: bool, end: End) {
    strand.closed = true;
    match end {
        End::Dialer => {
            trace.closed(&strand.dialer, &strand.listener);
            strand.down.held.clear();
            let conn = strand.conn.clone();
            strand.up.put(cut, Heard::Closed { conn });
        }
        End::Listener => {
            trace.closed(&strand.listener, &strand.dialer);
            strand.up.held.clear();
            strand.down.put(cut, None);
        }
    }
}

impl fmt::Debug for Fabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fabric").finish_non_exhaustive()
    }
}
