//! What the client is told, and what it says.

use huly_client::Error;
use serde::Deserialize;
use serde_json::{Value, json};

/// A command and the number that its answer carries.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) id: u64,
    pub(crate) command: Command,
}

/// `name` is what the test calls a container that it holds.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Command {
    /// Gets a container and holds it as `name`.
    Get {
        name: String,
        kind: String,
        uuid: Option<String>,
        labels: Option<Vec<String>>,
        extra: Option<Value>,
        #[serde(default)]
        new: bool,
        #[serde(default)]
        fresh: bool,
        #[serde(default)]
        strict: bool,
        deadline_ms: Option<u64>,
    },
    /// Asks a container that is held.
    Request {
        name: String,
        ask: Ask,
    },
    /// Asks a container by its uuid alone.
    RequestUuid {
        uuid: String,
        ask: Ask,
    },
    /// Asks over the direct connection.
    RequestDirect {
        name: String,
        ask: Ask,
    },
    /// Connects directly; its events are said as they come.
    Connect {
        name: String,
    },
    /// Ends the direct connection.
    Disconnect {
        name: String,
    },
    /// Says where a container that is held lives.
    Look {
        name: String,
    },
    Release {
        name: String,
    },
    /// Says what happens in the network, as it happens.
    Updates,
    Agents,
    Kinds,
    Containers {
        kind: Option<String>,
    },
    /// Says where the session stands.
    Session,
    Close,
    Detach,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ask {
    pub(crate) operation: String,
    #[serde(default)]
    pub(crate) data: Value,
    pub(crate) timeout_ms: Option<u64>,
    #[serde(default)]
    pub(crate) idempotent: bool,
}

/// Says what came of a command.
pub(crate) fn say_answer(id: u64, result: Result<Value, Error>) {
    say(&match result {
        Ok(value) => json!({ "id": id, "ok": value }),
        Err(error) => json!({
            "id": id,
            "error": {
                "kind": format!("{:?}", error.kind),
                "message": error.message,
                "retryable": error.is_retryable(),
            },
        }),
    });
}

/// Says an event of the container that is held as `name`.
pub(crate) fn say_event(name: &str, data: &Value) {
    say(&json!({ "event": { "name": name, "data": data } }));
}

/// Says what happened in the network.
pub(crate) fn say_update(update: &Value) {
    say(&json!({ "update": update }));
}

#[allow(clippy::print_stdout, reason = "it speaks by its standard output")]
fn say(line: &Value) {
    println!("{line}");
}
