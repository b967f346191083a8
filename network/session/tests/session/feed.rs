//! The subscription to the feed.

use huly_session::Input;

use crate::rig::{Rig, requests};

fn methods(effects: &[huly_session::Effect]) -> Vec<String> {
    let all = requests(effects).into_iter();
    all.map(|(method, _)| method).collect()
}

#[test]
fn the_end_of_a_subscription_does_not_end_the_next() {
    let mut rig = Rig::up();
    assert_eq!(methods(&rig.input(Input::Watch)), ["xw"]);
    rig.input(Input::Disconnected);
    rig.input(Input::Unwatch);
    rig.input(Input::Watch);
    assert_eq!(methods(&rig.connect("s-1")), ["xw"]);
    // Sent and not answered, it is not sent again after the next either.
    assert_eq!(methods(&rig.input(Input::Unwatch)), ["xu"]);
    assert_eq!(methods(&rig.input(Input::Watch)), ["xw"]);
    rig.input(Input::Disconnected);
    assert_eq!(methods(&rig.connect("s-2")), ["xw"]);
}
