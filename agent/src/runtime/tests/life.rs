use huly_protocol::ErrorCode;

use super::*;

#[tokio::test]
async fn a_panic_ends_one_container_alone() {
    let mut rig = Rig::registered().await;
    rig.get("probe", "u", Value::Null).await.unwrap();
    rig.get("probe", "v", Value::Null).await.unwrap();
    let waiting = rig.call("cs", json!(["u", "wait", 1]), Value::Null);
    let error = rig.request("u", "panic", json!(1)).await.unwrap_err();
    assert_eq!(error.code, Some(ErrorCode::OutcomeUnknown));
    assert!(error.message.contains("as told"), "{error}");
    assert!(patient(waiting).await.unwrap().is_err());
    assert_eq!(rig.told_removed().await, ["u"]);
    assert_eq!(rig.request("v", "echo", json!(2)).await, Ok(json!(2)));
    // What runs beside the requests is the container's, too.
    rig.request("v", "spawn-panic", json!(1)).await.unwrap();
    assert_eq!(rig.told_removed().await, ["v"]);
    rig.metric(r#"huly_agent_ends_total{kind="probe",reason="Panicked"} 2"#)
        .await;
    rig.get("probe", "u", Value::Null).await.unwrap();
    assert_eq!(rig.request("u", "begun", json!(0)).await, Ok(json!([0])));
}

#[tokio::test]
async fn a_container_may_end_itself() {
    let mut rig = Rig::registered().await;
    rig.get("probe", "u", Value::Null).await.unwrap();
    let error = rig.request("u", "end", json!(1)).await.unwrap_err();
    assert_eq!(error.code, Some(ErrorCode::OutcomeUnknown));
    assert_eq!(rig.told_removed().await, ["u"]);
}

#[tokio::test]
async fn a_container_that_cannot_start_says_why() {
    let rig = Rig::registered().await;
    let error = rig.get("broken", "u", Value::Null).await.unwrap_err();
    assert!(error.message.contains("no disk"), "{error}");
}

/// With one that takes longer to end than it may.
async fn with_a_stubborn_one() -> Rig {
    let rig = Rig::registered().await;
    let spec = json!({ "kind": "stubborn", "revision": 1, "terminationGraceMs": 300 });
    let ext = json!({ "epoch": [1, 1], "spec": spec });
    rig.get("stubborn", "u", ext).await.unwrap();
    rig
}

#[tokio::test]
async fn one_that_does_not_stop_is_busy_until_its_grace_is_over() {
    let rig = with_a_stubborn_one().await;
    let ended = rig.call("ct", json!(["u"]), Value::Null);
    let error = rig.get("stubborn", "u", Value::Null).await.unwrap_err();
    assert_eq!(error.code, Some(ErrorCode::Busy));
    assert!(
        error.message.starts_with("still stopping on agent-1"),
        "{error}"
    );
    assert!(patient(ended).await.unwrap().is_ok());
    rig.get("stubborn", "u", Value::Null).await.unwrap();
}

#[tokio::test]
async fn what_runs_may_finish_when_a_container_is_ended() {
    let rig = Rig::registered().await;
    rig.get("probe", "u", Value::Null).await.unwrap();
    // The probe lets it go on when it is told to stop.
    let waiting = rig.call("cs", json!(["u", "wait", 1]), Value::Null);
    let ended = rig.call("ct", json!(["u"]), Value::Null);
    let answer = patient(waiting).await.unwrap();
    assert_eq!(answer, Ok(Json::of(&1).unwrap()));
    assert!(patient(ended).await.unwrap().is_ok());
}

#[tokio::test]
async fn what_runs_beyond_the_grace_may_have_run() {
    let rig = with_a_stubborn_one().await;
    let running = rig.call("cs", json!(["u", "wait", 1]), Value::Null);
    let ended = rig.call("ct", json!(["u"]), Value::Null);
    let error = patient(running).await.unwrap().unwrap_err();
    assert_eq!(error.code, Some(ErrorCode::OutcomeUnknown), "{error}");
    assert!(patient(ended).await.unwrap().is_ok());
}

#[tokio::test]
async fn the_agent_leaves_in_order() {
    let rig = Rig::registered().await;
    for uuid in ["u", "v"] {
        rig.get("probe", uuid, Value::Null).await.unwrap();
    }
    let Rig {
        agent,
        inputs,
        mut told,
    } = rig;
    let leaving = tokio::spawn(async move { agent.leave().await });
    let mut seen = Vec::new();
    while let Some(told) = patient(told.recv()).await {
        seen.push(match told {
            Told::Register(_) => "register".to_owned(),
            Told::Update(event) => event.containers[0].container.uuid.clone(),
            Told::Drain => "drain".to_owned(),
            Told::Heard(answer) => {
                // Sent before the server heard of the end, and before its answer.
                let (reply, refused) = oneshot::channel();
                let call = LinkCall {
                    method: "cs".to_owned(),
                    params: Json::of(&json!(["u", "echo", 1])).unwrap(),
                    ext: None,
                    reply: Reply::Local(reply),
                };
                inputs.send(LinkInput::Call(call)).unwrap();
                answer.send(()).unwrap();
                let error = patient(refused).await.unwrap().unwrap_err();
                error.message
            }
            Told::Left => "left".to_owned(),
        });
    }
    seen[1..3].sort();
    assert_eq!(seen[..3], ["drain", "u", "v"]);
    assert!(seen[3].contains("there is no container"), "{seen:?}");
    assert_eq!(seen[4..], ["left"]);
    patient(leaving).await.unwrap().unwrap();
}

#[tokio::test]
async fn leaving_waits_for_no_container_beyond_its_limit() {
    let mut rig = Rig::with(kinds(), |options| options.drain_timeout_ms = 100);
    rig.register().await;
    // It would take its grace of 10 s, which is as long as a test waits.
    rig.get("stubborn", "u", Value::Null).await.unwrap();
    let Rig {
        agent,
        inputs: _inputs,
        mut told,
    } = rig;
    let leaving = tokio::spawn(async move { agent.leave().await });
    let mut seen = Vec::new();
    while let Some(one) = patient(told.recv()).await {
        // The server has heard it, or is away: the answer is dropped.
        seen.push(match one {
            Told::Heard(_) => "heard",
            Told::Drain => "drain",
            Told::Update(_) => "ended",
            Told::Register(_) => "register",
            Told::Left => "left",
        });
    }
    assert_eq!(seen, ["drain", "ended", "heard", "left"]);
    patient(leaving).await.unwrap().unwrap();
}

#[tokio::test]
async fn dropped_it_ends_without_a_word() {
    let mut rig = Rig::registered().await;
    rig.get("probe", "u", Value::Null).await.unwrap();
    drop(rig.agent);
    assert!(patient(rig.told.recv()).await.is_none());
}

#[tokio::test]
async fn health_says_what_it_waits_for() {
    let mut rig = Rig::new();
    let (status, body) = rig.page("/readyz").await;
    assert!(status.contains("503"), "{status}");
    assert!(body.contains("registration"), "{body}");
    let (status, _) = rig.page("/livez").await;
    assert!(status.contains("200"), "{status}");
    rig.metric("huly_agent_session_up 0").await;
    rig.register().await;
    rig.metric("huly_agent_session_up 1").await;
    let (status, body) = rig.page("/readyz").await;
    assert!(
        status.contains("200") && body.contains("registered"),
        "{status} {body}"
    );
}

#[tokio::test]
async fn it_reports_what_it_hosts_when_it_registers_again() {
    let mut rig = Rig::registered().await;
    rig.get("probe", "u", json!({ "epoch": [5, 6] }))
        .await
        .unwrap();
    let registration = rig.register().await;
    assert_eq!(registration.uuid, "agent-1");
    assert_eq!(registration.kinds, ["broken", "probe", "stubborn"]);
    let record = &registration.containers[0];
    assert_eq!(record.uuid, "u");
    assert_eq!(record.huly.as_ref().unwrap().epoch, Some((5, 6).into()));
    // In ms since 1970.
    assert!(record.last_visit > 1.6e12, "{}", record.last_visit);
}

#[tokio::test]
async fn it_is_ready_once_it_is_registered() {
    let rig = Rig::registered().await;
    patient(rig.agent.ready()).await.unwrap();
    rig.inputs.send(LinkInput::Over).unwrap();
    let gone = async {
        while rig.agent.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    patient(gone).await;
}
