use std::time::Duration;

/// The agent's lease, and whether it was overslept.
///
/// A lease that runs out under a thread that is awake means that the server is away: containers of
/// ordinary kinds go on, for nobody who is there has placed them elsewhere unseen. A lease that ran
/// out while the thread itself was paused (stopped, suspended, starved) means that the agent may
/// have been given up meanwhile, and that what it now finds in its sockets and queues may be old.
/// Then nothing is dispatched until a registration sent after the pause was answered and a ping
/// sent after it too: the answer alone could be one that lay in the socket during the pause.
#[derive(Debug)]
pub(super) struct Lease {
    length: Duration,
    last_wake: Duration,
    until: Option<Duration>,
    fenced: bool,
    registered: bool,
}

impl Lease {
    pub(super) fn new(length: Duration, now: Duration) -> Self {
        Self {
            length,
            last_wake: now,
            until: None,
            fenced: false,
            registered: false,
        }
    }

    /// Notes that the thread is awake. Returns whether the lease was overslept just now, also when
    /// it had been before: then the registration has to be sent once more.
    ///
    /// The thread wakes every quarter of a lease, so a gap of half a lease is a pause and no
    /// jitter; a shorter one cannot hide more than the margin that the server adds.
    pub(super) fn wake(&mut self, now: Duration) -> bool {
        let gap = now.saturating_sub(self.last_wake);
        self.last_wake = now;
        // Without a lease ever, nothing was promised: there is no server, or one that knows none.
        let over = self.until.is_some_and(|until| until <= now);
        let overslept = over && gap > self.length / 2;
        if overslept {
            self.fenced = true;
            self.registered = false;
        }
        overslept
    }

    pub(super) fn prolong(&mut self, until: Duration, now: Duration) {
        // A pong that lay in the socket tells of the past.
        if until > now {
            self.until = self.until.max(Some(until));
        }
    }

    /// The answer to a registration.
    pub(super) fn registered(&mut self) {
        self.registered = true;
    }

    /// Ends the fence if it may be ended; returns whether it was.
    pub(super) fn lift(&mut self, now: Duration) -> bool {
        let held = self.until.is_some_and(|until| until > now);
        let lifted = self.fenced && self.registered && held;
        self.fenced &= !lifted;
        lifted
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.fenced
    }
}
