//! Containers for the tests.

use std::sync::Mutex;

use huly_protocol::Json;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::container::{Call, Container, ContainerContext, ContainerError, answer};

/// Does as it is told and remembers in which order it was.
pub(super) struct Probe {
    context: ContainerContext,
    begun: Mutex<Vec<Value>>,
    go: Notify,
}

impl Probe {
    pub(super) fn new(context: ContainerContext) -> Self {
        Self {
            context,
            begun: Mutex::default(),
            go: Notify::new(),
        }
    }
}

impl Container for Probe {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let data: Value = call.read()?;
        self.begun.lock().unwrap().push(data.clone());
        match call.operation.as_str() {
            "echo" => answer(&data),
            "wait" => {
                self.go.notified().await;
                answer(&data)
            }
            "go" => {
                self.go.notify_waiters();
                answer(&data)
            }
            "begun" => answer(&*self.begun.lock().unwrap()),
            "tell" => {
                self.context.broadcast.send(&data)?;
                answer(&json!(null))
            }
            "panic" => panic!("as told"),
            "end" => {
                self.context.end();
                std::future::pending().await
            }
            "spawn-panic" => {
                self.context.spawn(async { panic!("beside") });
                answer(&json!(null))
            }
            _ => Err(call.unknown(&["echo"])),
        }
    }

    async fn stop(&self) {
        self.go.notify_waiters();
    }
}

/// Does not end when it is told to.
pub(super) struct Stubborn;

impl Container for Stubborn {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        Ok(call.data)
    }

    async fn stop(&self) {
        std::future::pending().await
    }
}

/// Cannot start.
pub(super) async fn broken() -> Result<Stubborn, ContainerError> {
    Err(ContainerError::new("no disk"))
}
