//! An application's own agent: a kind of container and the program that serves it.

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

fn main() -> anyhow::Result<()> {
    huly_agent::run(kinds())
}

#[cfg(test)]
mod tests {
    use huly_agent::testing::Solo;
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn a_greeter_greets_by_name() {
        let mut greeter = Solo::start(&kinds(), "greeter", "g").await.unwrap();
        let name = json!({ "name": "Ada" });
        let answer: Value = greeter.request("greet", &name).await.unwrap();
        assert_eq!(answer, json!({ "greeting": "Hello, Ada!" }));
        let wrong: Result<Value, _> = greeter.request("greet", &json!(1)).await;
        assert!(wrong.is_err());
    }
}
