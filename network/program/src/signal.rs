use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for the signals that end a program: SIGTERM and SIGINT.
pub struct Shutdown {
    terminate: Signal,
    interrupt: Signal,
}

/// Takes over the signals that end a program.
///
/// # Errors
/// When the system refuses.
pub fn shutdown_signal() -> std::io::Result<Shutdown> {
    Ok(Shutdown {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    })
}

impl Shutdown {
    /// Waits for the next of them and says its name. May be called again for a second one.
    pub async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
