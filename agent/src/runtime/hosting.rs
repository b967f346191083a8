//! Containers on the workers, each a task of its own.

mod life;
mod queue;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use crate::container::{Activation, Broadcaster, ContainerContext, ContainerError};
use crate::core::mailbox::{self, Hook};
use crate::core::{Asked, EndReport, Id, Input, Permit, Role, Run, Seed};
use crate::kinds::Kinds;
use crate::runtime::gate::Gate;
use crate::runtime::watchdog::{Mark, Watch};
use life::Life;
use queue::{Queue, Queues};

struct Hosted {
    commands: mpsc::UnboundedSender<mailbox::Input>,
    abort: AbortHandle,
    mark: Arc<Mark>,
    gate: Gate,
    queue: Arc<Queue>,
}

/// The containers that run.
pub(crate) struct Hosting {
    workers: Handle,
    kinds: Kinds,
    agent: String,
    gate: Gate,
    reports: mpsc::UnboundedSender<Input>,
    watch: Watch,
    hosted: BTreeMap<Run, Hosted>,
    queues: Queues,
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
            hosted: BTreeMap::new(),
            queues: Queues::default(),
        }
    }

    pub(crate) fn start(&mut self, run: Run, seed: Seed) {
        let (commands, taken) = mpsc::unbounded_channel();
        let (tasks, spawned) = mpsc::unbounded_channel();
        let end = Arc::new(Notify::new());
        let context = ContainerContext {
            uuid: seed.uuid.to_string(),
            kind: seed.kind.to_string(),
            labels: seed.labels.clone(),
            extra: seed.extra.clone(),
            epoch: seed.epoch,
            agent: self.agent.clone(),
            broadcast: Broadcaster {
                run,
                reports: self.reports.clone(),
            },
            end: end.clone(),
            tasks,
        };
        let gate = self.gate.of_container();
        let queue = self.queues.of_container();
        let life = Life {
            run,
            uuid: seed.uuid.clone(),
            serial: seed.serial,
            commands: taken,
            spawned,
            end,
            gate: gate.clone(),
            queue: queue.clone(),
            reports: self.reports.clone(),
        };
        let factory = self.kinds.factory_of(&seed.kind, &seed.uuid);
        let owns = (seed.role == Role::Owner).then(|| activation(&seed));
        let task = async move {
            match factory {
                // Inside, so that a panic of the factory is the container's.
                Some(factory) => life.live(factory(context), owns).await,
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
            gate,
            queue,
        };
        self.hosted.insert(run, hosted);
    }

    /// Whether containers of the kind listen themselves.
    pub(crate) fn has_own_router(&self, kind: &str) -> bool {
        self.kinds.has_own_router(kind)
    }

    /// Says something of a container, before what the container says itself from now on.
    pub(crate) fn report(&self, input: Input) {
        let _ = self.reports.send(input);
    }

    /// A container that cannot be started.
    pub(crate) fn refuse(&self, run: Run, cause: ContainerError) {
        self.report(Input::Started {
            run,
            result: Err(cause.into()),
        });
        self.report(Input::Ended {
            run,
            how: EndReport::Stopped,
        });
    }

    pub(crate) fn activate(&self, run: Run, seed: Box<Seed>) {
        self.tell(run, mailbox::Input::Hook(Hook::Activated(seed)));
    }

    pub(crate) fn request(&self, run: Run, asked: Asked) {
        let closings = self.gate.closings();
        if let Some(hosted) = self.hosted.get(&run) {
            hosted.queue.come();
        }
        self.tell(run, mailbox::Input::Request { asked, closings });
    }

    /// Requests that containers were handed and have not begun with: those that wait for a serial one,
    /// for the gate, or for a worker.
    pub(crate) fn waiting(&self) -> usize {
        self.queues.waiting()
    }

    /// What it may begin with.
    pub(crate) fn permit(&self, run: Run, permit: Permit) {
        if let Some(hosted) = self.hosted.get(&run) {
            hosted.gate.set_permit(permit);
        }
    }

    pub(crate) fn connected(&self, run: Run, client: Id) {
        self.tell(run, mailbox::Input::Hook(Hook::Connected(client)));
    }

    pub(crate) fn disconnected(&self, run: Run, client: Id) {
        self.tell(run, mailbox::Input::Hook(Hook::Disconnected(client)));
    }

    pub(crate) fn ping(&self, run: Run, within: Duration) {
        self.tell(run, mailbox::Input::Ping { within });
    }

    pub(crate) fn stop(&self, run: Run) {
        self.tell(run, mailbox::Input::Stop);
    }

    pub(crate) fn abort(&self, run: Run) {
        if let Some(hosted) = self.hosted.get(&run) {
            hosted.mark.aborted();
            hosted.abort.abort();
        }
    }

    /// Whoever runs this goes, and what runs here with it.
    pub(crate) fn abort_all(&self) {
        for hosted in self.hosted.values() {
            hosted.abort.abort();
        }
    }

    /// Waits until none runs any more.
    pub(crate) async fn all_ended(&mut self, reports: &mut mpsc::UnboundedReceiver<Input>) {
        while !self.hosted.is_empty() {
            match reports.recv().await {
                Some(Input::Ended { run, .. }) => self.ended(run),
                Some(_) => {}
                None => return,
            }
        }
    }

    pub(crate) fn ended(&mut self, run: Run) {
        self.hosted.remove(&run);
    }

    fn tell(&self, run: Run, command: mailbox::Input) {
        // One that has just ended says so itself.
        if let Some(hosted) = self.hosted.get(&run) {
            let _ = hosted.commands.send(command);
        }
    }
}

fn activation(seed: &Seed) -> Activation {
    Activation {
        epoch: seed.epoch,
        labels: seed.labels.clone(),
        extra: seed.extra.clone(),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
