use std::time::Duration;

use uuid::Uuid;
use zeromq::ZmqResult;

use crate::clock::Clock;
use crate::socket::{self, Connection};
#[cfg(feature = "testing")]
use crate::testing::Process;

/// What a client stands on: time, connections, chance. They are the system's, or those of a test's
/// network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ground {
    #[cfg(feature = "testing")]
    pub(crate) process: Option<Process>,
}

impl Ground {
    pub(crate) fn clock(&self) -> Clock {
        #[cfg(feature = "testing")]
        if let Some(process) = &self.process {
            return process.clock();
        }
        Clock::default()
    }

    /// A uuid that nobody else makes.
    pub(crate) fn uuid(&self) -> Uuid {
        #[cfg(feature = "testing")]
        if let Some(process) = &self.process {
            return process.uuid();
        }
        Uuid::new_v4()
    }

    /// A random number.
    pub(crate) fn random(&self) -> u64 {
        #[cfg(feature = "testing")]
        if let Some(process) = &self.process {
            return process.random();
        }
        rand::random()
    }

    /// Connects to `tcp://host:port` after a while.
    pub(crate) async fn dial(self, endpoint: String, after: Duration) -> ZmqResult<Connection> {
        tokio::time::sleep(after).await;
        #[cfg(feature = "testing")]
        if let Some(process) = &self.process {
            return Ok(Connection::Wire(process.dial(&endpoint).await?));
        }
        Ok(Connection::Socket(socket::dial(&endpoint).await?))
    }
}
