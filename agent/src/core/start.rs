//! Gets of the server: containers are found or started.

use huly_protocol::{Epoch, ErrorCode, ErrorPayload, GetRequest, GotContainer, Json, StartExt};
use uuid::Uuid;

use super::container::{Container, Reason, Start, State};
use super::link::{member, read_ext};
use super::stop::ended_before_start;
use super::types::{AgentUpdate, Effect, Id, Observed, Role, Run, ServerCall, Token};
use super::{Agent, Deadline, error, json};

/// The longest uuid, in bytes.
const MAX_UUID: usize = 1_024;

/// The parameters of a get, for messages.
const SHAPE: &str = "[kind, request]";

/// What a get answers at once (nothing where it waits).
type Done = Result<Option<Json>, ErrorPayload>;

impl Agent {
    pub(super) fn get(&mut self, token: Token, params: &Json, ext: Option<&Json>) -> Done {
        let kind: String = member(params, 0, SHAPE)?.ok_or_else(|| {
            let message = format!("wrong parameters, {SHAPE} was expected");
            error(ErrorCode::BadRequest, message)
        })?;
        let request: GetRequest = member(params, 1, SHAPE)?.unwrap_or_default();
        let told: StartExt = read_ext(ext)?;
        if let Some(epoch) = told.epoch {
            if epoch.term < self.term {
                let message = format!(
                    "a server of term {} asks; the agent knows term {}",
                    epoch.term, self.term
                );
                return Err(error(ErrorCode::Superseded, message));
            }
            self.term = epoch.term;
        }
        let uuid = match &request.uuid {
            Some(uuid) => Id::from(uuid.as_str()),
            None => self.fitting(&kind, request.labels.as_deref().unwrap_or_default()),
        };
        if uuid.is_empty() || uuid.len() > MAX_UUID {
            let message = format!("a container's uuid has 1 to {MAX_UUID} bytes");
            return Err(error(ErrorCode::BadRequest, message));
        }
        let start = Start {
            uuid: uuid.clone(),
            kind: Id::from(kind),
            request,
            told,
            waiters: vec![token],
            asked_after: self.registrations,
            confirmed: true,
        };
        if self.containers.contains_key(&uuid) {
            self.is_ours(&uuid, start.told.epoch);
            return self.get_known(token, start);
        }
        self.start(start)
    }

    /// A container of the kind that has the labels (W14), else a uuid for a new one.
    fn fitting(&mut self, kind: &str, labels: &[String]) -> Id {
        let found = self.containers.values().find(|container| {
            *container.kind == *kind
                && !container.is_stopping()
                && !container.is_standby()
                && container.has_labels(labels)
        });
        if let Some(container) = found {
            return container.uuid.clone();
        }
        let number = self.next_number();
        let name = format!("container {number}");
        Id::from(Uuid::new_v5(&self.config.instance, name.as_bytes()).to_string())
    }

    /// A get of a uuid that the agent has.
    ///
    /// At a higher epoch it is a new life of the uuid: the server gave up the one that runs here.
    /// The old copy is ended and a new one started, though adopting it would be quicker: the callers
    /// of the old life were told that their requests' outcome is unknown, and those may still run.
    /// In the new life they must not, nor may its state be half theirs.
    fn get_known(&mut self, token: Token, start: Start) -> Done {
        let now = self.now;
        let still = format!(
            "still stopping on {}: container {}",
            self.config.agent, start.uuid
        );
        let Some(container) = self.containers.get_mut(&start.uuid) else {
            return self.start(start);
        };
        let known = container.epoch();
        if start.told.epoch.is_some() && start.told.epoch < known {
            let message = format!("container {} lives at a higher epoch here", start.uuid);
            return Err(error(ErrorCode::Gone, message));
        }
        if container.is_standby() {
            return match container.state {
                State::Stopping { .. } => Err(error(ErrorCode::Busy, still)),
                _ => self.activate(start),
            };
        }
        let anew = start.told.epoch.is_some() && start.told.epoch > known;
        match &mut container.state {
            State::Stopping {
                next: Some(next), ..
            } => {
                if start.told.epoch > next.told.epoch {
                    let waiters = std::mem::replace(&mut **next, start).waiters;
                    let gone = error(ErrorCode::Gone, "the container was placed anew meanwhile");
                    for waiter in waiters {
                        self.answer_server(waiter, Err(gone.clone()));
                    }
                } else {
                    next.waiters.push(token);
                }
                Ok(None)
            }
            State::Stopping { .. } => Err(error(ErrorCode::Busy, still)),
            _ if anew => {
                let uuid = start.uuid.clone();
                self.stop(&uuid, Reason::Replaced, Some(Box::new(start)));
                Ok(None)
            }
            State::Starting { waiters } => {
                waiters.push(token);
                Ok(None)
            }
            State::Live => {
                container.last_visit = now;
                let run = container.run;
                let answer = got(container);
                self.ping_now(run);
                Ok(Some(answer))
            }
        }
    }

    /// Starts a container, or says why not.
    pub(super) fn start(&mut self, start: Start) -> Done {
        if self.drain.is_on() {
            let message = format!("agent {} leaves and takes nothing new", self.config.agent);
            return Err(error(ErrorCode::Busy, message));
        }
        let role = self.role_of(&start);
        let of_uuid = self.config.stateless.get(&*start.uuid);
        let made_for_it = of_uuid.is_some_and(|kind| **kind == *start.kind);
        if !self.config.kinds.contains(&*start.kind) && !made_for_it {
            let message = format!(
                "agent {} does not serve kind {}",
                self.config.agent, start.kind
            );
            return Err(error(ErrorCode::NoSuchKind, message));
        }
        self.launch(start, role);
        Ok(None)
    }

    pub(super) fn launch(&mut self, start: Start, role: Role) {
        let run = Run(self.next_number());
        let mut container = Container::new(start, run, role, &self.config, self.now);
        container.starts_until = self.now + container.start_timeout();
        self.deadlines
            .insert((container.starts_until, Deadline::Start(run)));
        self.effect(Effect::Start {
            run,
            seed: Box::new(container.seed()),
        });
        self.count(&container.kind, role);
        self.runs.insert(run, container.uuid.clone());
        let uuid = container.uuid.clone();
        self.containers.insert(uuid.clone(), container);
        self.say_permit(&uuid);
    }

    pub(super) fn has_started(&mut self, run: Run, result: Result<(), ErrorPayload>) {
        let registrations = self.registrations;
        let Some(container) = self.container_of(run) else {
            return;
        };
        let State::Starting { waiters } = &mut container.state else {
            // It is being ended: what it says of its start does not matter any more.
            return;
        };
        let waiters = std::mem::take(waiters);
        let (uuid, kind) = (container.uuid.clone(), container.kind.clone());
        let answer = match result {
            Ok(()) => {
                container.state = State::Live;
                // The answer to no call says that something stands by.
                let unsaid = container.is_standby() && registrations > 0;
                let left_out = unsaid || container.asked_after < registrations;
                let answer = got(container);
                let endpoint = container.endpoint.clone();
                self.effect(Effect::Changed(AgentUpdate::Started {
                    uuid: uuid.clone(),
                    kind: kind.clone(),
                    endpoint,
                }));
                if left_out {
                    self.report_soon();
                }
                Ok(answer)
            }
            Err(mut cause) => {
                container.state = State::Stopping {
                    reason: Reason::StartFailed,
                    enders: Vec::new(),
                    next: None,
                };
                cause.message = format!("container {uuid} could not start: {}", cause.message);
                Err(cause)
            }
        };
        let outcome = if answer.is_ok() { "ok" } else { "failed" };
        self.effect(Effect::Observed(Observed::Start { kind, outcome }));
        for waiter in waiters {
            self.answer_server(waiter, answer.clone());
        }
        if answer.is_err() {
            return;
        }
        for client in self.present_clients(&uuid) {
            self.tell_connected(&uuid, &client);
        }
        self.dispatch_waiting(&uuid);
        self.ping_first(run);
    }

    pub(super) fn start_is_late(&mut self, run: Run) {
        let (agent, now) = (self.config.agent.clone(), self.now);
        // What stood by starts a second time: then its first start's time says nothing.
        let container = self.container_of(run);
        let Some(container) = container.filter(|c| c.starts_until <= now) else {
            return;
        };
        let State::Starting { waiters } = &mut container.state else {
            return;
        };
        let waiters = std::mem::take(waiters);
        let message = format!(
            "container {} had not started on {agent} after {} ms",
            container.uuid,
            container.start_timeout().as_millis()
        );
        let kind = container.kind.clone();
        container.state = State::Stopping {
            reason: Reason::StartTimeout,
            enders: Vec::new(),
            next: None,
        };
        for waiter in waiters {
            let late = error(ErrorCode::TimedOut, message.clone());
            self.answer_server(waiter, Err(late));
        }
        self.effect(Effect::Observed(Observed::Start {
            kind,
            outcome: "timedOut",
        }));
        self.effect(Effect::Abort { run });
    }

    /// A get that came while the agent was fenced: it may be older than the pause.
    pub(super) fn hold_start(&mut self, call: ServerCall) {
        let until = self.now + self.config.hold;
        self.deadlines
            .insert((until, Deadline::HeldStart(call.token)));
        self.held_starts.insert(call.token, call);
    }

    pub(super) fn held_start_is_over(&mut self, token: Token) {
        if self.held_starts.remove(&token).is_some() {
            let message = format!("agent {} lost its lease", self.config.agent);
            self.answer_server(token, Err(error(ErrorCode::Busy, message)));
        }
    }

    /// The server ends a life of a container whose start is held: it has given that start up.
    pub(super) fn drop_held_starts_of(&mut self, uuid: &str, epoch: Option<Epoch>) {
        let is_meant = |call: &ServerCall| {
            let request = member::<GetRequest>(&call.params, 1, SHAPE);
            let asked = request.ok().flatten().and_then(|request| request.uuid);
            let told = read_ext::<StartExt>(call.ext.as_ref()).unwrap_or_default();
            asked.as_deref() == Some(uuid) && (epoch.is_none() || told.epoch <= epoch)
        };
        let held = self.held_starts.extract_if(.., |_, call| is_meant(call));
        let dropped: Vec<Token> = held.map(|(token, _)| token).collect();
        for token in dropped {
            self.deadlines.held_no_more(token);
            self.answer_server(token, Err(ended_before_start()));
        }
    }

    /// Starts that were held for a session that is over: who wants one asks in the new session.
    pub(super) fn drop_held_starts(&mut self) {
        for token in std::mem::take(&mut self.held_starts).into_keys() {
            self.deadlines.held_no_more(token);
            let message = "the server's session is another one now; the start did not begin";
            self.answer_server(token, Err(error(ErrorCode::Interrupted, message)));
        }
    }

    pub(super) fn container_of(&mut self, run: Run) -> Option<&mut Container> {
        let uuid = self.runs.get(&run)?;
        self.containers.get_mut(uuid)
    }
}

fn got(container: &Container) -> Json {
    json(&GotContainer {
        uuid: container.uuid.to_string(),
        endpoint: container.endpoint.clone(),
        placement: None,
    })
}
