//! A driver that answers pings itself, and tells the registry nothing of them.

use std::time::Duration;

use huly_protocol::{Frame, Op};
use huly_registry::Input;

use super::Server;
use crate::program::Context;
use crate::sabotage::Sabotage;
use crate::wire::WireId;

/// For how long pings are not kept, so that there is somebody to be given up.
const PINGS: Duration = Duration::from_secs(8);

impl Server {
    /// Whether there is such a driver.
    pub(super) fn keeps_pings(&self, cx: &Context) -> bool {
        cx.does(Sabotage::KeepPings) || cx.does(Sabotage::KeepClientPings)
    }

    /// Whether a driver that keeps pings keeps this one.
    pub(super) fn keeps_ping(&self, cx: &Context, now: Duration, input: &Input) -> bool {
        let Input::Message { conn, .. } = input else {
            return false;
        };
        let since = now.saturating_sub(PINGS);
        let is_clients = || self.of_clients.contains(conn);
        match cx.sabotage {
            Some(Sabotage::KeepPings) => !since.is_zero(),
            Some(Sabotage::KeepClientPings) => {
                !since.is_zero() && since.as_secs() % 8 < 5 && is_clients()
            }
            _ => false,
        }
    }

    /// A ping is answered without the registry.
    pub(super) fn answers_ping(&self, cx: &mut Context, input: &Input) -> bool {
        let Input::Message { conn, frame } = input else {
            return false;
        };
        if frame.op != Op::Ping {
            return false;
        }
        if let (Some(wire), Some(session)) = (WireId::of_name(conn), self.sessions.get(conn)) {
            cx.send(wire, Frame::pong(session.clone(), frame.payload.clone()));
        }
        true
    }
}
