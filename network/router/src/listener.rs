//! What the kernel is to do with connections: those that are accepted inherit it.

use std::net::TcpListener;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Silence after which the kernel asks whether the peer's host is still there.
const KEEPALIVE_TIME: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Makes the kernel close the connections of peers that take nothing for the write deadline, or whose
/// host is gone. It alone knows how many bytes a peer takes, and for which anything waits; and nothing
/// else can close one, for the zeromq crate does not, and its memory for one is free only then.
pub(crate) fn close_what_is_dead(listener: &TcpListener, write_timeout: Duration) {
    let socket = SockRef::from(listener);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_TIME)
        .with_interval(KEEPALIVE_INTERVAL);
    if let Err(error) = socket.set_tcp_keepalive(&keepalive) {
        tracing::debug!(%error, "no keepalive on a listening socket");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = socket.set_tcp_user_timeout(Some(write_timeout)) {
        tracing::debug!(%error, "no time-out on a listening socket");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = write_timeout;
}
