//! Containers on the workers: each is one task that takes commands in order and lets its requests
//! interleave.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use huly_client::boot_clock;
use huly_protocol::{ErrorCode, ErrorPayload};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use crate::container::{Broadcaster, Call, ContainerContext, DynContainer};
use crate::core::{Asked, EndReport, Id, Input, Run, Seed};
use crate::kinds::Kinds;
use crate::runtime::gate::Gate;
use crate::runtime::watchdog::{Mark, Watch};

/// What a container's task is told.
enum Command {
    Request {
        asked: Asked,
        /// How often the gate had been closed when it was handed over.
        closings: u64,
    },
    Connected(Id),
    Disconnected(Id),
    Ping,
    Stop,
}

struct Hosted {
    commands: mpsc::UnboundedSender<Command>,
    abort: AbortHandle,
    mark: Arc<Mark>,
}

/// The containers that run.
pub(crate) struct Hosting {
    workers: Handle,
    kinds: Kinds,
    agent: String,
    gate: Gate,
    reports: mpsc::UnboundedSender<Input>,
    watch: Watch,
    hosted: HashMap<Run, Hosted>,
}

impl Hosting {
    pub(crate) fn new(
        workers: Handle,
        kinds: Kinds,
        agent: String,
        gate: Gate,
        reports: mpsc::UnboundedSender<Input>,
        watch: Watch,
    ) -> Self {
        Self {
            workers,
            kinds,
            agent,
            gate,
            reports,
            watch,
            hosted: HashMap::new(),
        }
    }

    pub(crate) fn start(&mut self, run: Run, seed: Seed) {
        let (commands, taken) = mpsc::unbounded_channel();
        let (tasks, spawned) = mpsc::unbounded_channel();
        let end = Arc::new(Notify::new());
        let context = ContainerContext {
            uuid: seed.uuid.to_string(),
            kind: seed.kind.to_string(),
            labels: seed.labels,
            extra: seed.extra,
            epoch: seed.epoch,
            agent: self.agent.clone(),
            broadcast: Broadcaster {
                run,
                reports: self.reports.clone(),
            },
            end: end.clone(),
            tasks,
        };
        let life = Life {
            run,
            commands: taken,
            spawned,
            end,
            gate: self.gate.clone(),
            reports: self.reports.clone(),
        };
        let factory = self.kinds.factory(&seed.kind);
        let task = async move {
            match factory {
                // Inside, so that a panic of the factory is the container's.
                Some(factory) => life.live(factory(context)).await,
                // The core starts no kind that the agent does not serve.
                None => EndReport::Stopped,
            }
        };
        let (uuid, kind) = (seed.uuid, seed.kind);
        let (task, mark) = self.watch.enter(kind.clone(), uuid.clone(), Box::pin(task));
        let task = self.workers.spawn(task);
        let abort = task.abort_handle();
        let reports = self.reports.clone();
        self.workers.spawn(async move {
            let how = match task.await {
                Ok(how) => how,
                Err(error) if error.is_cancelled() => EndReport::Aborted,
                Err(error) => {
                    let panic = panic_message(error.into_panic().as_ref());
                    tracing::error!(%kind, %uuid, panic, "a container panicked");
                    EndReport::Panicked(panic)
                }
            };
            let _ = reports.send(Input::Ended { run, how });
        });
        let hosted = Hosted {
            commands,
            abort,
            mark,
        };
        self.hosted.insert(run, hosted);
    }

    pub(crate) fn request(&self, run: Run, asked: Asked) {
        let closings = self.gate.closings();
        self.tell(run, Command::Request { asked, closings });
    }

    pub(crate) fn connected(&self, run: Run, client: Id) {
        self.tell(run, Command::Connected(client));
    }

    pub(crate) fn disconnected(&self, run: Run, client: Id) {
        self.tell(run, Command::Disconnected(client));
    }

    pub(crate) fn ping(&self, run: Run) {
        self.tell(run, Command::Ping);
    }

    pub(crate) fn stop(&self, run: Run) {
        self.tell(run, Command::Stop);
    }

    pub(crate) fn abort(&self, run: Run) {
        if let Some(hosted) = self.hosted.get(&run) {
            hosted.mark.aborted();
            hosted.abort.abort();
        }
    }

    pub(crate) fn ended(&mut self, run: Run) {
        self.hosted.remove(&run);
    }

    fn tell(&self, run: Run, command: Command) {
        // One that has just ended says so itself.
        if let Some(hosted) = self.hosted.get(&run) {
            let _ = hosted.commands.send(command);
        }
    }
}

struct Life {
    run: Run,
    commands: mpsc::UnboundedReceiver<Command>,
    spawned: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    end: Arc<Notify>,
    gate: Gate,
    reports: mpsc::UnboundedSender<Input>,
}

type Made = BoxFuture<'static, Result<Arc<dyn DynContainer>, crate::container::ContainerError>>;

impl Life {
    async fn live(mut self, made: Made) -> EndReport {
        let made = tokio::select! {
            made = made => made,
            // While it starts it is told nothing but to stop.
            _ = self.commands.recv() => return EndReport::Stopped,
        };
        let (container, result) = match made {
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
            container,
            gate: self.gate.clone(),
            reports: self.reports.clone(),
            running: FuturesUnordered::new(),
            requests: 0,
            held: VecDeque::new(),
            stopped: false,
        };
        while !mailbox.is_done() {
            tokio::select! {
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
                Some(piece) = mailbox.running.next(), if !mailbox.running.is_empty() => {
                    mailbox.ended(piece);
                }
                Some(task) = self.spawned.recv() => mailbox.running.push(Box::pin(async move {
                    task.await;
                    Piece::Other
                })),
                () = self.end.notified() => return EndReport::ByItself,
            }
        }
        EndReport::Stopped
    }
}

/// What a container was told and does.
struct Mailbox {
    container: Arc<dyn DynContainer>,
    gate: Gate,
    reports: mpsc::UnboundedSender<Input>,
    /// One set for all, so that what came first begins first.
    running: FuturesUnordered<BoxFuture<'static, Piece>>,
    /// How many of those are requests.
    requests: usize,
    /// Requests that the gate holds up.
    held: VecDeque<Asked>,
    stopped: bool,
}

impl Mailbox {
    fn is_done(&self) -> bool {
        self.stopped && self.requests == 0
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
            Command::Stop => {
                self.give_up_held();
                self.tell(Command::Stop);
            }
            told => self.tell(told),
        }
    }

    fn tell(&self, told: Command) {
        self.running.push(told.future(self.container.clone()));
    }

    fn begin(&mut self, asked: Asked) {
        let container = self.container.clone();
        let reports = self.reports.clone();
        self.requests += 1;
        self.running.push(Box::pin(async move {
            let call = asked.call;
            // It may have waited behind the gate, or behind one that blocked.
            let result = match asked.until.is_some_and(|until| boot_clock() > until) {
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
            Piece::Stop => self.stopped = true,
            Piece::Other => {}
        }
    }
}

/// What has come to its end.
enum Piece {
    Request,
    Stop,
    Other,
}

impl Command {
    /// What the container does with what it is told.
    fn future(self, container: Arc<dyn DynContainer>) -> BoxFuture<'static, Piece> {
        Box::pin(async move {
            match self {
                // Requests have their own way, through the gate.
                Self::Request { .. } => {}
                Self::Connected(client) => container.connected(&client).await,
                Self::Disconnected(client) => container.disconnected(&client).await,
                Self::Ping => container.ping().await,
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

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
