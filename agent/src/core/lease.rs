use std::time::Duration;

use huly_protocol::lease;

use super::gate::Gate;

/// The agent's lease, and whether it was overslept.
///
/// It lasts from the sending of the last ping that was answered, and only in a session in which the
/// agent is registered: as long as it does, no server has given the agent up. Containers of exclusive
/// kinds accept nothing without it.
///
/// A lease that runs out under a thread that is awake means that the server is away: containers of
/// ordinary kinds go on, for nobody who is there has placed them elsewhere unseen. A lease that ran
/// out while the thread itself was paused (stopped, suspended, starved) means that the agent may
/// have been given up meanwhile, and that what it now finds in its sockets and queues may be old.
/// Then nothing is dispatched until a registration was answered and a pong shows that the lease is
/// there. The answer alone may have lain in the socket during the pause; so may a pong, but of a ping
/// sent less than a lease ago: then the lease was there all the time. A server that gives an agent up
/// sends no more pongs of that session.
#[derive(Debug)]
pub(super) struct Lease {
    /// How long it is, as the server said last.
    length: Duration,
    last_wake: Duration,
    /// Its end as a server said last, whichever: by it oversleeping is told.
    until: Option<Duration>,
    /// The same in this session: what another server gave says nothing of what this one waits for.
    leased: Option<Duration>,
    fenced: bool,
    registered: bool,
    /// Whether it was there when that was last looked at.
    held: bool,
    /// Until when that of the former session would have lasted.
    former: Option<Duration>,
    /// How often the fence was put up or the lease was lost.
    closings: u64,
}

impl Lease {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            length: lease::DEFAULT,
            last_wake: now,
            until: None,
            leased: None,
            fenced: false,
            registered: false,
            held: false,
            former: None,
            closings: 0,
        }
    }

    /// Notes that the thread is awake. Returns whether the lease was overslept just now, also when
    /// it had been before: then the registration has to be sent once more.
    pub(super) fn wake(&mut self, now: Duration) -> bool {
        let gap = now.saturating_sub(self.last_wake);
        self.last_wake = now;
        // Without a lease ever, nothing was promised: there is no server, or one that knows none.
        let over = self.until.is_some_and(|until| until <= now);
        let overslept = over && gap > lease::pause(self.length);
        if overslept {
            self.closings += 1;
            self.fenced = true;
            self.registered = false;
        }
        self.note_lapse(now);
        overslept
    }

    pub(super) fn prolong(&mut self, until: Duration, length: Duration, now: Duration) {
        self.length = length;
        // A pong that lay in the socket tells of the past.
        if until > now {
            self.leased = self.leased.max(Some(until));
            self.until = self.leased;
        }
    }

    /// The answer to a registration.
    pub(super) fn registered(&mut self) {
        self.registered = true;
    }

    /// The server's session is another one: the agent has to be registered in it first.
    pub(super) fn session_over(&mut self, now: Duration) {
        if self.holds(now) {
            self.former = self.leased;
        }
        self.registered = false;
        self.leased = None;
        self.note_lapse(now);
    }

    /// Ends the fence if it may be ended; returns whether it was.
    pub(super) fn lift(&mut self, now: Duration) -> bool {
        let held = self.leased.is_some_and(|until| until > now);
        let lifted = self.fenced && self.registered && held;
        self.fenced &= !lifted;
        lifted
    }

    /// Whether it is there again, since this was last asked.
    pub(super) fn begins(&mut self, now: Duration) -> bool {
        let holds = self.holds(now);
        holds && !std::mem::replace(&mut self.held, holds)
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Whether it is there.
    pub(super) fn holds(&self, now: Duration) -> bool {
        self.registered && !self.fenced && self.leased.is_some_and(|until| until > now)
    }

    /// Whether the former session's would be there still.
    pub(super) fn former_holds(&self, now: Duration) -> bool {
        self.former.is_some_and(|until| until > now)
    }

    /// What workers are to know of it.
    pub(super) fn gate(&self) -> Gate {
        Gate {
            open: !self.fenced,
            closings: self.closings,
            leased_until: self.leased.filter(|_| self.registered),
            length: self.length,
        }
    }

    fn note_lapse(&mut self, now: Duration) {
        if self.held && !self.holds(now) {
            self.held = false;
            self.closings += 1;
        }
    }
}
