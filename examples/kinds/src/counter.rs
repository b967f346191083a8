use std::sync::atomic::{AtomicI64, Ordering};

use huly_agent::{Call, Container, ContainerError, Json, answer};
use serde::Deserialize;
use serde_json::json;

/// Counts. Its state lives as long as the container: it outlives the network server, not the agent.
#[derive(Default)]
pub struct Counter {
    value: AtomicI64,
}

/// The data of `increment`; none means by one.
#[derive(Deserialize)]
struct Increment {
    #[serde(default = "one")]
    by: i64,
}

fn one() -> i64 {
    1
}

impl Container for Counter {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let value = match call.operation.as_str() {
            "increment" => {
                let by = call.read::<Option<Increment>>()?.map_or(1, |it| it.by);
                self.value.fetch_add(by, Ordering::Relaxed).wrapping_add(by)
            }
            "value" => self.value.load(Ordering::Relaxed),
            _ => return Err(call.unknown(&["increment", "value"])),
        };
        answer(&json!({ "value": value }))
    }
}
