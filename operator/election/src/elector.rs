//! Decides when to ask for the Lease, to renew it, and to stop leading.
//!
//! Times are of this process's own clock alone. A leader leads until its renew deadline after it
//! _sent_ the last renewal that was answered; another one may take the Lease when it has _seen_ it
//! unchanged for its whole duration. As the duration is the longer of the two, the first has stopped
//! before the second begins, whatever the clocks of their machines say.

use std::time::Duration;

/// The bits of a fencing number that count the transitions of one Lease.
const TRANSITION_BITS: u32 = 20;

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long others wait for a renewal; whole seconds.
    pub duration: Duration,
    /// For how long a leader leads without a renewal.
    pub renew_deadline: Duration,
    /// Between two tries.
    pub retry: Duration,
}

/// What the Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its resource version: a write that follows another one is refused.
    pub version: String,
    /// When it was created, in seconds since 1970, as the API server says.
    pub created: i64,
    /// Who holds it; none, or an empty text, where it is free.
    pub holder: Option<String>,
    /// How long it is the holder's without a renewal.
    pub duration: Option<Duration>,
    /// How often it changed hands.
    pub transitions: u32,
    /// The time that its holder wrote, in ns since 1970: it is compared with itself alone.
    pub renewed: Option<i128>,
}

impl Record {
    /// The fencing number of who holds it: higher with each change of hands, and, as it begins with
    /// the time of creation, also when the Lease was deleted and made anew.
    pub fn number(&self) -> u64 {
        let created = u64::try_from(self.created).unwrap_or_default();
        let transitions = u64::from(self.transitions).min((1 << TRANSITION_BITS) - 1);
        (created << TRANSITION_BITS) | transitions
    }

    /// Whether nobody held, gave or renewed it since.
    fn is_as(&self, other: &Self) -> bool {
        self.created == other.created
            && self.holder == other.holder
            && self.transitions == other.transitions
            && self.renewed == other.renewed
    }
}

/// What a write says; everything else in the Lease stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The version that it follows; none when the Lease is to be created.
    pub follows: Option<String>,
    /// Who holds it then; none gives it free.
    pub holder: Option<String>,
    /// How often it has changed hands then.
    pub transitions: u32,
    /// Whether it changes hands.
    pub acquires: bool,
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// The time of [`Elector::deadline`] came.
    Tick,
    /// The Lease was read; nothing where there is none.
    Read(Result<Option<Record>, NotRead>),
    /// The answer to a write: the Lease as it is then.
    Written(Result<Record, WriteError>),
    /// The network server knows a higher fencing number.
    Superseded,
    /// The process ends, and leads no more.
    Leave,
}

/// The API server does not say what the Lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRead;

/// Why the Lease was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// It is not what it was, or has come or gone meanwhile.
    Conflict,
    /// Whether it was written is not known.
    Failed,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Read the Lease; [`Input::Read`] answers.
    Read,
    /// Write it; [`Input::Written`] answers.
    Write(Write),
    /// It leads.
    Lead {
        /// Its fencing number.
        number: u64,
        /// The Lease's version: whoever leads acts on nothing older.
        version: String,
        /// By its own clock, unless it is prolonged.
        until: Duration,
    },
    /// It leads for longer.
    Prolong {
        /// By its own clock.
        until: Duration,
    },
    /// It leads no more.
    Follow(Why),
    /// There is nothing more to do after [`Input::Leave`].
    Left,
}

/// Why it leads no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The Lease was not renewed in time.
    NotRenewed,
    /// Another one holds the Lease.
    Taken,
    /// The network server knows a higher fencing number.
    Superseded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Read,
    Acquire { sent: Duration },
    Renew { sent: Duration },
    Release,
}

#[derive(Debug)]
struct Leading {
    number: u64,
    until: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Elector {
    identity: String,
    terms: Terms,
    /// The Lease as it was read or written last, and since when it is so.
    seen: Option<(Record, Duration)>,
    leading: Option<Leading>,
    /// What has no answer yet.
    asked: Option<Asked>,
    next: Duration,
    /// Until when it does not ask for the Lease.
    barred: Duration,
    leaving: bool,
}

impl Elector {
    /// One that wants to lead under a name that no other process has, from now on.
    pub fn new(identity: impl Into<String>, terms: Terms, now: Duration) -> Self {
        Self {
            identity: identity.into(),
            terms,
            seen: None,
            leading: None,
            asked: None,
            next: now,
            barred: now,
            leaving: false,
        }
    }

    /// Who holds the Lease, as far as is known.
    pub fn holder(&self) -> Option<&str> {
        let holder = self.seen.as_ref()?.0.holder.as_deref();
        holder.filter(|holder| !holder.is_empty())
    }

    /// When to come back with [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        let next = self.asked.is_none().then_some(self.next);
        let until = self.leading.as_ref().map(|leading| leading.until);
        next.into_iter().chain(until).min()
    }

    /// Something happened, at a time of this process's clock.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        // Before all else: time alone ends it, also while nobody answers.
        if self.leading.as_ref().is_some_and(|it| it.until <= now) {
            self.follow(Why::NotRenewed, &mut out);
        }
        match input {
            Input::Tick => {}
            Input::Read(result) => self.read(now, result, &mut out),
            Input::Written(result) => self.written(now, result, &mut out),
            Input::Superseded => self.superseded(now, &mut out),
            Input::Leave => self.leave(&mut out),
        }
        if self.asked.is_none() && self.next <= now && !self.leaving {
            self.ask(now, &mut out);
        }
        out
    }

    fn ask(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.leading.is_some() {
            return self.renew(now, out);
        }
        self.asked = Some(Asked::Read);
        out.push(Effect::Read);
    }

    fn renew(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let known = self.seen.as_ref().map(|(record, _)| record);
        out.push(Effect::Write(Write {
            follows: known.map(|record| record.version.clone()),
            holder: Some(self.identity.clone()),
            transitions: known.map_or(0, |record| record.transitions),
            acquires: false,
        }));
        self.asked = Some(Asked::Renew { sent: now });
    }

    fn acquire(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let known = self.seen.as_ref().map(|(record, _)| record);
        out.push(Effect::Write(Write {
            follows: known.map(|record| record.version.clone()),
            holder: Some(self.identity.clone()),
            transitions: known.map_or(0, |record| record.transitions.saturating_add(1)),
            acquires: true,
        }));
        self.asked = Some(Asked::Acquire { sent: now });
    }

    fn read(
        &mut self,
        now: Duration,
        result: Result<Option<Record>, NotRead>,
        out: &mut Vec<Effect>,
    ) {
        self.asked = None;
        self.next = now + self.terms.retry;
        match result {
            Ok(Some(record)) => self.see(now, record),
            Ok(None) => self.seen = None,
            Err(NotRead) => return self.go_on_leaving(out),
        }
        if self.leaving {
            return self.go_on_leaving(out);
        }
        if let Some(leading) = &self.leading {
            let held = self.seen.as_ref().is_some_and(|(record, _)| {
                self.is_own(record) && record.number() == leading.number
            });
            return match held {
                true => self.renew(now, out),
                false => self.follow(Why::Taken, out),
            };
        }
        match self.free_at() {
            at if at > now => self.next = self.next.min(at),
            _ => self.acquire(now, out),
        }
    }

    /// When the Lease may be asked for.
    fn free_at(&self) -> Duration {
        let Some((record, since)) = &self.seen else {
            return self.barred;
        };
        // A process of the same identity is gone: there is one at a time.
        let free = self.holder().is_none() || self.is_own(record);
        let held = record.duration.unwrap_or(self.terms.duration);
        let over = if free { Duration::ZERO } else { *since + held };
        over.max(self.barred)
    }

    fn written(
        &mut self,
        now: Duration,
        result: Result<Record, WriteError>,
        out: &mut Vec<Effect>,
    ) {
        let asked = self.asked.take();
        self.next = now + self.terms.retry;
        let record = match result {
            Ok(record) => record,
            // Whose it is now is seen by reading it.
            Err(WriteError::Conflict) if self.leading.is_some() => {
                self.asked = Some(Asked::Read);
                return out.push(Effect::Read);
            }
            Err(_) => return self.go_on_leaving(out),
        };
        let (number, version) = (record.number(), record.version.clone());
        self.see(now, record);
        match asked {
            Some(Asked::Acquire { sent }) => {
                self.next = sent + self.terms.retry;
                let until = sent + self.terms.renew_deadline;
                if until > now && !self.leaving {
                    self.leading = Some(Leading { number, until });
                    out.push(Effect::Lead {
                        number,
                        version,
                        until,
                    });
                }
            }
            Some(Asked::Renew { sent }) => {
                self.next = sent + self.terms.retry;
                if let Some(leading) = &mut self.leading {
                    leading.until = sent + self.terms.renew_deadline;
                    let until = leading.until;
                    out.push(Effect::Prolong { until });
                }
            }
            Some(Asked::Read | Asked::Release) | None => {}
        }
        self.go_on_leaving(out);
    }

    fn superseded(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.leading.is_none() {
            return;
        }
        self.follow(Why::Superseded, out);
        self.barred = now + self.terms.duration;
        // Of another candidate the number may be high enough.
        if self.asked.is_none() {
            self.release(out);
        }
    }

    fn leave(&mut self, out: &mut Vec<Effect>) {
        self.leaving = true;
        self.leading = None;
        if self.asked.is_none() {
            self.go_on_leaving(out);
        }
    }

    /// Gives the Lease free if it is this one's, and is done otherwise.
    fn go_on_leaving(&mut self, out: &mut Vec<Effect>) {
        if !self.leaving {
            return;
        }
        let own = self
            .seen
            .as_ref()
            .is_some_and(|(record, _)| self.is_own(record));
        match own {
            true => self.release(out),
            false => out.push(Effect::Left),
        }
    }

    /// Gives the Lease free; tried once: where that fails, others wait until it is over.
    fn release(&mut self, out: &mut Vec<Effect>) {
        let Some((record, _)) = &mut self.seen else {
            return;
        };
        record.holder = None;
        out.push(Effect::Write(Write {
            follows: Some(record.version.clone()),
            holder: None,
            transitions: record.transitions,
            acquires: false,
        }));
        self.asked = Some(Asked::Release);
    }

    fn follow(&mut self, why: Why, out: &mut Vec<Effect>) {
        self.leading = None;
        out.push(Effect::Follow(why));
    }

    fn see(&mut self, now: Duration, record: Record) {
        let since = match &self.seen {
            Some((known, since)) if known.is_as(&record) => *since,
            _ => now,
        };
        self.seen = Some((record, since));
    }

    fn is_own(&self, record: &Record) -> bool {
        record.holder.as_deref() == Some(self.identity.as_str())
    }
}
