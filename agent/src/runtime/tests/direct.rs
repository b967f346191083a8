use super::*;

#[tokio::test]
async fn a_client_asks_a_container_without_the_server() {
    let rig = Rig::registered().await;
    let got = rig.get("probe", "u", Value::Null).await.unwrap();
    let endpoint: Value = serde_json::from_str(got[1].as_str().unwrap()).unwrap();
    assert_eq!(endpoint["port"], rig.agent.address().port());
    let mut dealer = rig.dealer("c1").await;
    let answer = dealer
        .ask("r1", "cs", json!(["u", "echo", { "x": 1 }]))
        .await;
    assert_eq!(answer, Ok(json!({ "x": 1 })));
    let error = dealer
        .ask("r2", "cs", json!(["u", "nope", 1]))
        .await
        .unwrap_err();
    assert_eq!(error.message, r#"unknown operation "nope"; known: echo"#);
    let pong = dealer.say(Op::Ping, "", "").await;
    assert_eq!(pong.op, Op::Pong);
    let line = r#"huly_agent_requests_total{kind="probe",outcome="ok",route="direct"} 1"#;
    rig.metric(line).await;
}

#[tokio::test]
async fn requests_begin_in_order_and_interleave() {
    let rig = Rig::registered().await;
    rig.get("probe", "u", Value::Null).await.unwrap();
    let mut dealer = rig.dealer("c1").await;
    for number in 0..50 {
        let payload = json!(["cs", ["u", "wait", number]]).to_string();
        dealer
            .send(Op::Request, &format!("r{number}"), &payload)
            .await;
    }
    // All of them wait; one more is answered before them.
    let begun = dealer
        .ask("last", "cs", json!(["u", "begun", "b"]))
        .await
        .unwrap();
    let mut expected: Vec<Value> = (0..50).map(|number| json!(number)).collect();
    expected.push(json!("b"));
    assert_eq!(begun, json!(expected));
    dealer
        .send(Op::Request, "go", r#"["cs",["u","go",0]]"#)
        .await;
    for _ in 0..51 {
        assert_eq!(dealer.recv().await.op, Op::Response);
    }
}

#[tokio::test]
async fn connected_clients_get_events() {
    let rig = Rig::registered().await;
    rig.get("probe", "u", Value::Null).await.unwrap();
    let (mut one, mut two) = (rig.dealer("c1").await, rig.dealer("c2").await);
    assert_eq!(
        one.ask("r1", "cc", json!({ "uuid": "u" })).await,
        Ok(json!(1))
    );
    rig.request("u", "tell", json!({ "n": 1 })).await.unwrap();
    assert_eq!(
        one.recv().await,
        Frame::new(Op::Event, "", r#"["u",{"n":1}]"#)
    );
    // Nothing for who is not connected: the next is the answer.
    assert_eq!(
        two.ask("r1", "cs", json!(["u", "echo", 2])).await,
        Ok(json!(2))
    );
    rig.metric("huly_agent_connected_clients 2").await;
}

#[tokio::test]
async fn hostile_bytes_disturb_nobody() {
    let rig = Rig::registered().await;
    rig.get("probe", "u", Value::Null).await.unwrap();
    let mut good = rig.dealer("good").await;
    let mut bad = rig.dealer("bad").await;
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let mebibyte = Bytes::from(vec![b'x'; 1 << 20]);
    let messages = vec![
        vec![text("")],
        vec![text("77"), text("id")],
        vec![text("x"), mebibyte.clone()],
        vec![text("1")],
        vec![
            text("1"),
            mebibyte.clone(),
            text(r#"["cs",["u","echo",1]]"#),
        ],
        vec![text("1"), Bytes::from_static(b"\xff\xfe"), text("[]")],
        vec![text("2"), text("never-asked"), text("1")],
        vec![text("3"), text("never-asked"), text("{}")],
        vec![text("0"), text("bad"), text("not json")],
        vec![text("4")],
        vec![text("6"), text("x")],
    ];
    let ignored = messages.len();
    for message in messages {
        bad.send_raw(message).await;
    }
    // Requests with an id get an error, in the order in which they came.
    for (number, payload) in ["", "{", r#"["zz",{}]"#, r#"["cs",5]"#].iter().enumerate() {
        let id = format!("r{number}");
        let frame = bad.say(Op::Request, &id, payload).await;
        assert_eq!((frame.op, frame.id), (Op::ResponseError, id), "{payload}");
        let answer = good
            .ask(&format!("g{number}"), "cs", json!(["u", "echo", number]))
            .await;
        assert_eq!(answer, Ok(json!(number)));
    }
    assert_eq!(
        bad.ask("r9", "cs", json!(["u", "echo", 9])).await,
        Ok(json!(9))
    );
    let metrics = rig.page("/metrics").await.1;
    let counted: usize = metrics
        .lines()
        .filter(|line| line.starts_with("huly_agent_bad_messages_total{"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok())
        .sum();
    // Three of the requests are no request at all; `["cs",5]` is one with wrong parameters.
    assert_eq!(counted, ignored + 3, "{metrics}");
}

#[tokio::test]
async fn a_client_that_did_not_say_hello_is_asked_to() {
    let rig = Rig::registered().await;
    let mut dealer = Dealer::connect(&rig.agent).await;
    let frame = dealer
        .say(Op::Request, "r1", r#"["cs",["u","echo",1]]"#)
        .await;
    assert_eq!(frame, Frame::new(Op::Retry, "r1", "1"));
    assert_eq!(dealer.recv().await.op, Op::AskHello);
}
