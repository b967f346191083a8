//! The driver of the core: watches, the network, writes, in one loop.

mod calls;
mod events;
mod session;
mod watches;
mod writes;

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use huly_client::{Client as NetworkClient, Update};
use huly_program::Shutdown;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use self::calls::call;
use self::events::Events;
use self::writes::Writer;
use crate::args::RunArgs;
use crate::core::{Core, Effect, FeedUpdate, Input, Now};
use crate::health::Ask;
use crate::metrics::Metrics;

/// Inputs taken in before what comes of them is done.
const BATCH: usize = 4_096;
/// The gauges follow at most this often.
const SHOW: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Driver {
    args: RunArgs,
    kube: kube::Client,
    network: NetworkClient,
    metrics: Metrics,
    started: Instant,
    core: Core,
    writer: Writer,
    events: Events,
    sender: UnboundedSender<Input>,
    inputs: UnboundedReceiver<Input>,
    feed: bool,
    shown: Option<Instant>,
}

impl Driver {
    /// The driver of an operator; on a tokio runtime.
    pub(crate) fn new(
        args: RunArgs,
        kube: kube::Client,
        network: NetworkClient,
        metrics: Metrics,
    ) -> Self {
        let started = Instant::now();
        let (sender, inputs) = unbounded_channel();
        Self {
            core: Core::new(&args.network_name, now(started)),
            writer: Writer::new(kube.clone()),
            events: Events::start(kube.clone(), metrics.clone()),
            args,
            kube,
            network,
            metrics,
            started,
            sender,
            inputs,
            feed: false,
            shown: None,
        }
    }

    /// Operates until a signal; then leaves without releasing anything.
    ///
    /// # Errors
    /// When another process of the operator has taken over.
    pub(crate) async fn run(
        mut self,
        mut asks: UnboundedReceiver<Ask>,
        mut shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        watches::start(
            &self.kube,
            &self.args.network_name,
            &self.sender,
            &self.metrics,
        );
        let mut superseded = session::start(&self.network, &self.args, &self.sender).fuse();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                Some(input) = self.inputs.recv() => self.take(input),
                Some(ask) = asks.recv() => {
                    ask.answer(self.core.report());
                    continue;
                }
                () = tokio::time::sleep_until(deadline) => {}
                signal = shutdown.recv() => {
                    tracing::info!(signal, "operator ends: what it holds stays held");
                    self.inputs.close();
                    self.network.detach().await;
                    return Ok(());
                }
                Ok(why) = &mut superseded => anyhow::bail!("another operator took over: {why}"),
            }
            self.settle();
        }
    }

    fn deadline(&self) -> Instant {
        let core = self.core.deadline().map(|at| self.started + at);
        let show = self.shown.map(|at| at + SHOW);
        let idle = Instant::now() + Duration::from_secs(60);
        core.into_iter().chain(show).fold(idle, Instant::min)
    }

    fn take(&mut self, input: Input) {
        let now = now(self.started);
        self.core.handle(now, input);
        for _ in 1..BATCH {
            let Ok(input) = self.inputs.try_recv() else {
                return;
            };
            self.core.handle(now, input);
        }
    }

    fn settle(&mut self) {
        let effects = self.core.settle(now(self.started));
        let changed = !effects.is_empty();
        for effect in effects {
            self.carry_out(effect);
        }
        if !self.feed && self.core.wants_feed() {
            self.feed = true;
            self.follow_feed();
        }
        self.show(changed);
    }

    /// Shows the gauges, at once or as soon as they may be shown again.
    fn show(&mut self, changed: bool) {
        let now = Instant::now();
        match self.shown {
            Some(at) if at + SHOW > now => {}
            None if !changed => {}
            _ => {
                self.metrics.show(&self.core.report());
                self.shown = changed.then_some(now);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Count(count) => self.metrics.count(count),
            Effect::Event { claim, event } => self.events.tell(claim, event),
            Effect::WriteClaim { claim, status } => {
                let (writer, sender) = (self.writer.clone(), self.sender.clone());
                tokio::spawn(async move {
                    let outcome = writer.write_claim(claim, &status).await;
                    let _ = sender.send(Input::Outcome(outcome));
                });
            }
            Effect::WriteKind { name, uid, status } => {
                let (writer, sender) = (self.writer.clone(), self.sender.clone());
                tokio::spawn(async move {
                    let outcome = writer.write_kind(name, uid, &status).await;
                    let _ = sender.send(Input::Outcome(outcome));
                });
            }
            effect => {
                let (network, sender) = (self.network.clone(), self.sender.clone());
                tokio::spawn(async move {
                    if let Some(outcome) = call(&network, effect).await {
                        let _ = sender.send(Input::Outcome(outcome));
                    }
                });
            }
        }
    }

    fn follow_feed(&self) {
        let mut updates = self.network.updates();
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(update) = updates.next().await {
                let update = match update {
                    Update::Reset => FeedUpdate::Reset,
                    Update::Snapshot(event) => FeedUpdate::Snapshot(event),
                    Update::Event(event) => FeedUpdate::Event(event),
                };
                if sender.send(Input::Feed(update)).is_err() {
                    return;
                }
            }
        });
    }
}

fn now(started: Instant) -> Now {
    Now {
        mono: started.elapsed(),
        wall: Timestamp::now(),
    }
}
