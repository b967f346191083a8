//! The serving loop: what comes in from everywhere goes through the core, what it says is done.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use futures::FutureExt;
use huly_client::Clock;
use huly_protocol::{ContainerRecord, lease};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};

use crate::container::ContainerError;
use crate::core::{Agent, AgentUpdate, Door, Effect, Gate, Input, Run, Seed, ServerCall, Token};
use crate::runtime::doors::Doors;
use crate::runtime::gate::Gatekeeper;
use crate::runtime::hosting::Hosting;
use crate::runtime::link::{Link, LinkCall, LinkInput, Reply};
use crate::runtime::metrics::Metrics;
use crate::runtime::router::Router;

/// However short a server says that leases are.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// How long the agent waits, as it leaves, for containers that it has aborted. One that blocks its
/// worker for longer sees that the gate is closed as it goes on.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// What the agent's handle and its health ask of the loop.
pub(crate) enum Control {
    /// How it is.
    Ask(oneshot::Sender<State>),
    /// What it serves, of one kind or of all.
    List {
        kind: Option<String>,
        answer: oneshot::Sender<Vec<ContainerRecord>>,
    },
    /// As the server would; answered like it.
    Call(LinkCall),
    /// End a container.
    Terminate { uuid: String, reply: Reply },
    /// Tell what becomes of containers from now on.
    Watch(mpsc::UnboundedSender<AgentUpdate>),
    /// Leave: end the containers, unregister, close.
    Drain,
    /// Say when the server knows it.
    WhenKnown(oneshot::Sender<()>),
}

/// How the agent is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    pub(crate) registered: bool,
    pub(crate) fenced: bool,
    pub(crate) draining: bool,
    pub(crate) containers: usize,
}

/// All that the loop works with.
pub(crate) struct Serving {
    pub(crate) agent: Agent,
    pub(crate) link: Link,
    pub(crate) router: Router,
    pub(crate) doors: Doors,
    pub(crate) hosting: Hosting,
    pub(crate) gatekeeper: Gatekeeper,
    pub(crate) reports: mpsc::UnboundedReceiver<Input>,
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) watchers: Vec<mpsc::UnboundedSender<AgentUpdate>>,
    pub(crate) tick: Interval,
    /// Which source is looked at first.
    pub(crate) turn: usize,
}

enum Next {
    Input(Input),
    Link(LinkInput),
    Tick,
    Control(Control),
    Nothing,
}

impl Serving {
    /// Serves until the agent has left or its handle is gone.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let outcome = self.serve().await;
        let left = matches!(outcome, Ok(true));
        // Without the agent an application's session lives on, and the server would wait for it.
        if left || self.link.is_shared() {
            // As soon as the server hears of it, its containers may live elsewhere.
            self.gatekeeper.close();
            self.hosting.abort_all();
            let ended = self.hosting.all_ended(&mut self.reports);
            if tokio::time::timeout(ABORT_TIMEOUT, ended).await.is_err() {
                tracing::warn!("the agent leaves though containers block their workers");
            }
            self.link.leave().await;
        }
        outcome.map(drop)
    }

    /// Says whether the agent has ended all that it hosted, as it was asked to.
    async fn serve(&mut self) -> anyhow::Result<bool> {
        let mut desk = Desk::default();
        let drained = loop {
            let Some(next) = self.next().await? else {
                return Ok(false);
            };
            if self.take(&mut desk, next)? {
                break self.link.heard();
            }
        };
        // Requests that the server had sent before it knew of the last end are on their way. They
        // are refused, for then it knows that they did not run.
        let mut drained = pin!(drained);
        loop {
            let next = tokio::select! {
                biased;
                () = &mut drained => break,
                next = self.next() => next?,
            };
            let Some(next) = next else { break };
            self.take(&mut desk, next)?;
        }
        while let Some(input) = self.link.next().now_or_never() {
            match input {
                LinkInput::Call(_) => self.take(&mut desk, Next::Link(input))?,
                // Nothing is left to register.
                LinkInput::Core(_) => continue,
                LinkInput::Over => break,
            };
        }
        self.set_metrics();
        Ok(true)
    }

    /// Returns whether the agent has ended all that it hosted, as it was asked to.
    fn take(&mut self, desk: &mut Desk, next: Next) -> anyhow::Result<bool> {
        let input = match next {
            Next::Nothing => return Ok(false),
            Next::Control(Control::Ask(answer)) => {
                // Who asked may have given up.
                let _ = answer.send(self.state());
                return Ok(false);
            }
            Next::Control(Control::List { kind, answer }) => {
                let _ = answer.send(self.agent.records(kind.as_deref()));
                return Ok(false);
            }
            Next::Control(Control::Watch(watcher)) => {
                self.watchers.push(watcher);
                return Ok(false);
            }
            Next::Control(Control::Call(call)) | Next::Link(LinkInput::Call(call)) => {
                desk.call(call)
            }
            Next::Control(Control::Terminate { uuid, reply }) => {
                let token = desk.token(reply);
                Input::Terminate { token, uuid }
            }
            Next::Control(Control::Drain) => Input::Drain,
            Next::Control(Control::WhenKnown(waits)) => {
                desk.waiting.push(waits);
                Input::Wake
            }
            Next::Tick => {
                self.set_metrics();
                Input::Wake
            }
            Next::Input(input) | Next::Link(LinkInput::Core(input)) => input,
            Next::Link(LinkInput::Over) => {
                anyhow::bail!("the session with the network server is over for good")
            }
        };
        Ok(self.handle(desk, input))
    }

    /// Nothing when the agent's handle is gone.
    async fn next(&mut self) -> anyhow::Result<Option<Next>> {
        let router = pin!(async {
            let input = self.router.next().await;
            let input = input.context("the agent's ROUTER failed")?;
            Ok(input.map_or(Next::Nothing, Next::Input))
        });
        let link = pin!(async { Ok(Next::Link(self.link.next().await)) });
        // The doors hold a sender themselves, as the loop does, so there is always one.
        let doors = pin!(async {
            let input = self.doors.next().await;
            Ok(input.map_or(Next::Nothing, Next::Input))
        });
        let reports = pin!(async {
            let input = self.reports.recv().await;
            Ok(input.map_or(Next::Nothing, Next::Input))
        });
        self.turn = self.turn.wrapping_add(1);
        tokio::select! {
            // These come rarely.
            biased;
            _ = self.tick.tick() => Ok(Some(Next::Tick)),
            control = self.control.recv() => Ok(control.map(Next::Control)),
            next = in_turn(self.turn, [router, doors, link, reports]) => next.map(Some),
        }
    }

    fn set_metrics(&self) {
        let waiting = self.hosting.waiting();
        self.metrics.set(&self.agent.figures(), waiting);
    }

    fn state(&self) -> State {
        let figures = self.agent.figures();
        State {
            registered: figures.registered,
            fenced: figures.fenced,
            draining: figures.draining,
            containers: figures.containers.values().sum(),
        }
    }

    /// Returns whether the agent has ended all that it hosted, as it was asked to.
    fn handle(&mut self, desk: &mut Desk, input: Input) -> bool {
        let mut drained = false;
        if let Input::Ended { run, .. } = &input {
            self.hosting.ended(*run);
        }
        let mut effects = std::mem::take(&mut desk.effects);
        let now = self.clock.now();
        self.agent.handle(now, input, &mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Drained => drained = true,
                effect => self.effect(desk, effect),
            }
        }
        desk.effects = effects;
        // Only now: workers believe that the lease was judged.
        self.gatekeeper.awake(now);
        if !desk.waiting.is_empty() && self.agent.is_known() {
            for waits in desk.waiting.drain(..) {
                // Who waited may have given up.
                let _ = waits.send(());
            }
        }
        drained
    }

    fn start(&mut self, run: Run, seed: Seed) {
        if !self.hosting.has_own_router(&seed.kind) {
            return self.hosting.start(run, seed);
        }
        match self.doors.open(run) {
            Ok(port) => {
                self.hosting.report(Input::Opened { run, port });
                self.hosting.start(run, seed);
            }
            Err(error) => {
                let message = format!("no port to listen on: {error}");
                self.hosting.refuse(run, ContainerError::new(message));
            }
        }
    }

    fn gate(&mut self, gate: Gate) {
        let before = self.gatekeeper.set(gate);
        if before.length != gate.length {
            self.tick = ticks(gate.length);
        }
        match (before.open, gate.open) {
            (false, true) => tracing::info!("registered after the pause; requests go on"),
            (true, false) => tracing::warn!(
                "the agent was paused for longer than its lease; nothing is dispatched \
                 until it is registered again"
            ),
            _ => {}
        }
    }

    fn effect(&mut self, desk: &mut Desk, effect: Effect) {
        match effect {
            Effect::Register(registration) => self.link.register(registration),
            Effect::Update(event) => self.link.update(event),
            Effect::AnnounceDrain => self.link.drain(),
            Effect::DrainIsLate { containers } => {
                tracing::warn!(containers, "leaving takes too long: containers are aborted");
            }
            Effect::Drained => {}
            Effect::Answer { token, result } => {
                if let Some(reply) = desk.replies.remove(&token) {
                    reply.answer(result);
                }
            }
            Effect::Send { conn, frame } => match conn.door {
                Door::Agent => self.router.send(&conn.name, frame),
                Door::Container(run) => self.doors.send(run, conn.name, frame),
            },
            Effect::CloseDoor { run } => self.doors.close(run),
            Effect::Gate(gate) => self.gate(gate),
            Effect::Permit { run, permit } => {
                self.hosting.permit(run, permit);
                self.gatekeeper.remind();
            }
            Effect::Start { run, seed } => self.start(run, *seed),
            Effect::Activate { run, seed } => self.hosting.activate(run, seed),
            Effect::Dispatch { run, asked } => self.hosting.request(run, asked),
            Effect::Connected { run, client } => self.hosting.connected(run, client),
            Effect::Disconnected { run, client } => self.hosting.disconnected(run, client),
            Effect::Ping { run, within } => self.hosting.ping(run, within),
            Effect::Unwell { kind, uuid, cause } => {
                tracing::warn!(%kind, %uuid, cause, "a container's ping failed: it is ended");
            }
            Effect::Stop { run } => self.hosting.stop(run),
            Effect::Abort { run } => self.hosting.abort(run),
            Effect::Changed(update) => {
                self.watchers
                    .retain(|watcher| watcher.send(update.clone()).is_ok());
            }
            Effect::Observed(observed) => self.metrics.observe(&observed),
        }
    }
}

/// When the thread wakes, where leases are that long.
pub(crate) fn ticks(lease: Duration) -> Interval {
    let mut ticks = tokio::time::interval(lease::tick(lease).max(SHORTEST_TICK));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The first that is ready, from another one on each time: none keeps the others from their turn.
/// Chance would do that too, but no test could repeat its run.
async fn in_turn<T, const N: usize>(
    turn: usize,
    mut all: [Pin<&mut (dyn Future<Output = T> + Send)>; N],
) -> T {
    poll_fn(|context| {
        for next in 0..N {
            let source = &mut all[turn.wrapping_add(next) % N];
            if let Poll::Ready(ready) = source.as_mut().poll(context) {
                return Poll::Ready(ready);
            }
        }
        Poll::Pending
    })
    .await
}

/// What the loop remembers between two inputs.
#[derive(Default)]
struct Desk {
    effects: Vec<Effect>,
    /// Calls of the server without an answer.
    replies: HashMap<Token, Reply>,
    tokens: u64,
    /// Who waits until the server knows the agent.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Desk {
    fn token(&mut self, reply: Reply) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.replies.insert(token, reply);
        token
    }

    fn call(&mut self, call: LinkCall) -> Input {
        Input::Call(ServerCall {
            token: self.token(call.reply),
            method: call.method,
            params: call.params,
            ext: call.ext,
        })
    }
}
