//! An application drops the handle of its agent and goes on with the session.

use super::containers::{Blocker, Blocks};
use super::*;

#[tokio::test]
async fn when_it_says_that_it_leaves_nothing_begins_any_more() {
    let Blocks {
        kinds,
        mut begun,
        hold,
    } = Blocker::kind();
    let mut rig = Rig::over(kinds, true, |_| {});
    rig.register().await;
    let spec = json!({ "kind": "blocker", "revision": 1, "exclusive": true });
    let ext = json!({ "epoch": [1, 1], "spec": spec });
    rig.get("blocker", "u", ext).await.unwrap();
    let confirmed = json!([{ "uuid": "u", "epoch": [1, 1] }]);
    rig.ask("xc", confirmed, Value::Null).await.unwrap();
    let _first = rig.call("cs", json!(["u", "x", 1]), Value::Null);
    patient(begun.recv()).await.unwrap();
    let _second = rig.call("cs", json!(["u", "x", 2]), Value::Null);
    // The answer says that what came before it has been handed over.
    rig.ask("cl", json!([null]), Value::Null).await.unwrap();
    let Rig {
        agent, mut told, ..
    } = rig;
    drop(agent);
    while !matches!(patient(told.recv()).await, Some(Told::Left)) {}
    // Its worker goes on with what it was handed before.
    drop(hold);
    assert_eq!(patient(begun.recv()).await, None, "it began");
}

/// One that takes its time to go when it is aborted.
struct Lingers {
    begun: mpsc::UnboundedSender<()>,
    go: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
}

impl Drop for Lingers {
    fn drop(&mut self) {
        // Who started it may wait for nothing of it any more.
        let _ = self.begun.send(());
        let _ = self.go.lock().unwrap().recv();
    }
}

impl crate::Container for Lingers {
    async fn request(&self, call: crate::Call) -> Result<Json, crate::ContainerError> {
        Ok(call.data)
    }
}

#[tokio::test]
async fn it_leaves_when_its_containers_are_gone() {
    let (begun, mut goes) = mpsc::unbounded_channel();
    let (hold, go) = std::sync::mpsc::channel::<()>();
    let go = Arc::new(Mutex::new(go));
    let kinds = Kinds::new().serve("lingers", move |_| {
        let (begun, go) = (begun.clone(), go.clone());
        async { Ok(Lingers { begun, go }) }
    });
    let mut rig = Rig::over(kinds, true, |_| {});
    rig.register().await;
    rig.get("lingers", "u", Value::Null).await.unwrap();
    let Rig {
        agent, mut told, ..
    } = rig;
    drop(agent);
    patient(goes.recv()).await.unwrap();
    assert!(told.try_recv().is_err(), "it has not left yet");
    drop(hold);
    while !matches!(patient(told.recv()).await, Some(Told::Left)) {}
}
