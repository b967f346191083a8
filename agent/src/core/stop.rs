//! How containers end: nothing but the answer to `ar`, `ct`, a new life of the uuid, the agent's
//! leaving and the container itself, when it wishes to, panics or is not well, ends one.

use huly_protocol::{
    CallExt, ContainerEvent, ErrorCode, ErrorPayload, EventKind, Json, NetworkEvent,
};

use super::container::{Container, Reason, Start, State};
use super::link::{member, read_ext};
use super::types::{AgentUpdate, Effect, EndReport, Ended, Id, Observed, Run, Token};
use super::{Agent, Deadline, error, json};

impl Agent {
    /// `ct`: answered when the container has ended.
    pub(super) fn terminate(
        &mut self,
        token: Token,
        params: &Json,
        ext: Option<&Json>,
    ) -> Result<Option<Json>, ErrorPayload> {
        let uuid: Option<String> = member(params, 0, "[uuid]")?;
        let ext: CallExt = read_ext(ext)?;
        if let Some(uuid) = &uuid {
            self.drop_held_starts_of(uuid, ext.epoch);
        }
        let known = uuid
            .as_deref()
            .and_then(|uuid| self.containers.get_mut(uuid));
        let Some(container) = known else {
            return Ok(Some(json("")));
        };
        if ext.epoch.is_some() && ext.epoch < container.epoch() {
            let message = format!("container {} lives at a higher epoch", container.uuid);
            return Err(error(ErrorCode::Gone, message));
        }
        match &mut container.state {
            State::Stopping { enders, next, .. } => {
                enders.push(token);
                // What was to follow is meant too, unless its epoch is higher.
                let spare = next
                    .as_ref()
                    .is_some_and(|next| ext.epoch.is_some() && ext.epoch < next.told.epoch);
                let dropped = if spare { None } else { next.take() };
                for waiter in dropped.map(|next| next.waiters).unwrap_or_default() {
                    self.answer_server(waiter, Err(ended_before_start()));
                }
            }
            _ => {
                let uuid = container.uuid.clone();
                self.stop(&uuid, Reason::Terminated, None);
                if let Some(State::Stopping { enders, .. }) =
                    self.containers.get_mut(&uuid).map(|c| &mut c.state)
                {
                    enders.push(token);
                }
            }
        }
        Ok(None)
    }

    /// The application ends a container: the server hears of it when it has.
    pub(super) fn terminate_here(&mut self, token: Token, uuid: &str) {
        let Some(container) = self.containers.get(uuid) else {
            let message = format!("there is no container {uuid}");
            let cause = error(ErrorCode::NoSuchContainer, message);
            return self.answer_server(token, Err(cause));
        };
        let uuid = container.uuid.clone();
        self.stop(&uuid, Reason::TerminatedHere, None);
        if let Some(State::Stopping { enders, .. }) =
            self.containers.get_mut(&uuid).map(|c| &mut c.state)
        {
            enders.push(token);
        }
    }

    /// Begins to end a container, past its mailbox: what waits in it is given up, what runs may
    /// finish within the grace.
    pub(super) fn stop(&mut self, uuid: &Id, reason: Reason, next: Option<Box<Start>>) {
        let Some(container) = self.containers.get_mut(uuid) else {
            return;
        };
        let run = container.run;
        let grace = self.now + container.termination_grace();
        let stopping = State::Stopping {
            reason,
            enders: Vec::new(),
            next,
        };
        let waiters = match std::mem::replace(&mut container.state, stopping) {
            State::Starting { waiters } => waiters,
            State::Live => Vec::new(),
            stopping @ State::Stopping { .. } => {
                // One end is enough.
                container.state = stopping;
                return;
            }
        };
        self.deadlines.insert((grace, Deadline::Stop(run)));
        // What it was handed and has not begun with is not to begin while the end is on its way.
        self.say_permit(uuid);
        self.give_up_waiting(uuid);
        if !waiters.is_empty() {
            self.observe_start(uuid, "interrupted");
        }
        for waiter in waiters {
            self.answer_server(waiter, Err(ended_before_start()));
        }
        self.effect(Effect::Stop { run });
    }

    pub(super) fn stop_is_late(&mut self, run: Run) {
        if self.container_of(run).is_some_and(|c| c.is_stopping()) {
            self.effect(Effect::Abort { run });
        }
    }

    /// Nothing of the container runs any more.
    pub(super) fn has_ended(&mut self, run: Run, how: EndReport) {
        let Some(uuid) = self.runs.remove(&run) else {
            return;
        };
        self.deadlines.ended(run);
        let Some(mut container) = self.containers.remove(&uuid) else {
            return;
        };
        self.uncount(&container.kind, container.role);
        self.fail_calls(&container, &how);
        self.answers.ended(run);
        for client in &container.connected {
            self.doors.agent().unsubscribe(client, &uuid);
        }
        self.close_door(run);
        let (reason, next) = self.last_words(&mut container, &how);
        self.effect(Effect::Observed(Observed::End {
            kind: container.kind.clone(),
            reason: reason.text(),
        }));
        self.effect(Effect::Changed(AgentUpdate::Ended(Ended {
            uuid: uuid.clone(),
            kind: container.kind.clone(),
            reason,
        })));
        if reason.is_news() {
            self.effect(Effect::Update(NetworkEvent {
                agents: Vec::new(),
                containers: vec![ContainerEvent {
                    container: container.record(&self.config, false),
                    event: EventKind::Removed,
                }],
            }));
        }
        self.follow(&container, reason, &how);
        if let Some(next) = next {
            let waiters = next.waiters.clone();
            if let Err(cause) = self.start(*next) {
                for waiter in waiters {
                    self.answer_server(waiter, Err(cause.clone()));
                }
            }
        }
        self.go_on_draining(1);
    }

    /// Answers those who wait for the end or for the start that did not come; says why it ended and
    /// what follows.
    fn last_words(
        &mut self,
        container: &mut Container,
        how: &EndReport,
    ) -> (Reason, Option<Box<Start>>) {
        match std::mem::replace(&mut container.state, State::Live) {
            State::Stopping {
                reason,
                enders,
                next,
            } => {
                for ender in enders {
                    self.answer_server(ender, Ok(json("")));
                }
                (reason, next)
            }
            State::Live => match how {
                EndReport::Panicked(_) => (Reason::Panicked, None),
                _ => (Reason::ByItself, None),
            },
            State::Starting { waiters } => {
                let what = match how {
                    EndReport::Panicked(message) => format!("panicked while starting: {message}"),
                    _ => "ended while starting".to_owned(),
                };
                let message = format!("container {} {what}", container.uuid);
                for waiter in waiters {
                    let failed = error(ErrorCode::Failed, message.clone());
                    self.answer_server(waiter, Err(failed));
                }
                self.effect(Effect::Observed(Observed::Start {
                    kind: container.kind.clone(),
                    outcome: "failed",
                }));
                (Reason::StartFailed, None)
            }
        }
    }

    fn observe_start(&mut self, uuid: &Id, outcome: &'static str) {
        if let Some(container) = self.containers.get(uuid) {
            let kind = container.kind.clone();
            self.effect(Effect::Observed(Observed::Start { kind, outcome }));
        }
    }
}

pub(super) fn ended_before_start() -> ErrorPayload {
    error(
        ErrorCode::Interrupted,
        "the container was ended before it had started",
    )
}
