//! The ends of a client.

use tokio::sync::oneshot;

use crate::client::Client;
use crate::handle::Command;

impl Client {
    /// Takes nothing new, waits for what is under way, then leaves as with [`close`](Self::close).
    ///
    /// What is called meanwhile, by any clone, fails with `Closed`; what is under way has its own
    /// deadlines, which bound this too. Dropped before it is done, the client still takes nothing
    /// new: [`close`](Self::close) it. Handles of containers may be dropped or released as ever. An
    /// agent that the client serves goes on until the end: drain that first.
    ///
    /// ```no_run
    /// # async fn example(client: huly_client::Client) {
    /// use std::time::Duration;
    ///
    /// // At most ten seconds for what is under way.
    /// if tokio::time::timeout(Duration::from_secs(10), client.drain()).await.is_err() {
    ///     client.close().await;
    /// }
    /// # }
    /// ```
    pub async fn drain(&self) {
        self.inner.flight.drain().await;
        self.close().await;
    }

    /// Leaves without releasing durable references; others go as with [`close`](Self::close).
    pub async fn detach(&self) {
        self.leave(Command::Detach).await;
    }

    /// Leaves and releases everything, and waits until the server knows, for half a second at
    /// most. What is under way or called afterwards fails with `Closed`.
    pub async fn close(&self) {
        self.leave(Command::Close).await;
    }

    async fn leave(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, left) = oneshot::channel();
        if self.inner.handle.send(command(done)).is_ok() {
            // Dropped, the task has ended too.
            let _ = left.await;
        }
    }
}
