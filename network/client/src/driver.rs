//! The task that owns a socket and drives the pure session over it.

mod commands;
mod effects;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use huly_protocol::{HeldEvent, Json};
use huly_session::{Config, FeedUpdate, Input, Location, Session, Token};
use tokio::sync::{mpsc, oneshot, watch};
use zeromq::ZmqResult;

use crate::agent::LinkEvent;
use crate::clock::Clock;
use crate::direct::Fanout;
use crate::ground::Ground;
use crate::handle::{Answer, Command, Handle, Hold, WeakCommands};
use crate::socket::Connection;
use crate::state::SessionState;

/// Commands that are taken in a row, until messages are looked at again.
const BURST: usize = 64;

enum Waiter {
    Call(Answer<Json>),
    Get(Answer<Hold>),
    GetRaw(Answer<huly_protocol::GotContainer>),
}

struct Link {
    number: u64,
    events: mpsc::UnboundedSender<LinkEvent>,
    agents: Vec<String>,
}

struct Subscriber {
    number: u64,
    events: Arc<Fanout>,
}

pub(crate) struct Driver {
    session: Session,
    ground: Ground,
    clock: Clock,
    endpoint: String,
    /// Whether events name their container: not those of a container's own ROUTER.
    events_named: bool,
    commands: mpsc::UnboundedReceiver<Command>,
    weak: WeakCommands,
    state: watch::Sender<SessionState>,
    resent: Arc<AtomicU64>,
    connection: Option<Connection>,
    dialing: Option<BoxFuture<'static, ZmqResult<Connection>>>,
    waiters: HashMap<Token, Waiter>,
    locations: HashMap<String, watch::Sender<Location>>,
    links: Vec<Link>,
    feed: Vec<mpsc::UnboundedSender<FeedUpdate>>,
    held: Vec<mpsc::UnboundedSender<HeldEvent>>,
    subscribers: HashMap<String, Vec<Subscriber>>,
    leaving: Vec<oneshot::Sender<()>>,
    /// A message could not be handed to the socket.
    lost: bool,
    /// Nobody has a handle any more.
    deserted: bool,
    stopped: bool,
}

/// Starts a task on the current runtime.
pub(crate) fn start(server: &str, config: Config, ground: Ground, events_named: bool) -> Handle {
    let (sender, commands) = mpsc::unbounded_channel();
    let (state, state_seen) = watch::channel(SessionState::default());
    let resent = Arc::<AtomicU64>::default();
    let driver = Driver {
        session: Session::new(config),
        clock: ground.clock(),
        ground,
        endpoint: format!("tcp://{server}"),
        events_named,
        commands,
        weak: sender.downgrade(),
        state,
        resent: resent.clone(),
        connection: None,
        dialing: None,
        waiters: HashMap::new(),
        locations: HashMap::new(),
        links: Vec::new(),
        feed: Vec::new(),
        held: Vec::new(),
        subscribers: HashMap::new(),
        leaving: Vec::new(),
        lost: false,
        deserted: false,
        stopped: false,
    };
    tokio::spawn(driver.run());
    Handle::new(sender, state_seen, resent)
}

enum Next {
    Input(Input),
    Dialed(ZmqResult<Connection>),
    Command(Option<Command>),
}

impl Driver {
    async fn run(mut self) {
        self.handle(Input::Start);
        while !self.stopped {
            match self.next().await {
                Next::Input(Input::Disconnected) => self.disconnected(),
                Next::Input(input) => self.handle(input),
                Next::Dialed(Ok(connection)) => {
                    self.dialing = None;
                    self.connection = Some(connection);
                    self.handle(Input::Connected);
                }
                Next::Dialed(Err(error)) => {
                    tracing::debug!(server = %self.endpoint, %error, "could not connect");
                    self.dialing = None;
                    self.handle(Input::Disconnected);
                }
                Next::Command(Some(command)) => self.command(command),
                Next::Command(None) => {
                    self.deserted = true;
                    self.handle(Input::Close);
                }
            }
            for _ in 0..BURST {
                match self.commands.try_recv() {
                    Ok(command) => self.command(command),
                    Err(_) => break,
                }
            }
            if std::mem::take(&mut self.lost) && !self.stopped {
                self.disconnected();
            }
        }
        self.end().await;
    }

    /// What was asked for meanwhile is answered, and those who wait for the end are told.
    async fn end(mut self) {
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            self.command(command);
        }
        self.state
            .send_if_modified(|state| std::mem::take(&mut state.up));
        for done in self.leaving.drain(..) {
            let _ = done.send(());
        }
    }

    /// Messages come before the time: after a pause of this process, pongs are read before their
    /// absence is judged.
    async fn next(&mut self) -> Next {
        let wake = self.session.next_wake();
        tokio::select! {
            biased;
            input = received(&mut self.connection) => Next::Input(input),
            dialed = dialed(&mut self.dialing) => Next::Dialed(dialed),
            command = self.commands.recv(), if !self.deserted => Next::Command(command),
            () = sleep_until(self.clock, wake) => Next::Input(Input::Wake),
        }
    }

    fn disconnected(&mut self) {
        self.connection = None;
        self.handle(Input::Disconnected);
    }

    fn handle(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.session.handle(self.clock.now(), input, &mut effects);
        let resent = self.session.counters().resent;
        self.resent.store(resent, Ordering::Relaxed);
        for effect in effects {
            self.effect(effect);
        }
    }
}

async fn received(connection: &mut Option<Connection>) -> Input {
    match connection {
        Some(connection) => connection.next().await,
        None => std::future::pending().await,
    }
}

async fn dialed(
    dialing: &mut Option<BoxFuture<'static, ZmqResult<Connection>>>,
) -> ZmqResult<Connection> {
    match dialing {
        Some(dialing) => dialing.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(clock: Clock, at: Option<Duration>) {
    match at {
        Some(at) => tokio::time::sleep_until(clock.instant_of(at)).await,
        None => std::future::pending().await,
    }
}
