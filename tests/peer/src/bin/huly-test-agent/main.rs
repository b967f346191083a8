//! An agent whose containers answer as those in the recorded transcripts did.

mod logbook;
mod wrong;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::Parser;
use huly_agent::{
    AgentOptions, Call, Container, ContainerContext, ContainerError, Json, Kinds, answer,
};
use huly_program::{LogArgs, init_tracing};
use logbook::Logbook;
use serde_json::{Value, json};
use tokio::sync::Notify;
use wrong::{Wrong, WrongCounter};

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

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    agent: AgentOptions,
    #[command(flatten)]
    log: LogArgs,
    /// The uuid of a container of the kind `leader` that is made beforehand.
    #[arg(long, value_name = "UUID")]
    leader: Option<String>,
    /// The file that containers of the kinds `logbook` and `notebook` write to.
    #[arg(long, env = "HULY_TEST_LOGBOOK", value_name = "FILE")]
    logbook: Option<PathBuf>,
    /// It has the kind `counter`, and this becomes of one increment in ten.
    #[arg(long, value_enum)]
    wrong_counter: Option<Wrong>,
}

fn kinds(line: CommandLine) -> Kinds {
    let start = |context| async { Ok(Recorded::new(context)) };
    let mut kinds = Kinds::new().serve("chat-room", start).serve("room", start);
    if let Some(wrong) = line.wrong_counter {
        let start = move |_| async move { Ok(WrongCounter::new(wrong)) };
        kinds = kinds.serve("counter", start);
    }
    if let Some(file) = line.logbook {
        for kind in ["logbook", "notebook"] {
            let file = file.clone();
            kinds = kinds.serve(kind, move |context| Logbook::open(context, file.clone()));
        }
    }
    match line.leader {
        Some(uuid) => kinds.stateless("leader", uuid, start),
        None => kinds,
    }
}

fn run() -> anyhow::Result<()> {
    let line = CommandLine::parse();
    init_tracing(&line.log)?;
    huly_agent::run_with(line.agent.clone(), kinds(line))
}

fn main() -> ExitCode {
    huly_program::finish(run())
}
