//! Containers for the tests.

use std::sync::{Arc, Mutex};

use huly_protocol::Json;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::container::{Call, Container, ContainerContext, ContainerError, answer};
use crate::kinds::Kinds;

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
        match call.operation.as_str() {
            "wait" => std::future::pending().await,
            _ => Ok(call.data),
        }
    }

    async fn stop(&self) {
        std::future::pending().await
    }
}

/// Blocks its worker with each request until it is let go.
pub(super) struct Blocker {
    begun: mpsc::UnboundedSender<()>,
    go: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
}

/// What a test does with them.
pub(super) struct Blocks {
    pub(super) kinds: Kinds,
    /// Gets one for each that has begun to block.
    pub(super) begun: mpsc::UnboundedReceiver<()>,
    /// Dropped, it lets them go.
    pub(super) hold: std::sync::mpsc::Sender<()>,
}

impl Blocker {
    pub(super) fn kind() -> Blocks {
        let (begun, told) = mpsc::unbounded_channel();
        let (hold, go) = std::sync::mpsc::channel();
        let go = Arc::new(Mutex::new(go));
        let make = move |_| {
            let (begun, go) = (begun.clone(), go.clone());
            async { Ok(Self { begun, go }) }
        };
        Blocks {
            kinds: Kinds::new().serve("blocker", make),
            begun: told,
            hold,
        }
    }
}

impl Container for Blocker {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        self.begun.send(()).unwrap();
        // Ends when the other side is dropped.
        let _ = self.go.lock().unwrap().recv();
        Ok(call.data)
    }
}

/// Says that it is well, until it is told what else to do.
pub(super) struct Patient {
    ping: Mutex<String>,
}

impl Patient {
    pub(super) fn kind() -> Kinds {
        Kinds::new().serve("patient", |_| async {
            Ok(Self {
                ping: Mutex::default(),
            })
        })
    }
}

impl Container for Patient {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "be" => *self.ping.lock().unwrap() = call.read()?,
            "wait" => std::future::pending().await,
            _ => {}
        }
        answer(&json!(null))
    }

    async fn ping(&self) -> Result<(), ContainerError> {
        let ping = self.ping.lock().unwrap().clone();
        match ping.as_str() {
            "" => Ok(()),
            "hang" => std::future::pending().await,
            "panic" => panic!("as told"),
            other => Err(ContainerError::new(other)),
        }
    }
}

/// Cannot start.
pub(super) async fn broken() -> Result<Stubborn, ContainerError> {
    Err(ContainerError::new("no disk"))
}
