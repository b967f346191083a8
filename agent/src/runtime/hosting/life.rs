//! A container's task: it takes commands in order and lets requests interleave.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use huly_protocol::{ErrorCode, ErrorPayload};
use tokio::sync::{Notify, mpsc};

use crate::container::{Activation, Call, ContainerError, DynContainer};
use crate::core::{Asked, EndReport, Id, Input, Run};
use crate::kinds::Made;
use crate::runtime::gate::Gate;
use crate::runtime::hosting::panic_message;

/// What a container's task is told.
pub(super) enum Command {
    Request {
        asked: Asked,
        /// How often the gate had been closed when it was handed over.
        closings: u64,
    },
    /// It has its uuid.
    Activate(Activation),
    Connected(Id),
    Disconnected(Id),
    Ping {
        /// How long its answer may take.
        within: Duration,
    },
    Stop,
}

/// What a container's task works with.
pub(super) struct Life {
    pub(super) run: Run,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) spawned: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    pub(super) end: Arc<Notify>,
    pub(super) gate: Gate,
    pub(super) reports: mpsc::UnboundedSender<Input>,
}

impl Life {
    pub(super) async fn live(mut self, made: Made, owns: Option<Activation>) -> EndReport {
        let made = async {
            let container = made.await?;
            if let Some(activation) = owns {
                container.activated(activation).await?;
            }
            Ok(container)
        };
        let made = tokio::select! {
            biased;
            made = made => made,
            // While it starts it is told nothing but to stop.
            _ = self.commands.recv() => return EndReport::Stopped,
        };
        let (container, result) = match made as Result<_, ContainerError> {
            Ok(container) => (Some(container), Ok(())),
            Err(error) => (None, Err(ErrorPayload::from(error))),
        };
        let _ = self.reports.send(Input::Started {
            run: self.run,
            result,
        });
        match container {
            Some(container) => self.serve(container).await,
            None => EndReport::Stopped,
        }
    }

    async fn serve(mut self, container: Arc<dyn DynContainer>) -> EndReport {
        let mut mailbox = Mailbox {
            run: self.run,
            container,
            gate: self.gate.clone(),
            reports: self.reports.clone(),
            running: FuturesUnordered::new(),
            requests: 0,
            held: VecDeque::new(),
            pinged: false,
            stopping: false,
            stopped: false,
            failed: false,
        };
        while !mailbox.is_done() {
            tokio::select! {
                // In one order, so that a test's run can be repeated. What comes first cannot keep
                // the rest out: what ends has begun by a command, and when all that runs was polled
                // once, FuturesUnordered lets others in.
                biased;
                Some(piece) = mailbox.running.next(), if !mailbox.running.is_empty() => {
                    mailbox.ended(piece);
                }
                () = self.end.notified() => return EndReport::ByItself,
                command = self.commands.recv() => match command {
                    Some(command) => mailbox.take(command),
                    // The agent's thread has ended.
                    None => return EndReport::Aborted,
                },
                () = self.gate.opened(), if !mailbox.held.is_empty() => {
                    // What was said before the gate opened comes first: it may be the end.
                    while let Ok(command) = self.commands.try_recv() {
                        mailbox.take(command);
                    }
                    mailbox.begin_held();
                }
                Some(task) = self.spawned.recv() => mailbox.running.push(Box::pin(async move {
                    task.await;
                    Piece::Other
                })),
            }
        }
        EndReport::Stopped
    }
}

/// What a container was told and does.
struct Mailbox {
    run: Run,
    container: Arc<dyn DynContainer>,
    gate: Gate,
    reports: mpsc::UnboundedSender<Input>,
    /// One set for all, so that what came first begins first.
    running: FuturesUnordered<BoxFuture<'static, Piece>>,
    /// How many of those are requests.
    requests: usize,
    /// Requests that the gate holds up.
    held: VecDeque<Asked>,
    /// Whether a ping is without an answer: one at a time is enough.
    pinged: bool,
    stopping: bool,
    stopped: bool,
    /// It cannot have its uuid.
    failed: bool,
}

impl Mailbox {
    fn is_done(&self) -> bool {
        self.failed || (self.stopped && self.requests == 0)
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Request { asked, closings } => {
                // One that was handed over before the gate was closed may be followed by the
                // container's end, though the gate is open again.
                let current = closings == self.gate.closings();
                if self.held.is_empty() && current && self.gate.is_open() {
                    self.begin(asked);
                } else {
                    self.held.push_back(asked);
                }
            }
            Command::Ping { within } => self.ping(within),
            Command::Stop => {
                self.stopping = true;
                self.give_up_held();
                self.tell(Command::Stop);
            }
            told => self.tell(told),
        }
    }

    fn ping(&mut self, within: Duration) {
        if self.stopping || std::mem::replace(&mut self.pinged, true) {
            return;
        }
        let container = self.container.clone();
        // The time counts from when it is asked, so that one does not die of a worker that another
        // one blocks.
        self.running.push(Box::pin(async move {
            let answer = AssertUnwindSafe(container.ping()).catch_unwind();
            Piece::Ping(match tokio::time::timeout(within, answer).await {
                Ok(Ok(Ok(()))) => Ok(()),
                Ok(Ok(Err(error))) => Err(Unwell::Said(error.message().to_owned())),
                Ok(Err(panic)) => Err(Unwell::Panicked(panic)),
                Err(_) => Err(Unwell::Said(format!(
                    "no answer within {} ms",
                    within.as_millis()
                ))),
            })
        }));
    }

    fn is_unwell(&self, how: Unwell) {
        let report = |cause| {
            let run = self.run;
            let _ = self.reports.send(Input::PingFailed { run, cause });
        };
        match how {
            Unwell::Said(cause) => report(cause),
            Unwell::Panicked(panic) => {
                report(format!("panicked: {}", panic_message(panic.as_ref())));
                // As any other panic, it ends the task.
                resume_unwind(panic);
            }
        }
    }

    fn tell(&self, told: Command) {
        self.running.push(told.future(self.container.clone()));
    }

    fn begin(&mut self, asked: Asked) {
        let container = self.container.clone();
        let (gate, reports) = (self.gate.clone(), self.reports.clone());
        let closings = gate.closings();
        self.requests += 1;
        self.running.push(Box::pin(async move {
            let call = asked.call;
            // It may have waited behind one that blocked: then what is said to the container
            // meanwhile comes first.
            if closings != gate.closings() || !gate.is_open() {
                return Piece::Held(asked);
            }
            let result = match asked.until.is_some_and(|until| gate.now() > until) {
                true => Err(too_late()),
                false => {
                    let asked = container.request(asked.into());
                    asked.await.map_err(ErrorPayload::from)
                }
            };
            let _ = reports.send(Input::Answered { call, result });
            Piece::Request
        }));
    }

    fn begin_held(&mut self) {
        for asked in std::mem::take(&mut self.held) {
            self.begin(asked);
        }
    }

    fn give_up_held(&mut self) {
        for Asked { call, .. } in self.held.drain(..) {
            let message = "the container is being ended; the request did not run";
            let result = Err(ErrorPayload::new(ErrorCode::Interrupted, message));
            let _ = self.reports.send(Input::Answered { call, result });
        }
    }

    fn ended(&mut self, piece: Piece) {
        match piece {
            Piece::Request => self.requests -= 1,
            Piece::Held(asked) => {
                self.requests -= 1;
                self.held.push_back(asked);
                if self.stopping {
                    self.give_up_held();
                }
            }
            Piece::Ping(answer) => {
                self.pinged = false;
                if let Err(how) = answer {
                    self.is_unwell(how);
                }
            }
            Piece::Activated(result) => {
                self.failed = result.is_err();
                let result = result.map_err(ErrorPayload::from);
                let run = self.run;
                let _ = self.reports.send(Input::Started { run, result });
            }
            Piece::Stop => self.stopped = true,
            Piece::Other => {}
        }
    }
}

/// What has come to its end.
enum Piece {
    Request,
    /// A request that could not begin.
    Held(Asked),
    Ping(Result<(), Unwell>),
    Activated(Result<(), ContainerError>),
    Stop,
    Other,
}

/// How a container is not well.
enum Unwell {
    Said(String),
    Panicked(Box<dyn Any + Send>),
}

impl Command {
    /// What the container does with what it is told.
    fn future(self, container: Arc<dyn DynContainer>) -> BoxFuture<'static, Piece> {
        Box::pin(async move {
            match self {
                // These have their own way.
                Self::Request { .. } | Self::Ping { .. } => {}
                Self::Activate(activation) => {
                    return Piece::Activated(container.activated(activation).await);
                }
                Self::Connected(client) => container.connected(&client).await,
                Self::Disconnected(client) => container.disconnected(&client).await,
                Self::Stop => {
                    container.stop().await;
                    return Piece::Stop;
                }
            }
            Piece::Other
        })
    }
}

impl From<Asked> for Call {
    fn from(asked: Asked) -> Self {
        Self {
            operation: asked.operation,
            data: asked.data,
            client: asked.client.map(|client| client.to_string()),
        }
    }
}

fn too_late() -> ErrorPayload {
    let message = "the container came to it too late for its caller; the request did not run";
    ErrorPayload::new(ErrorCode::TimedOut, message)
}
