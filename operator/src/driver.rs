//! The driver of the core: watches, the network, writes, in one loop.
//!
//! It takes turns in leading and looking on. Each turn has a core, a session and channels of its own:
//! what an earlier one began comes to nothing.

mod calls;
mod events;
mod session;
mod turn;
mod watches;
mod writes;

use std::time::Duration;

use huly_client::Client as NetworkClient;
use huly_program::Shutdown;
use huly_protocol::Secret;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use self::events::Events;
use self::turn::Turn;
use self::watches::Audience;
use self::writes::Writer;
use crate::args::RunArgs;
use crate::core::{Core, Effect, Input, Now, Report};
use crate::election::{Campaign, Candidate};
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
    /// The operators of this network, whoever leads them, are one client.
    client_id: String,
    secret: Secret,
    identity: String,
    metrics: Metrics,
    started: Instant,
    events: Events,
    campaign: Campaign,
    audience: watch::Sender<Audience>,
    turn: Turn,
    /// Why the network server did not let this one lead the last time.
    superseded: Option<String>,
    shown: Option<Instant>,
}

impl Driver {
    /// The driver of an operator, which takes part in the election of the leader; on a tokio runtime.
    pub(crate) fn start(
        args: RunArgs,
        kube: kube::Client,
        client_id: String,
        secret: Secret,
        metrics: Metrics,
        candidate: Candidate,
    ) -> Self {
        let started = Instant::now();
        let turn = Turn::of_follower(Core::new(&args.network_name, false, now(started)));
        let (audience, watched) = watch::channel(turn.audience(0));
        watches::start(&kube, &args.network_name, &watched, &metrics);
        Self {
            events: Events::start(kube.clone(), metrics.clone()),
            args,
            kube,
            client_id,
            secret,
            identity: candidate.identity.clone(),
            metrics,
            started,
            campaign: Campaign::start(candidate),
            audience,
            turn,
            superseded: None,
            shown: None,
        }
    }

    /// Operates until a signal; then leaves without releasing any reference.
    pub(crate) async fn run(mut self, mut asks: UnboundedReceiver<Ask>, mut shutdown: Shutdown) {
        loop {
            let deadline = self.deadline();
            tokio::select! {
                Some(input) = self.turn.inputs.recv() => self.take(input),
                Some(ask) = asks.recv() => {
                    ask.answer(self.report());
                    continue;
                }
                () = tokio::time::sleep_until(deadline) => {}
                Ok(()) = self.campaign.standing.changed() => self.take_turns(),
                signal = shutdown.recv() => {
                    tracing::info!(signal, "operator ends: what it holds stays held");
                    return self.leave().await;
                }
                Ok(why) = &mut self.turn.superseded => {
                    tracing::error!("the network server does not let this operator lead: {why}");
                    self.superseded = Some(why);
                    self.campaign.superseded();
                }
            }
            self.settle();
        }
    }

    /// Another one may lead as soon as this one does nothing any more.
    async fn leave(self) {
        self.turn.end().await;
        self.campaign.leave().await;
    }

    /// Begins to lead, or to look on, as the campaign says.
    fn take_turns(&mut self) {
        let leadership = self
            .campaign
            .standing
            .borrow_and_update()
            .leadership
            .clone();
        let number = leadership.as_ref().map(|leadership| leadership.number);
        if number == self.turn.number() {
            return;
        }
        let core = Core::new(&self.args.network_name, number.is_some(), now(self.started));
        let (turn, floor) = match leadership {
            None => (Turn::of_follower(core), 0),
            Some(leadership) => {
                self.superseded = None;
                let network = NetworkClient::builder(&self.args.network)
                    .client_id(self.client_id.clone())
                    .control_secret(self.secret.clone())
                    .fencing(leadership.number)
                    .build();
                let floor = leadership.version;
                let terms = self.args.terms();
                let patience = terms.duration.saturating_sub(terms.renew_deadline);
                let writer = Writer::new(self.kube.clone(), leadership.tenure.clone(), patience);
                (
                    Turn::of_leader(core, network, leadership, writer, &self.args),
                    floor,
                )
            }
        };
        let before = std::mem::replace(&mut self.turn, turn);
        tokio::spawn(before.end());
        // The watches list anew.
        self.audience.send_replace(self.turn.audience(floor));
    }

    fn report(&self) -> Report {
        let standing = self.campaign.standing.borrow();
        let mut report = self.turn.core.report();
        report.waits.extend(standing.trouble.clone());
        report.role = match (&standing.leadership, &standing.holder) {
            (Some(leadership), _) => format!("leads, fencing number {}", leadership.number),
            (None, Some(holder)) if *holder != self.identity => {
                format!("looks on: {holder} leads")
            }
            (None, _) => {
                report.waits.push("an operator to lead".to_owned());
                report.waits.extend(self.superseded.clone());
                "looks on: nobody leads".to_owned()
            }
        };
        report
    }

    fn deadline(&self) -> Instant {
        let core = self.turn.core.deadline().map(|at| self.started + at);
        let show = self.shown.map(|at| at + SHOW);
        let idle = Instant::now() + Duration::from_secs(60);
        core.into_iter().chain(show).fold(idle, Instant::min)
    }

    fn take(&mut self, input: Input) {
        let (now, turn) = (now(self.started), &mut self.turn);
        turn.core.handle(now, input);
        for _ in 1..BATCH {
            let Ok(input) = turn.inputs.try_recv() else {
                return;
            };
            turn.core.handle(now, input);
        }
    }

    fn settle(&mut self) {
        let effects = self.turn.core.settle(now(self.started));
        let changed = !effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Count(count) => self.metrics.count(count),
                Effect::Event { claim, event } if self.turn.leads() => {
                    self.events.tell(claim, event)
                }
                effect => self.turn.carry_out(effect),
            }
        }
        self.turn.follow_feed();
        self.show(changed);
    }

    /// Shows the gauges, at once or as soon as they may be shown again.
    fn show(&mut self, changed: bool) {
        let now = Instant::now();
        match self.shown {
            Some(at) if at + SHOW > now => {}
            None if !changed => {}
            _ => {
                self.metrics.show(&self.turn.core.report());
                self.shown = changed.then_some(now);
            }
        }
    }
}

fn now(started: Instant) -> Now {
    Now {
        mono: started.elapsed(),
        wall: Timestamp::now(),
    }
}
