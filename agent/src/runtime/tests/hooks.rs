use super::*;
use crate::core::{Ended, Reason};

#[tokio::test]
async fn every_end_is_told_also_the_last() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let kinds = kinds().on_ended(move |ended: Ended| {
        let uuid = ended.uuid.to_string();
        let kind = ended.kind.to_string();
        tell.send((uuid.clone(), kind, ended.reason)).unwrap();
        assert_ne!(uuid, "panics", "as told");
    });
    let mut rig = Rig::with(kinds, |_| {});
    rig.register().await;
    for uuid in ["panics", "u", "v"] {
        rig.get("probe", uuid, Value::Null).await.unwrap();
    }
    rig.request("panics", "panic", json!(1)).await.unwrap_err();
    rig.ask("ct", json!(["u"]), Value::Null).await.unwrap();
    rig.get("broken", "w", Value::Null).await.unwrap_err();
    let mut next = async || patient(told.recv()).await.expect("a hook that lives");
    let end = |uuid: &str, kind: &str, reason| (uuid.to_owned(), kind.to_owned(), reason);
    assert_eq!(next().await, end("panics", "probe", Reason::Panicked));
    assert_eq!(next().await, end("u", "probe", Reason::Terminated));
    assert_eq!(next().await, end("w", "broken", Reason::StartFailed));
    // Nobody hears that it leaves.
    drop(rig.told);
    patient(rig.agent.leave()).await.unwrap();
    assert_eq!(next().await, end("v", "probe", Reason::Drain));
}
