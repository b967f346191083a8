//! Claims that are to stay as they are, whatever becomes of operators.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::counter::Counter;
use crate::scenario::Scenario;

/// Two counters that are claimed, with a ContainerKind of theirs.
pub struct Stay {
    counters: Vec<Counter>,
    kind: String,
}

impl Stay {
    /// The kind of the containers.
    pub const KIND: &str = "counter";

    /// Claims them. `spec` adds to the spec of the ContainerKind, by which what nobody holds ends soon.
    ///
    /// # Errors
    /// As [`Counter::claimed`].
    pub async fn claimed(test: &Scenario, mut spec: Value) -> Result<Self> {
        spec["lifecycle"] = json!({"idleTimeoutSeconds": 1});
        let kind = test.cluster.kind(Self::KIND, spec).await?;
        let namespace = test.cluster.namespace("stay").await?;
        let mut counters = Vec::new();
        for (name, value) in [("stays-a", 3), ("stays-b", 4)] {
            counters.push(test.counter(&namespace, &kind, name, value).await?);
        }
        Ok(Self { counters, kind })
    }

    /// The name of the ContainerKind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The namespace of the claims.
    pub fn namespace(&self) -> &str {
        &self.counters[0].namespace
    }

    /// Expects the containers to be those that they were, each held once.
    ///
    /// # Errors
    /// When one was placed or started again, does not answer, or is not held once.
    pub async fn live_on(&self, test: &Scenario) -> Result<()> {
        for counter in &self.counters {
            counter.lives_on(&test.live).await?;
            let (name, references) = (&counter.name, test.live.references(&counter.name).await?);
            ensure!(references == 1, "{name} is held {references} times");
        }
        Ok(())
    }

    /// The same, and nobody has written the claims.
    ///
    /// # Errors
    /// When that is not so.
    pub async fn are_untouched(&self, test: &Scenario) -> Result<()> {
        for counter in &self.counters {
            counter.is_unwritten(&test.cluster).await?;
        }
        self.live_on(test).await
    }
}
