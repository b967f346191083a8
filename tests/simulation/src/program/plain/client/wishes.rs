//! What the users of a TypeScript-like client want of it.

use huly_protocol::method;
use serde_json::json;

use super::{NEVER, PlainClient, Waits};
use crate::ledger::Seen;
use crate::program::Context;

/// Containers that it holds at most.
const MOST_HELD: usize = 4;

impl PlainClient {
    pub(super) fn let_go(&mut self, cx: &mut Context, uuid: &str) {
        if self.waits.values().any(|waits| waits.releases(uuid)) {
            return;
        }
        let failed = self.directs.disconnect(cx, uuid);
        self.answered_directly(cx, failed);
        cx.tell(format!("releases {uuid}"));
        let params = json!({ "uuid": uuid });
        let request = self.session.request(cx, method::RELEASE, &params);
        let uuid = uuid.to_owned();
        self.waits.insert(request, Waits::Release { uuid });
    }

    pub(super) fn wish(&mut self, cx: &mut Context) {
        let held = self.held();
        if self.wishes.connects && self.random.percent(10) {
            return self.connect_or_not(cx, &held);
        }
        match self.random.of(0..100) {
            0..20 if held.len() < MOST_HELD => self.wish_get(cx),
            _ if held.is_empty() => self.wish_get(cx),
            20..30 => {
                if let Some(uuid) = self.random.pick(&held) {
                    self.let_go(cx, uuid);
                }
            }
            _ => {
                if let Some(uuid) = self.random.pick(&held) {
                    let uuid = uuid.clone();
                    self.wish_request(cx, uuid);
                }
            }
        }
    }

    /// Its user asks a container by the reference, so through the server, or by the connection.
    fn wish_request(&mut self, cx: &mut Context, uuid: String) {
        self.ops += 1;
        let op = self.ops;
        let directly = self.directs.is_connected(&uuid) && self.random.percent(70);
        let how = if directly { " directly" } else { "" };
        cx.tell(format!("request {op} to {uuid}{how}"));
        // What it sends again may run again.
        cx.saw(Seen::Asked {
            op,
            uuid: uuid.clone(),
            // Its calls have no deadline.
            timeout: NEVER,
            idempotent: true,
            connection: None,
            of_port: directly && self.directs.has_its_own(&uuid),
        });
        if directly {
            return self.directs.request(cx, &uuid, op);
        }
        let params = json!([uuid, "count", op]);
        let request = self.session.request(cx, method::CONTAINER_REQUEST, &params);
        self.waits.insert(request, Waits::Request { op });
    }

    /// Connects to a container that is held, or ends that.
    fn connect_or_not(&mut self, cx: &mut Context, held: &[String]) {
        let mut all = self.held.values();
        let Some(uuid) = self.random.pick(held) else {
            return;
        };
        let hold = all.find(|hold| hold.uuid == *uuid);
        let endpoint = hold.and_then(|hold| hold.endpoint.clone());
        match (self.directs.is_connected(uuid), endpoint) {
            (true, _) => {
                let failed = self.directs.disconnect(cx, uuid);
                self.answered_directly(cx, failed);
            }
            (false, Some(endpoint)) => self.directs.connect(cx, uuid, &endpoint),
            (false, None) => {}
        }
    }

    fn wish_get(&mut self, cx: &mut Context) {
        // One at a time, so that the answers tell what the server knows.
        let under_way = self.waits.values().any(|w| matches!(w, Waits::Get { .. }));
        if under_way || !self.failed.is_empty() {
            return;
        }
        let Some((uuid, kind)) = self.random.pick(&self.wishes.uuids) else {
            return;
        };
        let by_uuid = self.random.percent(70) || !self.wishes.kinds.contains(kind);
        let params = match by_uuid {
            // What it holds it has.
            true if self.number_of(uuid).is_some() => return,
            true => json!({ "kind": kind, "request": { "uuid": uuid } }),
            false => json!({ "kind": kind, "request": {} }),
        };
        let (again, told) = (None, false);
        self.get(
            cx,
            Waits::Get {
                params,
                again,
                told,
            },
        );
    }
}
