//! Who leads, and what becomes of writes.

use super::harness::{Harness, kind};

#[test]
fn who_looks_on_does_nothing_and_is_ready() {
    let mut it = Harness::with_claims(&[("demo", "c", None)]);
    it.look_on();
    it.claim("demo", "d", "echo", None);
    it.pass_seconds(120);
    assert_eq!((it.writes("c"), it.writes("d")), (1, 0));
    assert_eq!(it.core.report().waits, [""; 0]);
    assert!(!it.core.report().leads);
}

#[test]
fn nothing_is_written_over_what_somebody_else_wrote() {
    let mut it = Harness::with_claims(&[("demo", "c", None)]);
    it.touch_unseen("c");
    it.agent("b", &["echo"]);
    it.network.lose_agent("a");
    it.network.place_lost();
    it.pass_seconds(10);
    let conflicts = it.tried_writes - it.all_writes() - it.kind_writes("echo");
    assert!(
        (1..=5).contains(&conflicts),
        "{conflicts}: it waits in between"
    );
    assert_eq!(it.status("c").agent.as_deref(), Some("a"));
    // The watch catches up.
    it.tell("c");
    it.run();
    assert_eq!(it.status("c").agent.as_deref(), Some("b"));
}

#[test]
fn an_api_server_that_fails_is_asked_ever_more_seldom_whatever_is_to_be_written() {
    let names: Vec<String> = (0..200).map(|n| format!("c{n}")).collect();
    let claims: Vec<(&str, &str, Option<&str>)> =
        names.iter().map(|name| ("demo", &**name, None)).collect();
    let mut it = Harness::new();
    it.agent("a", &["echo"]);
    it.kind(kind("echo"));
    it.run();
    it.fail_writes = u32::MAX;
    let before = it.tried_writes;
    for (namespace, name, uuid) in claims {
        it.claim(namespace, name, "echo", uuid);
    }
    it.pass_seconds(300);
    let tried = it.tried_writes - before;
    assert!((20..=90).contains(&tried), "{tried}");
    it.fail_writes = 0;
    it.pass_seconds(20);
    assert!(
        names
            .iter()
            .all(|name| it.said(name).starts_with("True/Bound"))
    );
    assert_eq!(it.all_writes(), 200, "one write each");
}
