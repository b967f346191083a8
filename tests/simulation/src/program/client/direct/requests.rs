//! Requests to containers: which route each goes by, and what goes on by the other one.

use std::time::Duration;

use huly_session::direct::ContainerRequest;
use huly_session::{CallError, Input, Token};

use super::super::{ClientProgram, Waits};
use super::Directs;
use crate::ledger::Seen;
use crate::program::Context;
use crate::sabotage::Sabotage;
use crate::words;

impl Directs {
    /// A container's new request id, good on both routes.
    fn request_id(&self, op: u64) -> String {
        format!("{}d{op}", self.config.request_prefix)
    }

    /// By which route a container is asked now: zero through the server.
    pub(in crate::program::client) fn route_to(&self, uuid: &str) -> u64 {
        self.open_link(uuid).map_or(0, |(number, _)| number)
    }
}

impl ClientProgram {
    /// Sends a request: directly where that is possible.
    pub(in crate::program::client) fn send_request(
        &mut self,
        cx: &mut Context,
        op: u64,
        mut request: ContainerRequest,
    ) {
        let Some((link, of)) = self.directs.open_link(&request.uuid) else {
            return self.send_routed(cx, op, &request);
        };
        request.id = Some(self.directs.request_id(op));
        let connection = self.directs.connections.get(&request.uuid);
        request.epoch = connection.and_then(|connection| connection.follower.life());
        let of_agent = of.way.of_agent();
        let began = cx.now;
        let token = self.token(Waits::Direct {
            op,
            request: Box::new(request.clone()),
            began,
        });
        cx.tell(format!("sends request {op} directly"));
        if let Ok(call) = request.direct(token, of_agent) {
            if let Some(of) = self.directs.links.get_mut(&link) {
                of.asked.insert(token, request.uuid);
            }
            self.link_input(cx, link, Input::Call(call));
        }
    }

    fn send_routed(&mut self, cx: &mut Context, op: u64, request: &ContainerRequest) {
        let token = self.token(Waits::Request { op });
        if let Ok(call) = request.routed(token) {
            self.input(cx, Input::Call(call));
        }
    }

    /// A request has its answer on the direct route.
    pub(super) fn is_answered(&mut self, cx: &mut Context, number: u64, token: Token) {
        let link = self.directs.links.get_mut(&number);
        if let Some(uuid) = link.and_then(|link| link.asked.remove(&token)) {
            self.leave_link(cx, number, &uuid);
        }
    }

    /// A request failed on its direct route; returns whether it goes on by the other one.
    pub(in crate::program::client) fn goes_on(
        &mut self,
        cx: &mut Context,
        op: u64,
        mut request: ContainerRequest,
        began: Duration,
        error: &CallError,
    ) -> bool {
        if !request.goes_on(error.into(), cx.now.saturating_sub(began)) {
            return false;
        }
        let why = words::of_error(error);
        cx.tell(format!("request {op} goes through the server: {why}"));
        cx.saw(Seen::SentAgain { op });
        cx.saw(Seen::TriesAnew { op });
        if cx.does(Sabotage::FreshIds) {
            request.id = None;
        }
        self.send_routed(cx, op, &request);
        true
    }
}
