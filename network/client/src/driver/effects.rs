//! What the session has done.

use bytes::Bytes;
use futures::FutureExt;
use huly_protocol::{AgentCall, ErrorCode, ErrorPayload, GotContainer, Json};
use huly_session::{CallError, Effect, Input, Location, StopReason, Token};
use tokio::sync::watch;

use super::{Driver, Waiter};
use crate::agent::{BackCall, LinkEvent, Responder};
use crate::error::Error;
use crate::handle::{Answer, Hold};

impl Driver {
    pub(super) fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Dial { after } => {
                self.connection = None;
                self.lost = false;
                let ground = self.ground.clone();
                self.dialing = Some(ground.dial(self.endpoint.clone(), after).boxed());
            }
            Effect::Hangup => {
                self.connection = None;
                self.dialing = None;
            }
            Effect::Send(frame) => {
                if let Some(connection) = &mut self.connection
                    && !connection.send(frame)
                {
                    self.lost = true;
                }
            }
            Effect::Answered { token, result } => self.answered(token, result),
            Effect::Got { token, result } => self.got(token, result),
            Effect::Up {
                session,
                fresh,
                answer,
            } => {
                tracing::debug!(server = %self.endpoint, %session, fresh, "session is up");
                self.state.send_modify(|state| {
                    state.up = true;
                    state.session = Some(session);
                    state.server = answer;
                    state.generation += u64::from(fresh);
                });
                if fresh {
                    self.tell_links(|| LinkEvent::Register);
                }
            }
            Effect::Down => {
                tracing::debug!(server = %self.endpoint, "session is down");
                self.state.send_modify(|state| state.up = false);
                self.tell_links(|| LinkEvent::Down);
            }
            Effect::BackCall {
                call,
                method,
                params,
            } => self.back_call(call, method, &params),
            Effect::Event(payload) => self.event(&payload),
            Effect::Held(event) => {
                if let (Some(location), Some(sender)) = (
                    self.session.location(&event.uuid),
                    self.locations.get(&event.uuid),
                ) {
                    sender.send_replace(location.clone());
                }
                self.held.retain(|held| held.send(event.clone()).is_ok());
            }
            Effect::Removed(containers) => {
                self.tell_links(|| LinkEvent::Removed {
                    containers: containers.clone(),
                });
            }
            Effect::Feed(update) => {
                self.feed.retain(|feed| feed.send(update.clone()).is_ok());
                if self.feed.is_empty() {
                    self.handle(Input::Unwatch);
                }
            }
            Effect::Lease { until, length } => {
                self.tell_links(|| LinkEvent::Lease { until, length });
            }
            Effect::Term(term) => self.tell_links(|| LinkEvent::Term(term)),
            Effect::Stopped(reason) => {
                tracing::debug!(server = %self.endpoint, ?reason, "session is over");
                if let StopReason::Superseded(text) = reason {
                    self.state
                        .send_modify(|state| state.superseded = Some(text));
                }
                self.stopped = true;
                self.links.clear();
            }
        }
    }

    fn answered(&mut self, token: Token, result: Result<Bytes, CallError>) {
        let Some(Waiter::Call(answer)) = self.waiters.remove(&token) else {
            return;
        };
        let result = result
            .map_err(Error::from)
            .and_then(|payload| read(&payload));
        // Who asked may have gone away.
        let _ = answer.send(result);
    }

    fn got(&mut self, token: Token, result: Result<GotContainer, CallError>) {
        let result = result.map_err(Error::from);
        match self.waiters.remove(&token) {
            Some(Waiter::GetRaw(answer)) => {
                let uuid = result.as_ref().ok().map(|got| got.uuid.clone());
                if let (Err(_), Some(uuid)) = (answer.send(result), uuid) {
                    self.release(uuid, true, None);
                }
            }
            Some(Waiter::Get(answer)) => {
                let hold = result.and_then(|got| {
                    let location = self.located(&got.uuid);
                    let commands = self.weak.upgrade().ok_or_else(Error::closed)?;
                    Ok(Hold::new(got.uuid, location, commands))
                });
                // Dropped by whoever went away, it releases itself.
                let _ = answer.send(hold);
            }
            _ => {}
        }
    }

    fn located(&mut self, uuid: &str) -> watch::Receiver<Location> {
        let location = self.session.location(uuid).cloned().unwrap_or_default();
        match self.locations.get(uuid) {
            Some(sender) => {
                sender.send_replace(location);
                sender.subscribe()
            }
            None => {
                let (sender, receiver) = watch::channel(location);
                self.locations.insert(uuid.to_owned(), sender);
                receiver
            }
        }
    }

    pub(super) fn release(
        &mut self,
        uuid: String,
        raw: bool,
        answer: Option<(Token, Answer<Json>)>,
    ) {
        let token = answer.map(|(token, answer)| {
            self.waiters.insert(token, Waiter::Call(answer));
            token
        });
        self.handle(Input::Release {
            token,
            uuid: uuid.clone(),
            raw,
        });
        if self.session.location(&uuid).is_none() {
            self.locations.remove(&uuid);
        }
    }

    fn tell_links(&mut self, event: impl Fn() -> LinkEvent) {
        self.links.retain(|link| link.events.send(event()).is_ok());
    }

    fn back_call(&mut self, call: u64, method: String, params: &Json) {
        let responder = Responder::new(call, self.weak.clone());
        let parsed: AgentCall<'_> = match serde_json::from_str(params.text()) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = format!("wrong parameters of {method}: {error}");
                return responder.answer(Err(ErrorPayload::new(ErrorCode::BadRequest, message)));
            }
        };
        let agent = parsed.agent.into_owned();
        let serving = self.links.iter().find(|link| link.agents.contains(&agent));
        let Some(link) = serving else {
            let message = format!("this client serves no agent {agent}");
            return responder.answer(Err(ErrorPayload::new(ErrorCode::NoSuchAgent, message)));
        };
        let call = BackCall {
            method,
            agent,
            params: Json::from(parsed.params),
            ext: parsed.ext.map(Json::from),
            responder,
        };
        // Undelivered, the call answers itself with an error.
        let _ = link.events.send(LinkEvent::Call(call));
    }

    fn event(&mut self, payload: &[u8]) {
        let (uuid, data) = match self.events_named {
            true => match serde_json::from_slice::<(String, Json)>(payload) {
                Ok((uuid, data)) => (Some(uuid), data),
                Err(_) => return self.handle(Input::Unreadable),
            },
            false => match read(payload) {
                Ok(data) => (None, data),
                Err(_) => return self.handle(Input::Unreadable),
            },
        };
        let named = self
            .subscribers
            .iter()
            .filter(|(of, _)| uuid.as_ref().is_none_or(|uuid| uuid == *of));
        for subscriber in named.flat_map(|(_, all)| all) {
            subscriber.events.send(&data);
        }
    }
}

fn read(payload: &[u8]) -> Result<Json, Error> {
    // What an original peer's operation returns that returns nothing.
    if matches!(payload, b"" | b"undefined") {
        return Ok(Json::null());
    }
    serde_json::from_slice(payload)
        .map_err(|error| Error::protocol("the answer is not JSON", &error))
}
