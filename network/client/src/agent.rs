//! Serving an agent over the client's connection: registration, lease, the server's calls.

mod registering;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use huly_protocol::{
    AgentRegistration, AgentUuid, ErrorCode, ErrorPayload, Json, NetworkEvent, method,
};
use huly_session::Call;
use huly_session::registration::RegistrarInput;
use tokio::sync::mpsc;

use crate::direct::lock;
use crate::error::{During, Error};
use crate::handle::{Command, Handle, WeakCommands};
use crate::operation::Operation;
use registering::Registering;

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
        /// Which, as [`AgentLink::register`] said: an earlier one's answer may have been on its way
        /// when the agent was registered again, and says nothing of that.
        registration: u64,
        /// Containers that this agent is to end: others have them.
        end: Vec<String>,
    },
    /// The registration failed, or nobody answered what the agent said since: which containers ended,
    /// or that it takes nothing new. It may be tried again, which says all of that.
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
        /// How long the leases of this server are.
        length: Duration,
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
    registering: Mutex<Registering>,
}

impl AgentLink {
    pub(crate) fn new(handle: Handle) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let link = handle.number();
        let shared = Shared {
            link,
            events: sender.downgrade(),
            agent: Mutex::new(None),
            registering: Mutex::default(),
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
    pub fn register(&self, registration: AgentRegistration) -> u64 {
        self.handle.register(registration)
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
    /// Returns what names it in its answer. An earlier registration under way is given up.
    ///
    /// Must be called within a tokio runtime.
    pub fn register(&self, registration: AgentRegistration) -> u64 {
        let shared = &self.shared;
        let number = shared.handle.number();
        let agent = registration.uuid.clone();
        *lock(&shared.agent) = Some(agent.clone());
        let link = shared.link;
        match shared.handle.send(Command::Serves { link, agent }) {
            Ok(()) => {
                let input = RegistrarInput::Register(Box::new(registration));
                shared.registrar(Some(number), input);
            }
            Err(error) => shared.tell(LinkEvent::RegisterFailed(error.of(Operation::Agent))),
        }
        number
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
                shared.tell(LinkEvent::RegisterFailed(error));
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
                shared.tell(LinkEvent::RegisterFailed(error));
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
}

/// Runs a task beside the caller, begun before this returns: what an agent says goes out in the
/// order in which it says it, the last ends of containers before its leaving.
fn beside(task: impl Future<Output = ()> + Send + 'static) {
    let mut task = Box::pin(task);
    if task.as_mut().now_or_never().is_none() {
        tokio::spawn(task);
    }
}
