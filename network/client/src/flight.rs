//! Counts what callers have under way, so that a client can be drained.

use tokio::sync::watch;

use crate::error::{Error, ErrorKind};

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    draining: bool,
}

/// What is under way, and whether more is taken.
#[derive(Debug)]
pub(crate) struct Flight {
    state: watch::Sender<State>,
}

/// One thing that is under way; dropped, it is not any more.
#[derive(Debug)]
pub(crate) struct UnderWay<'a> {
    flight: &'a Flight,
}

impl Default for Flight {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
        }
    }
}

impl Flight {
    /// Begins something, unless nothing more is taken.
    pub(crate) fn begin(&self) -> Result<UnderWay<'_>, Error> {
        let mut begun = false;
        self.state.send_if_modified(|state| {
            begun = !state.draining;
            state.under_way += usize::from(begun);
            false // Nobody waits for more.
        });
        match begun {
            true => Ok(UnderWay { flight: self }),
            false => Err(Error::new(ErrorKind::Closed, "the client is draining")),
        }
    }

    /// Takes nothing more, and waits until nothing is under way.
    pub(crate) async fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
        let mut state = self.state.subscribe();
        // The sender lives as long as this.
        let _ = state.wait_for(|state| state.under_way == 0).await;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.flight.state.send_modify(|state| state.under_way -= 1);
    }
}
