//! Serving an agent over the client's connection: registration, lease, the server's calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use huly_protocol::{
    AgentRegistration, AgentUuid, ErrorCode, ErrorPayload, Json, NetworkEvent, method,
};
use huly_session::Call;
use huly_session::registration::{chunks, plain};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::direct::lock;
use crate::error::{During, Error, ErrorKind};
use crate::handle::{Command, Handle, WeakCommands};
use crate::operation::Operation;

/// What an agent is told. After the last one the channel ends: the client was closed, or another
/// process has its client id.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkEvent {
    /// The server's session is a fresh one: it knows nothing of the agent. Call
    /// [`AgentLink::register`].
    Register,
    /// Whether the server is an original (TypeScript) one. Comes before each
    /// [`LinkEvent::Registered`].
    Server {
        /// It is.
        original: bool,
    },
    /// The registration was answered.
    Registered {
        /// Containers that this agent is to end: others have them.
        end: Vec<String>,
    },
    /// The registration failed; it may be tried again.
    RegisterFailed(Error),
    /// An original server says that containers are gone, whoever had them: an agent that keeps a
    /// standby of one registers again after a moment.
    Removed {
        /// Their uuids.
        containers: Vec<String>,
    },
    /// The agent's lease holds until then, by [`boot_clock`](crate::boot_clock). Comes with each
    /// answered ping, after the registration was answered.
    Lease {
        /// The end of the lease.
        until: Duration,
    },
    /// The server calls the agent.
    Call(BackCall),
    /// The connection is gone; it is being made anew.
    Down,
    /// The server's term, in ms since 1970, whenever it is a higher one.
    Term(u64),
}

/// A call of the server to an agent.
#[derive(Debug)]
pub struct BackCall {
    /// The method: `gg`, `cs`, `ct`, `cl` or one of the extension.
    pub method: String,
    /// The agent that is meant.
    pub agent: String,
    /// The method's own parameters, an array.
    pub params: Json,
    /// What the server says beside it (extension).
    pub ext: Option<Json>,
    /// To answer with.
    pub responder: Responder,
}

/// Answers one [`BackCall`]. Dropped without an answer, it answers with an error.
#[derive(Debug)]
pub struct Responder {
    call: u64,
    commands: Option<WeakCommands>,
}

impl Responder {
    pub(crate) fn new(call: u64, commands: WeakCommands) -> Self {
        Self {
            call,
            commands: Some(commands),
        }
    }

    /// Answers. A server that has restarted meanwhile does not get to know.
    pub fn answer(mut self, result: Result<Json, ErrorPayload>) {
        self.send(result);
    }

    fn send(&mut self, result: Result<Json, ErrorPayload>) {
        let commands = self.commands.take();
        if let Some(commands) = commands.and_then(|weak| weak.upgrade()) {
            let call = self.call;
            // The client may have been closed: nobody waits any more.
            let _ = commands.send(Command::Reply { call, result });
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let message = "outcome unknown: the agent gave the call up without an answer";
        self.send(Err(ErrorPayload::new(ErrorCode::OutcomeUnknown, message)));
    }
}

/// An agent's side of the client: what it is told, and what it says.
#[derive(Debug)]
pub struct AgentLink {
    /// What the agent is told, in order.
    pub events: mpsc::UnboundedReceiver<LinkEvent>,
    handle: AgentHandle,
}

/// What an agent says; cheap to clone, see [`AgentLink`].
#[derive(Debug, Clone)]
pub struct AgentHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    link: u64,
    events: mpsc::WeakUnboundedSender<LinkEvent>,
    agent: Mutex<Option<String>>,
    registering: Mutex<Option<AbortHandle>>,
}

impl AgentLink {
    pub(crate) fn new(handle: Handle) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let link = handle.number();
        let shared = Shared {
            link,
            events: sender.downgrade(),
            agent: Mutex::new(None),
            registering: Mutex::new(None),
            handle,
        };
        // If the client is closed, the channel has ended.
        let _ = shared.handle.send(Command::ServeAgent {
            link,
            events: sender,
        });
        Self {
            events,
            handle: AgentHandle {
                shared: Arc::new(shared),
            },
        }
    }

    /// What this link says, for use elsewhere.
    pub fn handle(&self) -> AgentHandle {
        self.handle.clone()
    }

    /// See [`AgentHandle::register`].
    pub fn register(&self, registration: AgentRegistration) {
        self.handle.register(registration);
    }

    /// See [`AgentHandle::update`].
    pub fn update(&self, event: NetworkEvent) {
        self.handle.update(event);
    }

    /// See [`AgentHandle::drain`].
    pub fn drain(&self) {
        self.handle.drain();
    }

    /// See [`AgentHandle::unregister`].
    ///
    /// # Errors
    /// When the server cannot be told.
    pub async fn unregister(&self) -> Result<(), Error> {
        self.handle.unregister().await
    }
}

impl AgentHandle {
    /// Registers the agent with everything that it hosts, in chunks where that is much. What comes
    /// of it is told by [`LinkEvent::Registered`] or [`LinkEvent::RegisterFailed`]; nothing, if the
    /// session is another one meanwhile: then [`LinkEvent::Register`] came.
    ///
    /// Must be called within a tokio runtime. An earlier registration under way is given up.
    pub fn register(&self, registration: AgentRegistration) {
        let shared = self.shared.clone();
        *lock(&shared.agent) = Some(registration.uuid.clone());
        let mut registering = Box::pin({
            let shared = shared.clone();
            async move {
                let event = match shared.register(registration).await {
                    Ok(end) => LinkEvent::Registered { end },
                    Err(error) if error.kind == ErrorKind::Interrupted => return,
                    Err(error) => LinkEvent::RegisterFailed(error),
                };
                shared.tell(event);
            }
        });
        if let Some(before) = lock(&shared.registering).take() {
            before.abort();
        }
        // Begun before this returns, as what is said next is to come after it.
        if registering.as_mut().now_or_never().is_none() {
            let registering = tokio::spawn(registering).abort_handle();
            *lock(&shared.registering) = Some(registering);
        }
    }

    /// Tells the server which containers ended here (`cu`). An original server has no such method:
    /// there it is [`LinkEvent::Register`] again, with what is left.
    ///
    /// Must be called within a tokio runtime.
    pub fn update(&self, event: NetworkEvent) {
        let shared = self.shared.clone();
        beside(async move {
            if shared.is_original() {
                return shared.tell(LinkEvent::Register);
            }
            if let Err(error) = shared.say(method::CONTAINER_UPDATE, &event).await {
                tracing::warn!(%error, "the network server was not told which containers ended");
            }
        });
    }

    /// Tells the server that the agent takes nothing new (`xg`).
    ///
    /// Must be called within a tokio runtime.
    pub fn drain(&self) {
        let shared = self.shared.clone();
        beside(async move {
            let Some(uuid) = lock(&shared.agent).clone() else {
                return;
            };
            if shared.is_original() {
                return;
            }
            if let Err(error) = shared.say(method::DRAIN, &AgentUuid { uuid }).await {
                tracing::warn!(%error, "the network server was not told of the draining");
            }
        });
    }

    /// Takes the agent out of the network (`au`).
    ///
    /// # Errors
    /// When the server cannot be told.
    pub async fn unregister(&self) -> Result<(), Error> {
        let uuid = lock(&self.shared.agent).take();
        match uuid {
            None => Ok(()),
            Some(uuid) => self
                .shared
                .say(method::UNREGISTER_AGENT, &AgentUuid { uuid })
                .await
                .map(|_| ()),
        }
    }
}

impl Shared {
    fn tell(&self, event: LinkEvent) {
        // Without a receiver or a task, nobody wants to know.
        if let Some(events) = self.events.upgrade() {
            let _ = events.send(event);
        }
    }

    /// Whether the server is known to be an original one.
    fn is_original(&self) -> bool {
        let state = self.handle.state.borrow();
        state.session.is_some() && state.server.is_none()
    }

    async fn say<T: serde::Serialize>(&self, name: &'static str, what: &T) -> Result<Json, Error> {
        let params = Json::of(what).map_err(|error| Error::unwritable(&error))?;
        let call = Call::new(self.handle.number(), name, params);
        self.handle.call(call).await.during(Operation::Agent)
    }

    async fn register(&self, registration: AgentRegistration) -> Result<Vec<String>, Error> {
        self.register_chunks(registration)
            .await
            .during(Operation::Agent)
    }

    async fn register_chunks(&self, registration: AgentRegistration) -> Result<Vec<String>, Error> {
        self.handle.send(Command::Serves {
            link: self.link,
            agent: registration.uuid.clone(),
        })?;
        // One whole belongs to one session: a half of it means nothing to the next.
        if self.handle.state.borrow().session.is_none() {
            self.handle.ready().await;
        }
        let state = self.handle.state.borrow().clone();
        let session = state.session;
        let parts = match &state.server {
            None => vec![plain(registration)],
            Some(server) => chunks(registration, server.limits.message_bytes),
        };
        let last = parts.len().saturating_sub(1);
        let mut end = Vec::new();
        for (number, part) in parts.into_iter().enumerate() {
            let params = Json::of(&part).map_err(|error| Error::unwritable(&error))?;
            let call = Call {
                only_in: session.clone(),
                registers: number == last,
                ..Call::new(self.handle.number(), method::REGISTER_AGENT, params)
            };
            let answer = self.handle.call(call).await?;
            if number == last {
                let read = answer.read::<Option<Vec<String>>>();
                end = read
                    .map_err(|error| Error::protocol("the answer to a registration", &error))?
                    .unwrap_or_default();
            }
        }
        self.tell(LinkEvent::Server {
            original: state.server.is_none(),
        });
        Ok(end)
    }
}

/// Runs a task beside the caller, begun before this returns: what an agent says goes out in the
/// order in which it says it, the last ends of containers before its leaving.
fn beside(task: impl Future<Output = ()> + Send + 'static) {
    let mut task = Box::pin(task);
    if task.as_mut().now_or_never().is_none() {
        tokio::spawn(task);
    }
}
