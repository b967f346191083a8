//! Containers whose events an agent's ROUTER sends.

use huly_session::{Config, Input, Peer};
use serde_json::json;

use crate::rig::{Rig, config, params, requests, sent};

/// Connects to a container: the agent sends its events.
fn connect(rig: &mut Rig, uuid: &str) {
    let (token, uuid) = (rig.token(), uuid.to_owned());
    let asked = rig.input(Input::Connect { token, uuid });
    rig.answer(&sent(&asked)[0], json!([]));
}

/// What is sent again of the time before must not undo what is asked since.
#[test]
fn what_is_connected_again_before_its_agent_is_there_stays_so() {
    let mut rig = Rig::new(Config {
        peer: Peer::Agent,
        ..config()
    });
    rig.connect("s-1");
    connect(&mut rig, "u");
    connect(&mut rig, "v");
    let uuid = || "u".to_owned();
    let left = rig.input(Input::Disconnect { uuid: uuid() });
    assert_eq!(requests(&left)[0].0, "cd");

    rig.input(Input::Disconnected);
    let token = rig.token();
    rig.input(Input::Connect {
        token,
        uuid: uuid(),
    });
    let said = sent(&rig.connect("s-1"));
    let of_it = said.iter().filter(|frame| {
        let uuids = &params(frame)["uuid"];
        *uuids == "u"
            || uuids
                .as_array()
                .is_some_and(|all| all.contains(&json!("u")))
    });
    let last = of_it.last().expect("it is asked for");
    assert_eq!(
        params(last)["uuid"],
        json!(["u"]),
        "{}",
        last.payload_text()
    );

    // What was given up may be answered yet.
    rig.answer(&sent(&left)[0], json!("ok"));
    assert_eq!(rig.session.counters().unknown_answers, 0);
}
