//! The agent's side of the network server, as the serving loop sees it.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use huly_client::{AgentLink, Client, LinkEvent, Responder};
use huly_protocol::{AgentRegistration, ErrorPayload, Json, NetworkEvent};
#[cfg(test)]
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::core::Input;

/// How long the server may take to note that the agent leaves.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What comes from the server.
pub(crate) enum LinkInput {
    /// For the core, as it is.
    Core(Input),
    Call(LinkCall),
    /// There is no session any more and none will come.
    Over,
}

/// A call of the server.
pub(crate) struct LinkCall {
    pub(crate) method: String,
    pub(crate) params: Json,
    pub(crate) ext: Option<Json>,
    pub(crate) reply: Reply,
}

/// Where the answer to a call goes.
pub(crate) enum Reply {
    Network(Responder),
    /// The application that runs the agent.
    Local(oneshot::Sender<Result<Json, ErrorPayload>>),
}

impl Reply {
    pub(crate) fn answer(self, result: Result<Json, ErrorPayload>) {
        match self {
            Self::Network(responder) => responder.answer(result),
            // Who asked may have gone away.
            Self::Local(answer) => drop(answer.send(result)),
        }
    }
}

/// The link to the server.
pub(crate) enum Link {
    Network {
        client: Client,
        link: AgentLink,
        /// Whether the client is the application's, which goes on with it.
        shared: bool,
        /// The last registration: it alone is waited for.
        registration: u64,
    },
    #[cfg(test)]
    Test {
        inputs: mpsc::UnboundedReceiver<LinkInput>,
        told: mpsc::UnboundedSender<Told>,
        shared: bool,
    },
}

/// What a test sees the agent tell the server.
#[cfg(test)]
#[derive(Debug)]
pub(crate) enum Told {
    Register(Box<AgentRegistration>),
    Update(NetworkEvent),
    Drain,
    /// The agent waits for the answer.
    Heard(oneshot::Sender<()>),
    Left,
}

impl Link {
    /// Whether its session lives on without the agent.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Network { shared, .. } => *shared,
            #[cfg(test)]
            Self::Test { shared, .. } => *shared,
        }
    }

    /// What comes next. Safe to be dropped and called again.
    pub(crate) async fn next(&mut self) -> LinkInput {
        match self {
            Self::Network {
                link, registration, ..
            } => match link.events.recv().await {
                Some(event) => read(event, *registration),
                None => LinkInput::Over,
            },
            #[cfg(test)]
            Self::Test { inputs, .. } => inputs.recv().await.unwrap_or(LinkInput::Over),
        }
    }

    pub(crate) fn register(&mut self, what: AgentRegistration) {
        match self {
            Self::Network {
                link, registration, ..
            } => *registration = link.register(what),
            #[cfg(test)]
            Self::Test { told, .. } => drop(told.send(Told::Register(Box::new(what)))),
        }
    }

    pub(crate) fn update(&self, event: NetworkEvent) {
        match self {
            Self::Network { link, .. } => link.update(event),
            #[cfg(test)]
            Self::Test { told, .. } => drop(told.send(Told::Update(event))),
        }
    }

    pub(crate) fn drain(&self) {
        match self {
            Self::Network { link, .. } => link.drain(),
            #[cfg(test)]
            Self::Test { told, .. } => drop(told.send(Told::Drain)),
        }
    }

    /// Waits until the server has heard all that was said so far: whatever it had sent before it
    /// heard that has come by then.
    pub(crate) fn heard(&self) -> BoxFuture<'static, ()> {
        match self {
            Self::Network { client, .. } => {
                let client = client.clone();
                async move {
                    // A server that is away sends nothing, and an original one is told nothing that
                    // an original agent would not say.
                    let ours = {
                        let session = client.session();
                        let state = session.borrow();
                        state.up && state.server.is_some()
                    };
                    if ours {
                        drop(tokio::time::timeout(LEAVE_TIMEOUT, client.ping()).await);
                    }
                }
                .boxed()
            }
            #[cfg(test)]
            Self::Test { told, .. } => {
                let (answer, answered) = oneshot::channel();
                drop(told.send(Told::Heard(answer)));
                answered.map(drop).boxed()
            }
        }
    }

    /// Unregisters and closes. A server that is away notices by itself.
    pub(crate) async fn leave(self) {
        match self {
            Self::Network {
                client,
                link,
                shared,
                ..
            } => {
                match tokio::time::timeout(LEAVE_TIMEOUT, link.unregister()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "could not unregister"),
                    Err(_) => tracing::warn!("the server did not answer the agent's leaving"),
                }
                if !shared {
                    client.close().await;
                }
            }
            #[cfg(test)]
            Self::Test { told, .. } => drop(told.send(Told::Left)),
        }
    }
}

fn read(event: LinkEvent, last: u64) -> LinkInput {
    LinkInput::Core(match event {
        LinkEvent::Register => Input::Register,
        // An earlier one's, of what the agent had then and perhaps of another session.
        LinkEvent::Registered { registration, .. } if registration != last => Input::Wake,
        LinkEvent::Registered { end, .. } => {
            tracing::info!(to_end = end.len(), "registered at the network server");
            Input::Registered { end }
        }
        LinkEvent::Server { original } => Input::Server { original },
        LinkEvent::Removed { containers } => Input::Removed { containers },
        LinkEvent::RegisterFailed(error) => {
            tracing::warn!(%error, "the server refused the agent's registration");
            Input::RegisterFailed
        }
        LinkEvent::Lease { until, length } => Input::Lease { until, length },
        LinkEvent::Down => Input::Down,
        LinkEvent::Term(term) => Input::Term(term),
        LinkEvent::Call(call) => {
            return LinkInput::Call(LinkCall {
                method: call.method,
                params: call.params,
                ext: call.ext,
                reply: Reply::Network(call.responder),
            });
        }
        // Nothing that concerns an agent.
        _ => Input::Wake,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> AgentRegistration {
        AgentRegistration {
            uuid: "agent-1".to_owned(),
            containers: Vec::new(),
            kinds: Vec::new(),
            endpoint: None,
            huly: None,
        }
    }

    #[tokio::test]
    async fn an_earlier_registrations_answer_is_not_taken_for_the_lasts() {
        let client = Client::builder("127.0.0.1:1").build();
        let mut served = client.serve_agent();
        let (events, told) = tokio::sync::mpsc::unbounded_channel();
        served.events = told;
        let mut link = Link::Network {
            client,
            link: served,
            shared: false,
            registration: 0,
        };
        let numbers = [(); 2].map(|()| {
            link.register(registration());
            let Link::Network { registration, .. } = link else {
                panic!("another link");
            };
            registration
        });
        let mut ends = Vec::new();
        for number in numbers {
            let end = vec![number.to_string()];
            let registration = number;
            events
                .send(LinkEvent::Registered { registration, end })
                .unwrap();
            if let LinkInput::Core(Input::Registered { end }) = link.next().await {
                ends.extend(end);
            }
        }
        assert_eq!(ends, [numbers[1].to_string()]);
    }
}
