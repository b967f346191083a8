//! Terms: the highest known one counts.

use huly_protocol::{Frame, Hello, Op};
use huly_session::{Effect, Input};

use crate::rig::{Rig, hello_answer, sent};

#[test]
fn a_server_of_a_lower_term_is_refused() {
    let mut rig = Rig::up();
    rig.input(Input::Disconnected);
    let hello = sent(&rig.input(Input::Connected)).remove(0);
    let said: Hello = serde_json::from_slice(&hello.payload).expect("a hello");
    assert_eq!(
        said.huly.expect("ours").term,
        1_000,
        "it is told what is known"
    );
    let effects = rig.frame(hello_answer("s-9", "i-0", 999, 1_024));
    assert!(matches!(effects[..], [Effect::Hangup, Effect::Dial { .. }]));
    assert_eq!(rig.session.counters().refused_servers, 1);
    rig.input(Input::Connected);
    let effects = rig.frame(hello_answer("s-2", "i-0", 1_001, 1_024));
    assert_eq!(effects[0], Effect::Term(1_001));
    assert!(rig.session.is_up());
}

#[test]
fn a_raised_term_counts_at_once() {
    let mut rig = Rig::up();
    let effects = rig.frame(Frame::new(Op::Event, "", "{\"term\":5000}"));
    assert_eq!(effects, [Effect::Term(5_000)]);
    rig.input(Input::Disconnected);
    rig.input(Input::Connected);
    let effects = rig.frame(hello_answer("s-2", "i-2", 4_999, 1_024));
    assert!(effects.contains(&Effect::Hangup));
}
