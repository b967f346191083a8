//! The task that owns a socket and drives the pure session over it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use huly_protocol::{AgentCall, ErrorCode, ErrorPayload, HeldEvent, Json};
use huly_session::{CallError, Config, Effect, FeedUpdate, Input, Location, Session, Token};
use tokio::sync::{mpsc, oneshot, watch};
use zeromq::ZmqResult;

use crate::agent::{BackCall, LinkEvent, Responder};
use crate::clock::{boot_clock, instant_of};
use crate::direct::Fanout;
use crate::error::Error;
use crate::handle::{Answer, Command, Handle, Hold, WeakCommands};
use crate::socket::{Connection, dial};
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
    endpoint: String,
    /// Whether events name their container: not those of a container's own ROUTER.
    events_named: bool,
    commands: mpsc::UnboundedReceiver<Command>,
    weak: WeakCommands,
    state: watch::Sender<SessionState>,
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
pub(crate) fn start(server: &str, config: Config, events_named: bool) -> Handle {
    let (sender, commands) = mpsc::unbounded_channel();
    let (state, state_seen) = watch::channel(SessionState::default());
    let driver = Driver {
        session: Session::new(config),
        endpoint: format!("tcp://{server}"),
        events_named,
        commands,
        weak: sender.downgrade(),
        state,
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
    Handle::new(sender, state_seen)
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
            () = sleep_until(wake) => Next::Input(Input::Wake),
        }
    }

    fn disconnected(&mut self) {
        self.connection = None;
        self.handle(Input::Disconnected);
    }

    fn handle(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.session.handle(boot_clock(), input, &mut effects);
        for effect in effects {
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Dial { after } => {
                self.connection = None;
                self.dialing = Some(dial(self.endpoint.clone(), after).boxed());
            }
            Effect::Hangup => {
                self.connection = None;
                self.dialing = None;
            }
            Effect::Send(frame) => {
                if let Some(connection) = &mut self.connection
                    && !connection.send(frame)
                {
                    self.lost = true;
                }
            }
            Effect::Answered { token, result } => self.answered(token, result),
            Effect::Got { token, result } => self.got(token, result),
            Effect::Up {
                session,
                fresh,
                answer,
            } => {
                tracing::debug!(server = %self.endpoint, %session, fresh, "session is up");
                self.state.send_modify(|state| {
                    state.up = true;
                    state.session = Some(session);
                    state.server = answer;
                    state.generation += u64::from(fresh);
                });
                if fresh {
                    self.tell_links(|| LinkEvent::Register);
                }
            }
            Effect::Down => {
                tracing::debug!(server = %self.endpoint, "session is down");
                self.state.send_modify(|state| state.up = false);
                self.tell_links(|| LinkEvent::Down);
            }
            Effect::BackCall {
                call,
                method,
                params,
            } => self.back_call(call, method, &params),
            Effect::Event(payload) => self.event(&payload),
            Effect::Held(event) => {
                if let (Some(location), Some(sender)) = (
                    self.session.location(&event.uuid),
                    self.locations.get(&event.uuid),
                ) {
                    sender.send_replace(location.clone());
                }
                self.held.retain(|held| held.send(event.clone()).is_ok());
            }
            Effect::Feed(update) => {
                self.feed.retain(|feed| feed.send(update.clone()).is_ok());
                if self.feed.is_empty() {
                    self.handle(Input::Unwatch);
                }
            }
            Effect::Lease { until } => self.tell_links(|| LinkEvent::Lease { until }),
            Effect::Term(term) => self.tell_links(|| LinkEvent::Term(term)),
            Effect::Stopped(reason) => {
                tracing::debug!(server = %self.endpoint, ?reason, "session is over");
                self.stopped = true;
                self.links.clear();
            }
        }
    }

    fn answered(&mut self, token: Token, result: Result<bytes::Bytes, CallError>) {
        let Some(Waiter::Call(answer)) = self.waiters.remove(&token) else {
            return;
        };
        let result = result
            .map_err(Error::from)
            .and_then(|payload| read(&payload));
        // Who asked may have gone away.
        let _ = answer.send(result);
    }

    fn got(&mut self, token: Token, result: Result<huly_protocol::GotContainer, CallError>) {
        let result = result.map_err(Error::from);
        match self.waiters.remove(&token) {
            Some(Waiter::GetRaw(answer)) => {
                let uuid = result.as_ref().ok().map(|got| got.uuid.clone());
                if let (Err(_), Some(uuid)) = (answer.send(result), uuid) {
                    self.release(uuid, true, None);
                }
            }
            Some(Waiter::Get(answer)) => {
                let hold = result.and_then(|got| {
                    let location = self.located(&got.uuid);
                    let commands = self.weak.upgrade().ok_or_else(Error::closed)?;
                    Ok(Hold::new(got.uuid, location, commands))
                });
                // Dropped by whoever went away, it releases itself.
                let _ = answer.send(hold);
            }
            _ => {}
        }
    }

    fn located(&mut self, uuid: &str) -> watch::Receiver<Location> {
        let location = self.session.location(uuid).cloned().unwrap_or_default();
        match self.locations.get(uuid) {
            Some(sender) => {
                sender.send_replace(location);
                sender.subscribe()
            }
            None => {
                let (sender, receiver) = watch::channel(location);
                self.locations.insert(uuid.to_owned(), sender);
                receiver
            }
        }
    }

    fn release(&mut self, uuid: String, raw: bool, answer: Option<(Token, Answer<Json>)>) {
        let token = answer.map(|(token, answer)| {
            self.waiters.insert(token, Waiter::Call(answer));
            token
        });
        self.handle(Input::Release {
            token,
            uuid: uuid.clone(),
            raw,
        });
        if self.session.location(&uuid).is_none() {
            self.locations.remove(&uuid);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Call { call, answer } => {
                self.waiters.insert(call.token, Waiter::Call(answer));
                self.handle(Input::Call(call));
            }
            Command::Get {
                token,
                params,
                timeout,
                answer,
            } => {
                self.waiters.insert(token, Waiter::Get(answer));
                self.get(token, params, false, timeout);
            }
            Command::GetRaw {
                token,
                params,
                timeout,
                answer,
            } => {
                self.waiters.insert(token, Waiter::GetRaw(answer));
                self.get(token, params, true, timeout);
            }
            Command::Release { uuid, raw, answer } => self.release(uuid, raw, answer),
            Command::Cancel(token) => {
                if self.waiters.remove(&token).is_some() {
                    self.handle(Input::Cancel { token });
                }
            }
            Command::Reply { call, result } => self.handle(Input::Reply { call, result }),
            Command::ServeAgent { link, events } => {
                if self.session.is_up() {
                    let _ = events.send(LinkEvent::Register);
                }
                self.links.push(Link {
                    number: link,
                    events,
                    agents: Vec::new(),
                });
            }
            Command::Serves { link, agent } => {
                if let Some(link) = self.links.iter_mut().find(|one| one.number == link)
                    && !link.agents.contains(&agent)
                {
                    link.agents.push(agent);
                }
            }
            Command::Watch(feed) => {
                self.feed.push(feed);
                self.handle(Input::Watch);
            }
            Command::WatchHeld(held) => self.held.push(held),
            Command::Connect {
                token,
                uuid,
                subscriber,
                events,
                answer,
            } => {
                let all = self.subscribers.entry(uuid.clone()).or_default();
                all.push(Subscriber {
                    number: subscriber,
                    events,
                });
                self.waiters.insert(token, Waiter::Call(answer));
                self.handle(Input::Connect { token, uuid });
            }
            Command::Disconnect { uuid, subscriber } => {
                if let Some(all) = self.subscribers.get_mut(&uuid) {
                    all.retain(|one| one.number != subscriber);
                    if all.is_empty() {
                        self.subscribers.remove(&uuid);
                        self.handle(Input::Disconnect { uuid });
                    }
                }
            }
            Command::Close(done) => {
                self.leaving.push(done);
                self.handle(Input::Close);
            }
            Command::Detach(done) => {
                self.leaving.push(done);
                self.handle(Input::Detach);
            }
        }
    }

    fn get(
        &mut self,
        token: Token,
        params: huly_protocol::GetParams,
        raw: bool,
        timeout: Option<Duration>,
    ) {
        self.handle(Input::Get {
            token,
            params,
            raw,
            timeout,
        });
    }

    fn tell_links(&mut self, event: impl Fn() -> LinkEvent) {
        self.links.retain(|link| link.events.send(event()).is_ok());
    }

    fn back_call(&mut self, call: u64, method: String, params: &Json) {
        let responder = Responder::new(call, self.weak.clone());
        let parsed: AgentCall<'_> = match serde_json::from_str(params.text()) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = format!("wrong parameters of {method}: {error}");
                return responder.answer(Err(ErrorPayload::new(ErrorCode::BadRequest, message)));
            }
        };
        let agent = parsed.agent.into_owned();
        let serving = self.links.iter().find(|link| link.agents.contains(&agent));
        let Some(link) = serving else {
            let message = format!("this client serves no agent {agent}");
            return responder.answer(Err(ErrorPayload::new(ErrorCode::NoSuchAgent, message)));
        };
        let call = BackCall {
            method,
            agent,
            params: Json::from(parsed.params),
            ext: parsed.ext.map(Json::from),
            responder,
        };
        // Undelivered, the call answers itself with an error.
        let _ = link.events.send(LinkEvent::Call(call));
    }

    fn event(&mut self, payload: &[u8]) {
        let (uuid, data) = match self.events_named {
            true => match serde_json::from_slice::<(String, Json)>(payload) {
                Ok((uuid, data)) => (Some(uuid), data),
                Err(_) => return self.handle(Input::Unreadable),
            },
            false => match read(payload) {
                Ok(data) => (None, data),
                Err(_) => return self.handle(Input::Unreadable),
            },
        };
        let named = self
            .subscribers
            .iter()
            .filter(|(of, _)| uuid.as_ref().is_none_or(|uuid| uuid == *of));
        for subscriber in named.flat_map(|(_, all)| all) {
            subscriber.events.send(&data);
        }
    }
}

fn read(payload: &[u8]) -> Result<Json, Error> {
    // An original peer may answer with nothing at all.
    if payload.is_empty() {
        return Ok(Json::null());
    }
    serde_json::from_slice(payload)
        .map_err(|error| Error::protocol("the answer is not JSON", &error))
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

async fn sleep_until(at: Option<Duration>) {
    match at {
        Some(at) => tokio::time::sleep_until(instant_of(at)).await,
        None => std::future::pending().await,
    }
}
