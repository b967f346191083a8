//! Does what the commands say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use huly_client::{
    Client, Connection, ContainerRef, Error, ErrorKind, Get, Json, RequestOptions, Update,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::command::{Ask, Command, Line, say_answer, say_event, say_update};

/// The client and what the test holds by it.
#[derive(Clone)]
pub(crate) struct Peer {
    client: Client,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    containers: HashMap<String, ContainerRef>,
    connections: HashMap<String, Arc<Connection>>,
}

impl Peer {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            held: Arc::default(),
        }
    }

    /// Does one command and says what came of it.
    pub(crate) async fn run(self, line: Line) {
        say_answer(line.id, self.perform(line.command).await);
    }

    async fn perform(&self, command: Command) -> Result<Value, Error> {
        let client = &self.client;
        match command {
            Command::Get { .. } => self.get(command).await,
            Command::Request { name, ask } => {
                let (operation, data, options) = opened(ask)?;
                let asked = self.container(&name)?;
                read(&asked.request_with(&operation, data, options).await?)
            }
            Command::RequestUuid { uuid, ask } => {
                let (operation, data, options) = opened(ask)?;
                let asked = client.request_json(&uuid, &operation, data, options);
                read(&asked.await?)
            }
            Command::RequestDirect { name, ask } => {
                let (operation, data, options) = opened(ask)?;
                let connection = self.held().connections.get(&name).cloned();
                let connection = connection.ok_or_else(|| unknown(&name))?;
                read(&connection.request_with(&operation, data, options).await?)
            }
            Command::Connect { name } => self.connect(name).await,
            Command::Disconnect { name } => {
                self.held().connections.remove(&name);
                Ok(Value::Null)
            }
            Command::Look { name } => self.look(&name),
            Command::Release { name } => {
                let released = self.held().containers.remove(&name);
                released.ok_or_else(|| unknown(&name))?.release().await?;
                Ok(Value::Null)
            }
            Command::Updates => {
                tokio::spawn(say_updates(client.clone()));
                Ok(Value::Null)
            }
            Command::Agents => written(&client.agents().await?),
            Command::Kinds => written(&client.kinds().await?),
            Command::Containers { kind } => written(&client.containers(kind.as_deref()).await?),
            Command::Session => {
                let state = client.session().borrow().clone();
                Ok(json!({
                    "up": state.up,
                    "session": state.session,
                    "original": state.session.is_some() && state.server.is_none(),
                }))
            }
            Command::Close => {
                client.close().await;
                Ok(Value::Null)
            }
            Command::Detach => {
                client.detach().await;
                Ok(Value::Null)
            }
        }
    }

    async fn get(&self, command: Command) -> Result<Value, Error> {
        let Command::Get {
            name,
            kind,
            uuid,
            labels,
            extra,
            new,
            fresh,
            strict,
            deadline_ms,
        } = command
        else {
            return Err(Error::new(ErrorKind::BadRequest, "this is no get"));
        };
        let mut get = self.client.get(kind);
        get = given(get, uuid, Get::uuid);
        get = given(get, labels, Get::labels);
        get = given(get, extra, |get, extra| get.extra(&extra));
        get = given(get, deadline_ms, |get, ms| {
            get.deadline(Duration::from_millis(ms))
        });
        get = given(get, new.then_some(()), |get, ()| get.new_container());
        get = given(get, fresh.then_some(()), |get, ()| get.fresh());
        get = given(get, strict.then_some(()), |get, ()| get.strict());
        let container = get.await?;
        self.held().containers.insert(name.clone(), container);
        self.look(&name)
    }

    async fn connect(&self, name: String) -> Result<Value, Error> {
        let connection = self.container(&name)?.connect().await?;
        let mut events = connection.events();
        let connection = Arc::new(connection);
        self.held()
            .connections
            .insert(name.clone(), connection.clone());
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                match read(&event) {
                    Ok(data) => say_event(&name, &data),
                    Err(error) => say_event(&name, &json!({ "unreadable": error.message })),
                }
            }
        });
        Ok(json!({ "direct": connection.is_direct() }))
    }

    fn look(&self, name: &str) -> Result<Value, Error> {
        let container = self.container(name)?;
        let connection = self.held().connections.get(name).cloned();
        Ok(json!({
            "uuid": container.uuid(),
            "endpoint": container.endpoint(),
            "gone": container.is_gone(),
            "direct": connection.is_some_and(|connection| connection.is_direct()),
        }))
    }

    fn container(&self, name: &str) -> Result<ContainerRef, Error> {
        let container = self.held().containers.get(name).cloned();
        container.ok_or_else(|| unknown(name))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn say_updates(client: Client) {
    let mut updates = client.updates();
    while let Some(update) = updates.next().await {
        let (what, feed) = match &update {
            Update::Reset => ("reset", None),
            Update::Snapshot(feed) => ("snapshot", Some(feed)),
            Update::Event(feed) => ("event", Some(feed)),
        };
        say_update(&json!({ "is": what, "feed": feed }));
    }
}

fn given<T>(get: Get, value: Option<T>, with: impl FnOnce(Get, T) -> Get) -> Get {
    match value {
        Some(value) => with(get, value),
        None => get,
    }
}

fn opened(ask: Ask) -> Result<(String, Json, RequestOptions), Error> {
    let data = Json::of(&ask.data).map_err(unfit)?;
    let options = RequestOptions {
        timeout: ask.timeout_ms.map(Duration::from_millis),
        idempotent: ask.idempotent,
    };
    Ok((ask.operation, data, options))
}

fn read(json: &Json) -> Result<Value, Error> {
    json.read().map_err(unfit)
}

fn written<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(unfit)
}

fn unfit(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Protocol, error.to_string())
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::BadRequest, format!("nothing is held as {name}"))
}
