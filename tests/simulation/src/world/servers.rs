//! Which servers there were.

use std::time::Duration;

use super::{ProcessId, World};

impl World {
    /// Whether two servers have been up at one time since then.
    pub(crate) fn doubled_since(&self, since: Duration) -> bool {
        let present = self.present.get("server");
        let servers = (0_u32..).zip(&self.processes);
        let mut others = servers
            .filter(|(id, process)| process.place == "server" && present != Some(&ProcessId(*id)));
        others.any(|(_, other)| {
            other.program.is_some() || other.outlived.is_some_and(|at| at >= since)
        })
    }

    /// Whether the present server began after that.
    pub(crate) fn has_another_server_since(&self, since: Duration) -> bool {
        let server = self.at("server").map(|id| self.process(id));
        server.is_none_or(|server| server.started > since)
    }
}
