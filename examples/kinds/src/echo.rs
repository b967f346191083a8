use std::time::Duration;

use huly_agent::{Call, Container, ContainerContext, ContainerError, Json, answer};
use serde::Deserialize;
use serde_json::json;

/// Answers with what it was sent. A few operations more help to see how the network behaves.
pub struct Echo {
    context: ContainerContext,
}

impl Echo {
    /// An echo.
    pub fn new(context: ContainerContext) -> Self {
        Self { context }
    }
}

/// The data of `sleep`.
#[derive(Deserialize)]
struct Sleep {
    ms: u64,
}

/// The data of `fail`.
#[derive(Deserialize)]
struct Fail {
    message: String,
}

impl Container for Echo {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "echo" => Ok(call.data),
            // Who answers: after a failover another agent and a higher epoch.
            "who" => answer(&json!({
                "uuid": self.context.uuid,
                "agent": self.context.agent,
                "epoch": self.context.epoch,
                "labels": self.context.labels,
            })),
            // Takes a while, and lets other requests run meanwhile.
            "sleep" => {
                let Sleep { ms } = call.read()?;
                tokio::time::sleep(Duration::from_millis(ms)).await;
                answer(&json!({ "slept": ms }))
            }
            // An error of the container's own, which the caller gets.
            "fail" => Err(ContainerError::new(call.read::<Fail>()?.message)),
            // A panic ends this container alone; one that is referenced is placed anew.
            "panic" => panic!("asked to"),
            _ => Err(call.unknown(&["echo", "who", "sleep", "fail", "panic"])),
        }
    }
}
