//! For tests of containers: one of them alone, without an agent and a network (feature `testing`).

use std::collections::VecDeque;
use std::time::Duration;

use huly_protocol::{ErrorPayload, Json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::container::ContainerError;
use crate::core::{Asked, CallNumber, EndReport, Id, Input, Role, Run, Seed};
use crate::kinds::Kinds;
use crate::runtime::{Gatekeeper, Hosting, Watch, gate};

/// A lease that no test outlives.
const LEASE: Duration = Duration::from_secs(24 * 3_600);

const RUN: Run = Run(1);

/// One container, run as an agent runs it.
pub struct Solo {
    hosting: Hosting,
    reports: mpsc::UnboundedReceiver<Input>,
    events: VecDeque<Json>,
    calls: u64,
    _gate: Gatekeeper,
}

impl Solo {
    /// Starts a container of a kind under a uuid, on the current tokio runtime.
    ///
    /// # Errors
    /// The container's, when it cannot start; or that there is no such kind.
    pub async fn start(kinds: &Kinds, kind: &str, uuid: &str) -> Result<Self, ContainerError> {
        if kinds.factory(kind).is_none() {
            return Err(ContainerError::new(format!("there is no kind {kind}")));
        }
        let (keeper, gate) = gate(LEASE);
        let (reported, reports) = mpsc::unbounded_channel();
        let (workers, agent) = (Handle::current(), "testing".to_owned());
        let mut solo = Self {
            hosting: Hosting::new(workers, kinds.clone(), agent, gate, reported, Watch::new()),
            reports,
            events: VecDeque::new(),
            calls: 0,
            _gate: keeper,
        };
        let seed = Seed {
            uuid: Id::from(uuid),
            kind: Id::from(kind),
            labels: Vec::new(),
            extra: None,
            epoch: None,
            role: Role::Ordinary,
        };
        solo.hosting.start(RUN, seed);
        loop {
            if let Input::Started { result, .. } = solo.next().await? {
                return result.map(|()| solo).map_err(read);
            }
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// The container's; or that it ended, or that the answer is not of `A`'s shape.
    pub async fn request<D, A>(&mut self, operation: &str, data: &D) -> Result<A, ContainerError>
    where
        D: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        self.request_as(None, operation, data).await
    }

    /// The same, as a client of that id.
    ///
    /// # Errors
    /// As of [`Solo::request`].
    pub async fn request_as<D, A>(
        &mut self,
        client: Option<&str>,
        operation: &str,
        data: &D,
    ) -> Result<A, ContainerError>
    where
        D: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        self.calls += 1;
        let number = CallNumber(self.calls);
        let asked = Asked {
            call: number,
            operation: operation.to_owned(),
            data: Json::of(data)?,
            client: client.map(Id::from),
            until: None,
        };
        self.hosting.request(RUN, asked);
        loop {
            match self.next().await? {
                Input::Answered { call, result } if call == number => {
                    return Ok(result.map_err(read)?.read()?);
                }
                _ => {}
            }
        }
    }

    /// A client connects for the container's events.
    pub fn connect(&self, client: &str) {
        self.hosting.connected(RUN, Id::from(client));
    }

    /// It disconnects.
    pub fn disconnect(&self, client: &str) {
        self.hosting.disconnected(RUN, Id::from(client));
    }

    /// The next event that the container sent, to whomever.
    ///
    /// # Errors
    /// When the container ended, or the event is not of `T`'s shape.
    pub async fn event<T: DeserializeOwned>(&mut self) -> Result<T, ContainerError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event.read()?);
            }
            self.next().await?;
        }
    }

    /// Ends the container and waits for it.
    ///
    /// # Errors
    /// When it ended otherwise, by a panic for example.
    pub async fn stop(mut self) -> Result<(), ContainerError> {
        self.hosting.stop(RUN);
        loop {
            match self.reports.recv().await {
                Some(Input::Ended {
                    how: EndReport::Stopped,
                    ..
                }) => return Ok(()),
                Some(Input::Ended { how, .. }) => return Err(ended(&how)),
                Some(_) => {}
                None => return Err(ContainerError::new("the container is gone")),
            }
        }
    }

    /// What the container reports next; events are kept.
    async fn next(&mut self) -> Result<Input, ContainerError> {
        match self.reports.recv().await {
            Some(Input::Ended { how, .. }) => Err(ended(&how)),
            Some(input) => {
                if let Input::Event { data, .. } = &input {
                    self.events.push_back(data.clone());
                }
                Ok(input)
            }
            None => Err(ContainerError::new("the container is gone")),
        }
    }
}

fn read(error: ErrorPayload) -> ContainerError {
    let code = error.code.unwrap_or(huly_protocol::ErrorCode::Failed);
    ContainerError::with_code(code, error.message)
}

fn ended(how: &EndReport) -> ContainerError {
    ContainerError::new(match how {
        EndReport::Stopped => "the container was ended".to_owned(),
        EndReport::ByItself => "the container ended by itself".to_owned(),
        EndReport::Panicked(message) => format!("the container panicked: {message}"),
        EndReport::Aborted => "the container was aborted".to_owned(),
    })
}
