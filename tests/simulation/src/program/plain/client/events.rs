//! What a TypeScript-like client makes of events.

use huly_protocol::{EventKind, NetworkEvent};
use serde_json::Value;

use super::{PlainClient, Waits};
use crate::program::Context;

impl PlainClient {
    /// It takes from them where containers are (W25), and that an agent is there to try again.
    pub(super) fn events(&mut self, cx: &mut Context, event: NetworkEvent) {
        for told in event.containers {
            if told.event == EventKind::Updated {
                let (uuid, endpoint) = (&told.container.uuid, &told.container.endpoint);
                let failed = self.directs.moved(cx, uuid, endpoint);
                self.answered_directly(cx, failed);
            }
            let held = self.held.values_mut();
            for hold in held.filter(|hold| hold.uuid == told.container.uuid) {
                match told.event {
                    EventKind::Added => {}
                    EventKind::Updated => hold.endpoint = Some(told.container.endpoint.clone()),
                    EventKind::Removed => hold.endpoint = None,
                }
            }
        }
        let added = event.agents.iter();
        let added: Vec<_> = added
            .filter(|agent| agent.event == EventKind::Added)
            .collect();
        let is_of = |params: &Value| {
            added
                .iter()
                .any(|one| one.kinds.iter().any(|kind| params["kind"] == **kind))
        };
        for (at, waits) in &mut self.failed {
            if let Waits::Get { params, .. } = waits
                && is_of(params)
            {
                *at = cx.now;
            }
        }
        for waits in self.waits.values_mut() {
            if let Waits::Get { params, told, .. } = waits {
                *told |= is_of(params);
            }
        }
    }
}
