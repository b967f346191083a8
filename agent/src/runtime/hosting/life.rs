//! A container's task: it runs what the mailbox says, and tells it what came of that.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use huly_client::CallChain;
use huly_protocol::ErrorPayload;
use tokio::sync::{Notify, mpsc};

use crate::container::{Activation, Call, ContainerError, DynContainer};
use crate::core::mailbox::{self, Effect, Hook, Mailbox};
use crate::core::{Asked, EndReport, Id, Input, Run};
use crate::kinds::Made;
use crate::runtime::gate::Gate;
use crate::runtime::hosting::queue::Queue;
use crate::runtime::hosting::{activation, panic_message};

/// What a container's task works with.
pub(super) struct Life {
    pub(super) run: Run,
    pub(super) uuid: Id,
    pub(super) serial: bool,
    pub(super) commands: mpsc::UnboundedReceiver<mailbox::Input>,
    pub(super) spawned: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    pub(super) end: Arc<Notify>,
    pub(super) gate: Gate,
    pub(super) queue: Arc<Queue>,
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
        let mut work = Work {
            run: self.run,
            uuid: self.uuid,
            container,
            gate: self.gate.clone(),
            queue: self.queue.clone(),
            reports: self.reports.clone(),
            mailbox: Mailbox::new(self.serial),
            running: FuturesUnordered::new(),
            inputs: VecDeque::new(),
            effects: Vec::new(),
        };
        while !work.mailbox.is_done() {
            let wake = work.mailbox.next_wake();
            tokio::select! {
                // In one order, so that a test's run can be repeated. What comes first cannot keep
                // the rest out: what ends has begun by a command, and when all that runs was polled
                // once, FuturesUnordered lets others in.
                biased;
                Some(piece) = work.running.next(), if !work.running.is_empty() => {
                    work.ended(piece);
                    work.go_on();
                }
                () = self.end.notified() => return EndReport::ByItself,
                command = self.commands.recv() => match command {
                    Some(command) => work.take(command),
                    // The agent's thread has ended.
                    None => return EndReport::Aborted,
                },
                () = self.gate.opened(), if work.mailbox.waits_for_gate() => {
                    // What was said before the gate opened comes first: it may be the end.
                    let closings = self.gate.closings();
                    while let Ok(command) = self.commands.try_recv() {
                        work.take(command);
                    }
                    work.take(mailbox::Input::CaughtUp { closings });
                }
                () = work.gate.sleep_until(wake.unwrap_or_default()), if wake.is_some() => {
                    work.take(mailbox::Input::Wake);
                }
                Some(task) = self.spawned.recv() => {
                    work.start(async move {
                        task.await;
                        Piece::Other
                    });
                    work.go_on();
                }
            }
        }
        EndReport::Stopped
    }
}

/// What a container does, and the mailbox by which it is told to.
struct Work {
    run: Run,
    uuid: Id,
    container: Arc<dyn DynContainer>,
    gate: Gate,
    queue: Arc<Queue>,
    reports: mpsc::UnboundedSender<Input>,
    mailbox: Mailbox,
    /// What has begun and was not done at once.
    running: FuturesUnordered<BoxFuture<'static, Piece>>,
    /// What the mailbox is still to be told.
    inputs: VecDeque<mailbox::Input>,
    effects: Vec<Effect>,
}

impl Work {
    fn take(&mut self, input: mailbox::Input) {
        self.inputs.push_back(input);
        self.go_on();
    }

    /// Tells the mailbox what it is to know, with all that follows.
    fn go_on(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            let mut effects = std::mem::take(&mut self.effects);
            self.mailbox.handle(self.gate.moment(), input, &mut effects);
            for effect in effects.drain(..) {
                self.effect(effect);
            }
            self.effects = effects;
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Begin(asked) => {
                self.queue.left();
                self.begin(asked);
                if self.inputs.is_empty() && self.mailbox.waits_for_gate() {
                    self.inputs.push_back(mailbox::Input::Wake);
                }
            }
            Effect::Refuse { call, cause } => {
                self.queue.left();
                let result = Err(cause);
                let _ = self.reports.send(Input::Answered { call, result });
            }
            Effect::Hook(hook) => self.start(told(hook, self.container.clone())),
            Effect::Ping { within } => self.ping(within),
            Effect::Stop => {
                let container = self.container.clone();
                self.start(async move {
                    container.stop().await;
                    Piece::Stop
                });
            }
        }
    }

    /// Begins with something here and now: what it is judged by holds, and nothing overtakes it.
    fn start(&mut self, piece: impl Future<Output = Piece> + Send + 'static) {
        let mut piece = piece.boxed();
        match (&mut piece).now_or_never() {
            Some(piece) => self.ended(piece),
            // Polled again there, by which it learns whom to wake.
            None => self.running.push(piece),
        }
    }

    fn begin(&mut self, asked: Asked) {
        let container = self.container.clone();
        let reports = self.reports.clone();
        let call = asked.call;
        let chain = CallChain::of(asked.chain.clone(), self.uuid.clone(), call.0);
        self.start(chain.clone().scope(async move {
            let result = container.request(asked.into()).await;
            chain.answered();
            let result = result.map_err(ErrorPayload::from);
            let _ = reports.send(Input::Answered { call, result });
            Piece::Request
        }));
    }

    fn ping(&mut self, within: Duration) {
        let container = self.container.clone();
        // The time counts from when it is asked, so that one does not die of a worker that another
        // one blocks.
        self.start(async move {
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
        });
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

    fn ended(&mut self, piece: Piece) {
        let input = match piece {
            Piece::Request => mailbox::Input::Ended,
            Piece::Ping(answer) => {
                if let Err(how) = answer {
                    self.is_unwell(how);
                }
                mailbox::Input::Pinged
            }
            Piece::Activated(result) => {
                if result.is_err() {
                    self.inputs.push_back(mailbox::Input::ActivationFailed);
                }
                let result = result.map_err(ErrorPayload::from);
                let run = self.run;
                let _ = self.reports.send(Input::Started { run, result });
                return;
            }
            Piece::Stop => mailbox::Input::Stopped,
            Piece::Other => return,
        };
        self.inputs.push_back(input);
    }
}

/// What has come to its end.
enum Piece {
    Request,
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

/// What the container does with what it is told.
async fn told(hook: Hook, container: Arc<dyn DynContainer>) -> Piece {
    match hook {
        Hook::Activated(seed) => {
            return Piece::Activated(container.activated(activation(&seed)).await);
        }
        Hook::Connected(client) => container.connected(&client).await,
        Hook::Disconnected(client) => container.disconnected(&client).await,
    }
    Piece::Other
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
