//! Hello at each connection, pings and what their answers tell, terms.

use std::time::Duration;

use huly_protocol::{Frame, Hello, HelloAnswer, HelloExt, Op, PROTOCOL_VERSION, lease};

use crate::config::Peer;
use crate::io::{Effect, StopReason};
use crate::session::{Known, Link, SentPing, Session};

/// Between two pings to an original peer (W07).
const PLAIN_PING_EVERY: Duration = Duration::from_secs(1);
/// Silence after which a connection to a peer of ours is given up.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same of an original peer, or one not known yet.
const PLAIN_PATIENCE: Duration = Duration::from_secs(3);
/// Pings that may wait for their pongs; older ones are forgotten.
pub(crate) const MAX_PINGS: usize = 64;

impl Session {
    pub(crate) fn patience(&self) -> Duration {
        if self.is_rust() {
            PATIENCE
        } else {
            PLAIN_PATIENCE
        }
    }

    pub(crate) fn dial(&mut self, after: Duration, out: &mut Vec<Effect>) {
        self.link = Link::Dialing;
        self.greeted = false;
        out.push(Effect::Dial { after });
    }

    pub(crate) fn connected(&mut self, now: Duration, out: &mut Vec<Effect>) {
        self.greeted = false;
        self.hello_at = now;
        self.heard_of = None;
        self.pings.clear();
        self.say_hello(now, out);
    }

    pub(crate) fn say_hello(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let hello = Hello {
            alive_timeout: Some(self.config.alive_timeout.as_secs_f64()),
            huly: Some(HelloExt {
                v: PROTOCOL_VERSION,
                nonce: self.config.nonce.clone(),
                features: Vec::new(),
                term: self.term,
                secret: self.config.secret.clone(),
                fencing: self.config.fencing,
            }),
        };
        // Texts and numbers alone: writing it cannot fail.
        let payload = serde_json::to_vec(&hello).unwrap_or_default();
        let client_id = self.config.client_id.clone();
        out.push(Effect::Send(Frame::new(Op::Hello, client_id, payload)));
        self.link = Link::Greeting { since: now };
    }

    /// Forgets the session's uuid and says hello again (W07).
    pub(crate) fn hello_asked(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if self.leaving.is_some() {
            return self.stop(StopReason::Left, out);
        }
        // A hello under way answers the question.
        if !self.is_up() {
            return;
        }
        if let Some(known) = &mut self.known {
            known.session = None;
        }
        self.registered = false;
        self.say_hello(now, out);
        out.push(Effect::Down);
    }

    pub(crate) fn hello_answered(&mut self, now: Duration, frame: Frame, out: &mut Vec<Effect>) {
        if !matches!(self.link, Link::Greeting { .. } | Link::Up) {
            return;
        }
        let answer = match frame.payload.is_empty() {
            true => None,
            false => match serde_json::from_slice::<HelloAnswer>(&frame.payload) {
                Ok(answer) => Some(answer),
                Err(_) => {
                    self.counters.bad_messages += 1;
                    return;
                }
            },
        };
        if let (Some(answer), Peer::Server) = (&answer, self.config.peer)
            && !self.judge_term(answer.term, out)
        {
            return;
        }
        if self.is_another_container(answer.as_ref()) {
            self.counters.refused_servers += 1;
            return self.give_up(out);
        }
        let was_up = self.is_up();
        let new_connection = !std::mem::replace(&mut self.greeted, true);
        let instance = match &answer {
            Some(answer) => answer.instance.clone(),
            None => frame.id.clone(),
        };
        let before = self.known.take();
        let forgotten = answer.is_none() && self.may_be_forgotten(now);
        let another = before.as_ref().and_then(|known| known.session.as_ref()) != Some(&frame.id);
        let fresh = another || forgotten;
        if before.is_some_and(|known| known.instance != instance) {
            self.back.forget();
        }
        self.known = Some(Known {
            session: Some(frame.id.clone()),
            answer: answer.clone(),
            instance,
        });
        if let Link::Greeting { since } = self.link {
            self.known_at = since;
        }
        self.link = Link::Up;
        self.last_pong = now;
        self.next_ping = now;
        if new_connection {
            self.counters.connections += 1;
        }
        if fresh {
            self.registered = false;
        }
        if new_connection || fresh {
            self.requeue(fresh, out);
        }
        self.requeue_retries();
        if fresh || !was_up {
            out.push(Effect::Up {
                session: frame.id,
                fresh,
                answer,
            });
        }
        match self.config.peer {
            Peer::Server => {
                if fresh {
                    self.assert_again();
                }
                if new_connection || fresh {
                    self.watch_again(out);
                }
            }
            Peer::Agent if new_connection || fresh => {
                self.ask_connect();
            }
            Peer::Agent | Peer::Container => {}
        }
        if !was_up {
            self.send_replies(out);
        }
    }

    /// Whether a container's own ROUTER is another container's, or not that of the life that was
    /// known: what is asked must not reach another container that has its port now. (One of a
    /// TypeScript agent does not say.)
    fn is_another_container(&self, answer: Option<&HelloAnswer>) -> bool {
        let (Peer::Container, Some(answer)) = (self.config.peer, answer) else {
            return false;
        };
        let another = match (&self.config.container, &answer.container) {
            (Some(wanted), Some(said)) => said != wanted,
            _ => false,
        };
        let known = self.known.as_ref();
        another || known.is_some_and(|known| answer.instance != known.instance)
    }

    /// Takes note of a server's term; hangs up on one that is lower than a known one.
    fn judge_term(&mut self, term: u64, out: &mut Vec<Effect>) -> bool {
        if term < self.term {
            self.counters.refused_servers += 1;
            self.give_up(out);
            return false;
        }
        self.raise_term(term, out);
        true
    }

    pub(crate) fn raise_term(&mut self, term: u64, out: &mut Vec<Effect>) {
        if term > self.term {
            self.term = term;
            out.push(Effect::Term(term));
        }
    }

    pub(crate) fn pong(&mut self, now: Duration, frame: Frame, out: &mut Vec<Effect>) {
        if self.uuid() != Some(frame.id.as_str()) {
            return; // Of another session: it tells nothing of this one.
        }
        let number = match self.is_rust() {
            true => serde_json::from_slice::<u64>(&frame.payload).ok(),
            false => self.pings.front().map(|ping| ping.number),
        };
        let Some(ping) = number.and_then(|number| self.take_ping(number)) else {
            self.counters.bad_messages += 1;
            return;
        };
        self.heard_of = Some(ping.at);
        self.known_at = ping.at;
        self.last_pong = now;
        self.prolong(ping.at, out);
    }

    fn take_ping(&mut self, number: u64) -> Option<SentPing> {
        let at = self.pings.iter().position(|ping| ping.number == number)?;
        self.pings.drain(..=at).next_back()
    }

    /// The lease holds for its length from when something was sent that the server has heard.
    pub(crate) fn prolong(&mut self, sent: Duration, out: &mut Vec<Effect>) {
        let Some(answer) = self.peer_answer() else {
            return;
        };
        if self.registered
            && let Some(length) = answer.limits.lease()
        {
            let until = sent + length;
            out.push(Effect::Lease { until, length });
        }
    }

    pub(crate) fn ping(&mut self, now: Duration, out: &mut Vec<Effect>) {
        self.ping_number += 1;
        let number = self.ping_number;
        let payload = match self.is_rust() {
            true => number.to_string(),
            false => String::new(),
        };
        if self.pings.len() == MAX_PINGS {
            self.pings.pop_front();
        }
        self.pings.push_back(SentPing { number, at: now });
        out.push(Effect::Send(Frame::new(Op::Ping, "", payload)));
        self.next_ping = now
            + match self.is_rust() {
                true => lease::PING_EVERY,
                false => PLAIN_PING_EVERY,
            };
    }
}
