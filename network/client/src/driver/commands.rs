//! What callers ask for.

use std::time::Duration;

use huly_protocol::GetParams;
use huly_session::{Input, Token};

use super::{Driver, Link, Subscriber, Waiter};
use crate::agent::LinkEvent;
use crate::handle::Command;

impl Driver {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Call { call, answer } => {
                self.waiters.insert(call.token, Waiter::Call(answer));
                self.handle(Input::Call(call));
            }
            Command::Get {
                token,
                params,
                timeout,
                answer,
            } => {
                self.waiters.insert(token, Waiter::Get(answer));
                self.get(token, params, false, timeout);
            }
            Command::GetRaw {
                token,
                params,
                timeout,
                answer,
            } => {
                self.waiters.insert(token, Waiter::GetRaw(answer));
                self.get(token, params, true, timeout);
            }
            Command::Release { uuid, raw, answer } => self.release(uuid, raw, answer),
            Command::Cancel(token) => {
                if self.waiters.remove(&token).is_some() {
                    self.handle(Input::Cancel { token });
                }
            }
            Command::Reply { call, result } => self.handle(Input::Reply { call, result }),
            Command::ServeAgent { link, events } => {
                if self.session.is_up() {
                    let _ = events.send(LinkEvent::Register);
                }
                self.links.push(Link {
                    number: link,
                    events,
                    agents: Vec::new(),
                });
            }
            Command::Serves { link, agent } => {
                if let Some(link) = self.links.iter_mut().find(|one| one.number == link)
                    && !link.agents.contains(&agent)
                {
                    link.agents.push(agent);
                }
            }
            Command::Watch(feed) => {
                self.feed.push(feed);
                self.handle(Input::Watch);
            }
            Command::WatchHeld(held) => self.held.push(held),
            Command::Connect {
                token,
                uuid,
                subscriber,
                events,
                answer,
            } => {
                let all = self.subscribers.entry(uuid.clone()).or_default();
                all.push(Subscriber {
                    number: subscriber,
                    events,
                });
                self.waiters.insert(token, Waiter::Call(answer));
                self.handle(Input::Connect { token, uuid });
            }
            Command::Disconnect { uuid, subscriber } => {
                if let Some(all) = self.subscribers.get_mut(&uuid) {
                    all.retain(|one| one.number != subscriber);
                    if all.is_empty() {
                        self.subscribers.remove(&uuid);
                        self.handle(Input::Disconnect { uuid });
                    }
                }
            }
            Command::Close(done) => {
                self.leaving.push(done);
                self.handle(Input::Close);
            }
            Command::Detach(done) => {
                self.leaving.push(done);
                self.handle(Input::Detach);
            }
        }
    }

    fn get(&mut self, token: Token, params: GetParams, raw: bool, timeout: Option<Duration>) {
        self.handle(Input::Get {
            token,
            params,
            raw,
            timeout,
        });
    }
}
