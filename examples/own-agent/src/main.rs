//! An application's own agent: a kind of container and the program that serves it.

use std::process::ExitCode;

use huly_agent::{Call, Container, ContainerContext, ContainerError, Json, Kinds, answer};
use serde::{Deserialize, Serialize};

/// Greets, in the words that its first get or its claim gave it as `extra`.
struct Greeter {
    words: String,
}

#[derive(Deserialize)]
struct Extra {
    words: String,
}

/// The data of `greet`.
#[derive(Deserialize)]
struct Greet {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    greeting: String,
}

impl Greeter {
    fn new(context: &ContainerContext) -> Result<Self, ContainerError> {
        let extra = context.read_extra::<Extra>()?;
        Ok(Self {
            words: extra.map_or_else(|| "Hello".to_owned(), |extra| extra.words),
        })
    }
}

impl Container for Greeter {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "greet" => {
                let Greet { name } = call.read()?;
                let greeting = format!("{}, {name}!", self.words);
                answer(&Greeting { greeting })
            }
            _ => Err(call.unknown(&["greet"])),
        }
    }
}

fn kinds() -> Kinds {
    Kinds::new().serve("greeter", |context| async move { Greeter::new(&context) })
}

// The allocator of musl, which images are built for, is slow.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    huly_agent::run(kinds())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use huly_agent::testing::{Agents, Network};
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn a_greeter_greets_by_name() {
        let network = Network::new();
        let agent = network.agent("a1", kinds()).await.unwrap();
        let client = network.client("c1");
        let greeter = client.get("greeter").await.unwrap();
        let name = json!({ "name": "Ada" });
        let answer: Value = greeter.request("greet", &name).await.unwrap();
        assert_eq!(answer, json!({ "greeting": "Hello, Ada!" }));
        let wrong: Result<Value, _> = greeter.request("greet", &json!(1)).await;
        assert!(wrong.is_err());
        // Its agent is lost: the next one has what the first get said.
        let formal = client.get("greeter").extra(&json!({ "words": "Good day" }));
        let formal = formal.new_container().await.unwrap();
        let _next = network.agent("a2", kinds()).await.unwrap();
        agent.kill();
        network.advance(Duration::from_secs(1)).await;
        assert_eq!(formal.placement().unwrap().agent_id, "a2");
        let answer: Value = formal.request("greet", &name).await.unwrap();
        assert_eq!(answer, json!({ "greeting": "Good day, Ada!" }));
    }
}
