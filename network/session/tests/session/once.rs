//! Requests to containers run once, or the caller is told that it is not known.

use huly_protocol::{Epoch, ErrorCode, ErrorPayload, Frame, Op};
use huly_session::{Call, Effect, Input, Token};
use serde_json::{Value, json};

use crate::rig::{Rig, config, ended, hello_answer, json_of, ms, params, requests, sent};

pub(crate) const EPOCH: Epoch = Epoch { term: 1_000, n: 7 };
/// The life after that.
const NEXT: Epoch = Epoch { term: 1_000, n: 8 };

/// Asks a container with what `set` adds to the call.
pub(crate) fn ask(rig: &mut Rig, set: impl FnOnce(&mut Call)) -> (Token, Vec<Effect>) {
    let token = rig.token();
    let mut call = Call::new(token, "cs", json_of(json!(["c", "op", 1])));
    set(&mut call);
    (token, rig.input(Input::Call(call)))
}

/// What is said beside the only request of these effects.
pub(crate) fn ext(effects: &[Effect]) -> Value {
    let frames = sent(effects);
    let [frame] = &frames[..] else {
        panic!("one request was expected: {frames:?}");
    };
    params(frame)[3].clone()
}

fn unknown(request: &Frame) -> Frame {
    let error = ErrorPayload::new(ErrorCode::OutcomeUnknown, "outcome unknown");
    Frame::new(Op::ResponseError, request.id.clone(), error.bytes())
}

#[test]
fn the_server_is_told_how_long_the_caller_waits() {
    let mut rig = Rig::new(config());
    ask(&mut rig, |call| call.timeout = Some(ms(400)));
    rig.run(ms(100));
    let effects = rig.connect("s-1");
    let asked = sent(&effects)
        .into_iter()
        .find(|frame| frame.op == Op::Request);
    assert_eq!(
        params(&asked.expect("the request"))[3],
        json!({"timeoutMs": 300})
    );
}

/// The answer to a get of the container in a life.
fn there(epoch: Epoch) -> Value {
    json!(["c", "there", {"kind": "echo", "agentId": "b", "epoch": epoch}])
}

/// The session holds the container.
fn hold(rig: &mut Rig) {
    let (_, get) = rig.get(Some("c"));
    rig.answer(&sent(&get)[0], there(EPOCH));
}

/// The server says that the container lives elsewhere now.
fn moved(epoch: Epoch) -> Frame {
    let placement = &there(epoch)[2];
    let held = json!([{"uuid": "c", "event": 1, "endpoint": "there", "placement": placement}]);
    Frame::new(Op::Event, "", json!({ "held": held }).to_string())
}

#[test]
fn a_request_that_may_have_run_in_two_lives_is_not_sent_to_another_session() {
    let mut rig = Rig::up();
    hold(&mut rig);
    let (token, _) = ask(&mut rig, |call| call.epoch = Some(EPOCH));
    rig.frame(moved(NEXT));
    // What the server has not lost it knows by its id.
    let again = rig.reconnect("s-1");
    assert_eq!(
        (ext(&again)["epoch"].clone(), ended(&again)),
        (Value::Null, vec![])
    );
    let again = rig.reconnect("s-2");
    assert_eq!(ended(&again), [(token, Some(ErrorCode::OutcomeUnknown))]);
}

#[test]
fn a_request_that_waits_to_be_sent_will_run_in_the_life_of_then() {
    let mut rig = Rig::new(config());
    rig.input(Input::Connected);
    rig.frame(hello_answer("s-1", "i-1", 1_000, 1));
    hold(&mut rig);
    let (_, first) = ask(&mut rig, |_| {});
    // One is in flight already, which is the most.
    let (_, effects) = ask(&mut rig, |call| call.epoch = Some(EPOCH));
    assert_eq!(sent(&effects), []);
    rig.frame(moved(NEXT));
    assert_eq!(sent(&rig.answer(&sent(&first)[0], json!(1))).len(), 1);
    let frames = sent(&rig.reconnect("s-2"));
    let asked = frames.iter().rfind(|frame| frame.op == Op::Request);
    assert_eq!(params(asked.expect("the request"))[3]["epoch"], json!(NEXT));
}

#[test]
fn a_request_that_may_have_run_in_the_life_before_names_it_when_it_had_to_wait() {
    let mut rig = Rig::up();
    hold(&mut rig);
    ask(&mut rig, |call| call.epoch = Some(EPOCH));
    rig.input(Input::Disconnected);
    // The next session takes one at a time, and knows nothing of it: what is held goes first.
    rig.input(Input::Connected);
    let asserts = sent(&rig.frame(hello_answer("s-2", "i-1", 1_000, 1)));
    assert_eq!(asserts.len(), 1);
    let again = rig.answer(&asserts[0], json!([there(NEXT)]));
    assert_eq!(ext(&again)["epoch"], json!(EPOCH));
}

#[test]
fn a_request_of_a_known_life_is_sent_again_and_names_it() {
    let mut rig = Rig::up();
    hold(&mut rig);
    let (token, effects) = ask(&mut rig, |call| call.epoch = Some(EPOCH));
    assert_eq!(ext(&effects)["epoch"], Value::Null, "it runs nowhere yet");
    let again = rig.reconnect("s-2");
    assert_eq!(ended(&again), []);
    let asked = asks(&again).expect("it is sent again");
    assert_eq!(params(&asked)[3]["epoch"], json!([1_000, 7]));
    assert_eq!(ended(&rig.answer(&asked, json!(1))), [(token, None)]);
}

/// The last request to a container among these.
fn asks(effects: &[Effect]) -> Option<Frame> {
    let all = requests(effects);
    let (_, id) = all.iter().rfind(|(method, _)| method == "cs")?;
    sent(effects).into_iter().find(|frame| frame.id == *id)
}

/// Nobody says any more where the container lives next, and it may run there.
#[test]
fn a_request_to_what_was_let_go_is_not_sent_to_another_session() {
    let mut rig = Rig::up();
    hold(&mut rig);
    let (token, _) = ask(&mut rig, |call| call.epoch = Some(EPOCH));
    let (uuid, raw) = ("c".to_owned(), false);
    rig.input(Input::Release {
        token: None,
        uuid,
        raw,
    });
    let again = rig.reconnect("s-1");
    let asked = asks(&again).expect("the server that has not lost it knows it by its id");
    assert_eq!(params(&asked)[3].get("epoch"), None);
    let again = rig.reconnect("s-2");
    assert_eq!(ended(&again), [(token, Some(ErrorCode::OutcomeUnknown))]);
    // Also where it was let go before it was asked.
    let (token, _) = ask(&mut rig, |call| call.epoch = Some(EPOCH));
    let again = rig.reconnect("s-3");
    assert_eq!(ended(&again), [(token, Some(ErrorCode::OutcomeUnknown))]);
}

/// What another session alone knows names its life from then on, and runs in no other.
#[test]
fn what_waits_to_be_sent_again_names_its_life_though_it_was_let_go() {
    let mut rig = Rig::up();
    hold(&mut rig);
    ask(&mut rig, |call| call.epoch = Some(EPOCH));
    rig.input(Input::Disconnected);
    // It takes one at a time: what is held goes first.
    rig.input(Input::Connected);
    let asserts = sent(&rig.frame(hello_answer("s-2", "i-1", 1_000, 1)));
    let (uuid, raw) = ("c".to_owned(), false);
    let release = rig.input(Input::Release {
        token: None,
        uuid,
        raw,
    });
    rig.answer(&asserts[0], json!([there(EPOCH)]));
    let again = rig.answer(&sent(&release)[0], json!("ok"));
    let asked = asks(&again).expect("it is sent again");
    assert_eq!(params(&asked)[3]["epoch"], json!(EPOCH));
}

/// Its caller may be late to hear of the next life.
#[test]
fn a_request_names_the_life_that_was_known_when_it_was_sent() {
    let mut rig = Rig::up();
    hold(&mut rig);
    rig.frame(moved(NEXT));
    ask(&mut rig, |call| call.epoch = Some(EPOCH));
    let again = rig.reconnect("s-2");
    let asked = asks(&again).expect("it is sent again");
    assert_eq!(params(&asked)[3]["epoch"], json!(NEXT));
}

#[test]
fn the_answer_to_a_get_says_that_the_container_has_another_life_too() {
    let mut rig = Rig::up();
    hold(&mut rig);
    let (token, _) = ask(&mut rig, |call| call.epoch = Some(EPOCH));
    let (_, get) = rig.get(Some("c"));
    rig.answer(&sent(&get)[0], there(NEXT));
    let again = rig.reconnect("s-2");
    assert_eq!(ended(&again), [(token, Some(ErrorCode::OutcomeUnknown))]);
}

#[test]
fn a_request_of_an_unknown_life_is_not_sent_again_where_it_may_have_run() {
    let mut rig = Rig::up();
    let (token, _) = ask(&mut rig, |_| {});
    rig.input(Input::Disconnected);
    // The same session knows it.
    let same = rig.connect("s-1");
    assert_eq!(ended(&same), []);
    assert!(sent(&same).iter().any(|frame| frame.op == Op::Request));
    rig.input(Input::Disconnected);
    let (queued, _) = ask(&mut rig, |_| {});
    let other = rig.connect("s-2");
    assert_eq!(ended(&other), [(token, Some(ErrorCode::OutcomeUnknown))]);
    let asked: Vec<Frame> = sent(&other)
        .into_iter()
        .filter(|f| f.op == Op::Request)
        .collect();
    assert_eq!(asked.len(), 1, "what was never sent is sent");
    assert_eq!(ended(&rig.answer(&asked[0], json!(1))), [(queued, None)]);
}

#[test]
fn an_idempotent_request_is_sent_again_in_any_life_until_its_time_is_over() {
    let mut rig = Rig::up();
    let end = rig.now + ms(5_000);
    let (token, effects) = ask(&mut rig, |call| {
        call.idempotent = true;
        call.epoch = Some(EPOCH);
        call.timeout = Some(ms(5_000));
    });
    let asked = sent(&effects).remove(0);
    let again = rig.reconnect("s-2");
    let again = sent(&again)
        .into_iter()
        .find(|f| f.op == Op::Request)
        .expect("it is sent again");
    assert_eq!(again.id, asked.id);
    assert_eq!(params(&again)[3].get("epoch"), None);
    // The container left its agent before it answered.
    assert_eq!(ended(&rig.frame(unknown(&again))), []);
    let later = rig.run(ms(600));
    let later = sent(&later)
        .into_iter()
        .find(|f| f.op == Op::Request)
        .expect("and again");
    assert_eq!(later.id, asked.id);
    rig.frame(unknown(&later));
    let rest = end - rig.now;
    let last: Vec<_> = ended(&rig.run(rest));
    assert_eq!(last, [(token, Some(ErrorCode::OutcomeUnknown))]);
}

/// Sent once, then waiting behind a full limit after a reconnect of the same session: it may run.
#[test]
fn an_idempotent_request_that_did_not_run_is_sent_again_too() {
    let refuse = |rig: &mut Rig, effects: &[Effect]| {
        let error = ErrorPayload::new(ErrorCode::Interrupted, "it has another life");
        let id = sent(effects)[0].id.clone();
        rig.frame(Frame::new(Op::ResponseError, id, error.bytes()))
    };
    let mut rig = Rig::up();
    let (_, effects) = ask(&mut rig, |call| call.idempotent = true);
    assert_eq!(ended(&refuse(&mut rig, &effects)), []);
    let again = sent(&rig.run(ms(600)));
    assert!(again.iter().any(|frame| frame.id == sent(&effects)[0].id));
    // Another one's caller is to say whether it is.
    let (token, effects) = ask(&mut rig, |_| {});
    let refused = ended(&refuse(&mut rig, &effects));
    assert_eq!(refused, [(token, Some(ErrorCode::Interrupted))]);
}

#[test]
fn what_waits_to_be_sent_again_is_not_sent_in_an_unknown_life_either() {
    let connect = |rig: &mut Rig, session: &str| {
        rig.input(Input::Connected);
        rig.frame(crate::rig::hello_answer(session, "i-1", 1_000, 2))
    };
    let mut rig = Rig::new(config());
    connect(&mut rig, "s-1");
    ask(&mut rig, |_| {});
    let (second, effects) = ask(&mut rig, |_| {});
    assert_eq!(sent(&effects).len(), 1, "it is sent");
    rig.input(Input::Disconnected);
    rig.input(Input::Watch);
    connect(&mut rig, "s-1");
    rig.input(Input::Disconnected);
    let other = connect(&mut rig, "s-2");
    let unknown: Vec<_> = ended(&other);
    assert!(
        unknown.contains(&(second, Some(ErrorCode::OutcomeUnknown))),
        "{unknown:?}"
    );
}

/// `removed` says that nothing replaces a container for now (no agent, or the wait after short
/// lives): the server holds the reference on and places it later. Its successor must do so too.
#[test]
fn what_waits_to_be_placed_is_asserted_again_as_well() {
    use crate::rig::{got, requests};
    let mut rig = Rig::up();
    let (_, effects) = rig.get(Some("c"));
    let asked = sent(&effects).remove(0);
    rig.answer(&asked, got("c"));
    let held = json!({"held": [{"uuid": "c", "event": 2}]});
    rig.frame(Frame::new(Op::Event, "", held.to_string().into_bytes()));
    rig.input(Input::Disconnected);
    let again = requests(&rig.connect("s-2"));
    assert!(again.iter().any(|(method, _)| method == "xr"), "{again:?}");
}

/// The server takes no id again over a connection that it has answered there and that has not come
/// again: it takes that for what was sent again before the answer came.
#[test]
fn an_idempotent_request_that_was_answered_before_its_turn_came_has_another_id() {
    let mut rig = Rig::up();
    ask(&mut rig, |_| {});
    let (token, asked) = ask(&mut rig, |call| call.idempotent = true);
    let asked = sent(&asked)[0].clone();
    rig.input(Input::Disconnected);
    rig.input(Input::Connected);
    // Only one at a time: the second one has to wait.
    let again = rig.frame(hello_answer("s-1", "i-1", 1_000, 1));
    assert_eq!(requests(&again).len(), 1);
    let answered = rig.frame(unknown(&asked));
    assert_eq!(ended(&answered), []);
    let other = sent(&again)[0].clone();
    rig.answer(&other, json!(1));
    let later = rig.run(ms(700));
    let [(_, id)] = &requests(&later)[..] else {
        panic!("it is sent again: {later:?}");
    };
    assert_ne!(*id, asked.id);
    let mut request = asked;
    request.id.clone_from(id);
    assert_eq!(ended(&rig.answer(&request, json!(2))), [(token, None)]);
}
