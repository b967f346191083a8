//! An agent whose containers answer as those in the recorded transcripts did.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use huly_agent::{Call, Container, ContainerContext, ContainerError, Json, Kinds, answer};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Counts what it is asked. `fail` fails, `say` tells those who are connected, `wait` is answered
/// at the next `go`, `end` ends the container.
struct Recorded {
    context: ContainerContext,
    state: Mutex<State>,
    go: Notify,
}

#[derive(Default)]
struct State {
    asked: u64,
    connected: BTreeSet<String>,
}

impl Recorded {
    fn new(context: ContainerContext) -> Self {
        Self {
            context,
            state: Mutex::default(),
            go: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Container for Recorded {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let data: Value = call.read()?;
        let (asked, has_client) = {
            let mut state = self.state();
            state.asked += 1;
            (state.asked, !state.connected.is_empty())
        };
        match call.operation.as_str() {
            "fail" => return Err(ContainerError::new("boom")),
            "say" => {
                let said = json!({ "type": "said", "text": data });
                self.context.broadcast.send(&said)?;
            }
            "wait" => self.go.notified().await,
            "go" => self.go.notify_waiters(),
            "end" => self.context.end(),
            _ => {}
        }
        answer(&json!({
            "op": call.operation,
            "data": data,
            "n": asked,
            "hasClient": has_client,
        }))
    }

    async fn connected(&self, client: &str) {
        self.state().connected.insert(client.to_owned());
    }

    async fn disconnected(&self, client: &str) {
        self.state().connected.remove(client);
    }
}

fn kinds() -> Kinds {
    let start = |context| async { Ok(Recorded::new(context)) };
    Kinds::new().serve("chat-room", start).serve("room", start)
}

fn main() -> ExitCode {
    huly_program::finish(huly_agent::run(kinds()))
}
