//! The side of callers: commands to the task that owns the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use huly_protocol::{ErrorPayload, GetParams, GotContainer, HeldEvent, Json};
use huly_session::{Call, FeedUpdate, Location, Token};
use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::LinkEvent;
use crate::direct::Fanout;
use crate::error::{Error, ErrorKind};
use crate::state::SessionState;

pub(crate) type Answer<T> = oneshot::Sender<Result<T, Error>>;
pub(crate) type Commands = mpsc::UnboundedSender<Command>;
pub(crate) type WeakCommands = mpsc::WeakUnboundedSender<Command>;

/// What callers ask of the task.
pub(crate) enum Command {
    Call {
        call: Call,
        answer: Answer<Json>,
    },
    Get {
        token: Token,
        params: GetParams,
        timeout: Option<Duration>,
        answer: Answer<Hold>,
    },
    GetRaw {
        token: Token,
        params: GetParams,
        timeout: Option<Duration>,
        answer: Answer<GotContainer>,
    },
    Release {
        uuid: String,
        raw: bool,
        answer: Option<(Token, Answer<Json>)>,
    },
    Cancel(Token),
    Reply {
        call: u64,
        result: Result<Json, ErrorPayload>,
    },
    ServeAgent {
        link: u64,
        events: mpsc::UnboundedSender<LinkEvent>,
    },
    Serves {
        link: u64,
        agent: String,
    },
    Watch(mpsc::UnboundedSender<FeedUpdate>),
    WatchHeld(mpsc::UnboundedSender<HeldEvent>),
    Connect {
        token: Token,
        uuid: String,
        subscriber: u64,
        events: Arc<Fanout>,
        answer: Answer<Json>,
    },
    Disconnect {
        uuid: String,
        subscriber: u64,
    },
    Close(oneshot::Sender<()>),
    Detach(oneshot::Sender<()>),
}

/// One handle of a reference: dropped, it is given back.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) uuid: String,
    pub(crate) location: watch::Receiver<Location>,
    commands: Option<Commands>,
}

impl Hold {
    pub(crate) fn new(
        uuid: String,
        location: watch::Receiver<Location>,
        commands: Commands,
    ) -> Self {
        Self {
            uuid,
            location,
            commands: Some(commands),
        }
    }

    /// Given back by other means.
    pub(crate) fn disarm(&mut self) {
        self.commands = None;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(commands) = self.commands.take() {
            let uuid = std::mem::take(&mut self.uuid);
            // The task may be gone; then so is the reference.
            let _ = commands.send(Command::Release {
                uuid,
                raw: false,
                answer: None,
            });
        }
    }
}

/// Callers' side of a task; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(crate) commands: Commands,
    pub(crate) state: watch::Receiver<SessionState>,
    /// How often calls were sent again.
    pub(crate) resent: Arc<AtomicU64>,
    tokens: Arc<AtomicU64>,
}

/// Takes a call back whose caller went away.
struct CancelOnDrop<'a> {
    commands: &'a Commands,
    token: Option<Token>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            let _ = self.commands.send(Command::Cancel(token));
        }
    }
}

impl Handle {
    pub(crate) fn new(
        commands: Commands,
        state: watch::Receiver<SessionState>,
        resent: Arc<AtomicU64>,
    ) -> Self {
        Self {
            commands,
            state,
            resent,
            tokens: Arc::new(AtomicU64::new(1)),
        }
    }

    /// A number that nothing else of this task has.
    pub(crate) fn number(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn send(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).map_err(|_| self.over())
    }

    /// Why the session is over.
    pub(crate) fn over(&self) -> Error {
        match &self.state.borrow().superseded {
            Some(text) => Error::new(ErrorKind::Superseded, text.clone()),
            None => Error::closed(),
        }
    }

    pub(crate) async fn ask<T>(
        &self,
        token: Token,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.send(command(answer))?;
        let mut guard = CancelOnDrop {
            commands: &self.commands,
            token: Some(token),
        };
        let result = answered.await.unwrap_or_else(|_| Err(self.over()));
        guard.token = None;
        result
    }

    pub(crate) async fn call(&self, call: Call) -> Result<Json, Error> {
        self.ask(call.token, |answer| Command::Call { call, answer })
            .await
    }

    pub(crate) async fn get(
        &self,
        params: GetParams,
        timeout: Option<Duration>,
    ) -> Result<Hold, Error> {
        let token = self.number();
        self.ask(token, |answer| Command::Get {
            token,
            params,
            timeout,
            answer,
        })
        .await
    }

    pub(crate) async fn get_raw(
        &self,
        params: GetParams,
        timeout: Option<Duration>,
    ) -> Result<GotContainer, Error> {
        let token = self.number();
        self.ask(token, |answer| Command::GetRaw {
            token,
            params,
            timeout,
            answer,
        })
        .await
    }

    pub(crate) async fn release(&self, uuid: String, raw: bool) -> Result<(), Error> {
        let token = self.number();
        self.ask(token, |answer| Command::Release {
            uuid,
            raw,
            answer: Some((token, answer)),
        })
        .await
        .map(|_| ())
    }

    /// Waits until the session is up, or over.
    pub(crate) async fn ready(&self) {
        let mut state = self.state.clone();
        // An error means that the task has ended.
        let _ = state.wait_for(|state| state.up).await;
    }
}
