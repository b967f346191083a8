use std::io::{Write, stdout};
use std::time::{Duration, Instant};

/// Tells each step and how long it took.
#[derive(Debug, Default)]
pub(super) struct Progress {
    doing: String,
    begun: Option<Instant>,
    seen: Option<String>,
}

impl Progress {
    /// A step begins; `what` says what is so when it is done.
    pub(super) fn begin(&mut self, what: String) {
        *self = Self {
            doing: what,
            begun: Some(Instant::now()),
            seen: None,
        };
    }

    /// What the step waits for, as it looks now.
    pub(super) fn seen(&mut self, what: String) {
        self.seen = Some(what);
    }

    /// The step is done; `how` adds to what is said.
    pub(super) fn done(&self, how: &str) {
        let took = self.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        let doing = &self.doing;
        let line = match how {
            "" => format!("{:>6} ms  {doing}", took.as_millis()),
            how => format!("{:>6} ms  {doing}: {how}", took.as_millis()),
        };
        // Nobody may be listening; what counts is the exit status.
        let _ = writeln!(stdout(), "{line}");
    }

    /// The error when the step that was begun last is not done in time.
    pub(super) fn late(&self, patience: Duration) -> anyhow::Error {
        let late = format!("not within {} s: {}", patience.as_secs(), self.doing);
        match &self.seen {
            None => anyhow::anyhow!("{late}"),
            Some(seen) => anyhow::anyhow!("{late}; last seen: {seen}"),
        }
    }
}
