//! Containers that are made beforehand, in a whole agent.

use huly_protocol::ErrorCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::container::{Activation, Call, Container, ContainerError, answer};

/// Answers who it is. It has its uuid when a permit is there, and not at epoch 13.
struct Leader {
    epoch: Mutex<Option<u64>>,
    ready: Arc<Semaphore>,
}

impl Container for Leader {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "epoch" => answer(&*self.epoch.lock().unwrap()),
            _ => Err(call.unknown(&["epoch"])),
        }
    }

    async fn activated(&self, activation: Activation) -> Result<(), ContainerError> {
        self.ready.acquire().await?.forget();
        let epoch = activation.epoch.map(|epoch| epoch.n);
        *self.epoch.lock().unwrap() = epoch;
        match epoch {
            Some(13) => Err(ContainerError::new("not thirteen")),
            _ => Ok(()),
        }
    }
}

async fn leading(ready: &Arc<Semaphore>) -> Rig {
    let ready = ready.clone();
    let kinds = kinds().stateless("leader", "the-leader", move |_| {
        let ready = ready.clone();
        async move {
            let epoch = Mutex::default();
            Ok(Leader { epoch, ready })
        }
    });
    let mut rig = Rig::with(kinds, |_| {});
    rig.registered_with_standby().await;
    rig
}

impl Rig {
    /// Registers until the standby is listed.
    async fn registered_with_standby(&mut self) {
        loop {
            let registration = self.register().await;
            let mut listed = registration.containers.iter();
            if listed.any(|record| record.uuid == "the-leader") {
                return;
            }
        }
    }

    async fn lead(&self, epoch: u64) -> Result<Value, ErrorPayload> {
        self.get("leader", "the-leader", json!({"epoch": [1, epoch]}))
            .await
    }
}

#[tokio::test]
async fn a_standby_is_told_that_it_has_the_uuid_before_requests() {
    let ready = Arc::new(Semaphore::new(0));
    let rig = leading(&ready).await;
    rig.metric("huly_agent_standbys{kind=\"leader\"} 1").await;
    let refused = rig.request("the-leader", "epoch", Value::Null).await;
    assert_eq!(refused.unwrap_err().code, Some(ErrorCode::Gone));
    let got = rig.call(
        "gg",
        json!(["leader", {"uuid": "the-leader"}]),
        json!({"epoch": [1, 3]}),
    );
    let asked = rig.call("cs", json!(["the-leader", "epoch", null]), Value::Null);
    ready.add_permits(1);
    patient(got).await.unwrap().unwrap();
    let epoch: Value = patient(asked).await.unwrap().unwrap().read().unwrap();
    assert_eq!(epoch, json!(3));
    rig.metric("huly_agent_standbys{kind=\"leader\"} 0").await;
    rig.metric("huly_agent_containers{kind=\"leader\"} 1").await;
}

#[tokio::test]
async fn one_that_cannot_have_the_uuid_says_why_and_another_is_made() {
    let ready = Arc::new(Semaphore::new(10));
    let mut rig = leading(&ready).await;
    let error = rig.lead(13).await.unwrap_err();
    assert!(error.message.ends_with("not thirteen"), "{}", error.message);
    rig.registered_with_standby().await;
    rig.lead(14).await.unwrap();
    let epoch = rig.request("the-leader", "epoch", Value::Null).await;
    assert_eq!(epoch.unwrap(), json!(14));
    // The server places it here though it runs on: a new one is made, and told so too.
    rig.lead(15).await.unwrap();
    let epoch = rig.request("the-leader", "epoch", Value::Null).await;
    assert_eq!(epoch.unwrap(), json!(15));
}
