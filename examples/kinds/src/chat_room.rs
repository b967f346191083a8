use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use huly_agent::{Call, Container, ContainerContext, ContainerError, Json, answer};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How many messages a room remembers.
const HISTORY: usize = 1_000;

/// A room: what one says, all who are connected hear.
pub struct ChatRoom {
    context: ContainerContext,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    said: u64,
    history: VecDeque<Message>,
    members: BTreeSet<String>,
}

#[derive(Clone, Serialize)]
struct Message {
    id: u64,
    from: Option<String>,
    text: String,
}

/// What members hear.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Heard<'a> {
    Said(&'a Message),
}

/// The data of `say`.
#[derive(Deserialize)]
struct Say {
    /// Who says it; the client's id unless given.
    from: Option<String>,
    text: String,
}

impl ChatRoom {
    /// An empty room.
    pub fn new(context: ContainerContext) -> Self {
        Self {
            context,
            state: Mutex::default(),
        }
    }

    /// Requests never run at the same instant, so the lock is always free; it is let go before
    /// anything is awaited.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, say: Say, client: Option<String>) -> Result<Json, ContainerError> {
        let message = {
            let mut state = self.state();
            state.said += 1;
            let message = Message {
                id: state.said,
                from: say.from.or(client),
                text: say.text,
            };
            state.history.push_back(message.clone());
            if state.history.len() > HISTORY {
                state.history.pop_front();
            }
            message
        };
        self.context.broadcast.send(&Heard::Said(&message))?;
        answer(&json!({ "id": message.id }))
    }
}

impl Container for ChatRoom {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "say" => self.say(call.read()?, call.client),
            "history" => answer(&self.state().history),
            "members" => answer(&self.state().members),
            _ => Err(call.unknown(&["say", "history", "members"])),
        }
    }

    async fn connected(&self, client: &str) {
        self.state().members.insert(client.to_owned());
    }

    async fn disconnected(&self, client: &str) {
        self.state().members.remove(client);
    }
}
