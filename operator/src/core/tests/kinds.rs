//! Kinds: pushed, deleted, replaced, and their statuses.

use huly_operator_api::condition::claim as reason;

use super::harness::{Harness, kind};

#[test]
fn a_deleted_kind_leaves_containers_and_gives_no_new_ones() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u"))]);
    it.delete_kind("echo");
    it.claim("demo", "two", "echo", None);
    it.pass_seconds(1);
    assert_eq!(
        it.said("one"),
        "True/KindDeleted True/Available True/KindDeleted"
    );
    assert_eq!(it.reason("two"), reason::REASON_KIND_NOT_FOUND);
    assert!(it.network.kinds_told().is_empty());
    it.pass_seconds(120);
    assert_eq!(it.network.holds(), ["u"]);
    // Its agent and the server go: nobody makes a new one.
    it.network.forget_all();
    it.restart_server();
    it.run();
    assert_eq!(it.reason("one"), reason::REASON_KIND_DELETED);
    assert_eq!(it.status("one").conditions[0].status, "False");
    it.kind(kind("echo"));
    it.run();
    assert_eq!(it.reason("one"), "Ready");
}

#[test]
fn a_claim_of_another_kind_does_not_take_the_uuid_of_a_deleted_kind() {
    let claims = [("demo", "one", Some("u")), ("a", "three", Some("u"))];
    let mut it = Harness::with_claims(&claims);
    it.agent("b", &["room"]);
    it.kind(kind("room"));
    it.claim("demo", "two", "room", Some("u"));
    it.run();
    it.delete_kind("echo");
    it.pass_seconds(2);
    assert_eq!(it.reason("two"), reason::REASON_UUID_OF_OTHER_KIND);
    assert_eq!(it.reason("one"), reason::REASON_KIND_DELETED);
    assert_eq!(it.status("one").conditions[0].status, "True");
    // Also for an operator that never saw the kind.
    it.restart_operator(|_| {});
    it.pass_seconds(2);
    assert_eq!(it.reason("two"), reason::REASON_UUID_OF_OTHER_KIND);
    assert_eq!(it.status("one").conditions[0].status, "True");
    assert_eq!(it.network.holds(), ["u"]);
}

#[test]
fn containers_are_not_got_before_their_kind_is_told() {
    let mut it = Harness::with_claims(&[]);
    it.network.refuse_kinds = true;
    let mut changed = kind("echo");
    changed.generation = 2;
    changed.spec.placement.max_per_agent = Some(3);
    it.kind(changed);
    it.claim("demo", "one", "echo", None);
    it.run();
    assert_eq!(it.network.calls, 0);
    it.network.refuse_kinds = false;
    it.pass_seconds(5);
    assert_eq!(it.reason("one"), "Ready");
}

#[test]
fn what_was_being_told_as_the_session_ended_comes_before_what_holds_now() {
    let of = |generation: i64, most| {
        let mut kind = kind("echo");
        kind.generation = generation;
        kind.spec.placement.max_per_agent = Some(most);
        kind
    };
    let mut it = Harness::new();
    it.slow_kinds = Some(Vec::new());
    it.kind(of(2, 5));
    it.run();
    it.restart_server();
    // Restored from a backup.
    it.kind(of(1, 3));
    it.run();
    let under_way = it.slow_kinds.as_ref().map(Vec::len);
    assert_eq!(under_way, Some(1), "one after the other");
    it.end_slow_kinds();
    let told = it.network.kind_told("echo").unwrap();
    assert_eq!(told.max_per_agent, Some(3));
    it.agent("a", &["echo"]);
    it.claim("demo", "one", "echo", None);
    it.run();
    assert_eq!(it.reason("one"), "Ready");
}

#[test]
fn kinds_say_who_serves_them() {
    let mut it = Harness::new();
    it.kind(kind("echo"));
    let mut second = kind("second");
    second.age.created = 9;
    second.spec.kind_name = Some("echo".into());
    it.kind(second);
    it.run();
    assert_eq!(
        it.kind_said("echo"),
        "True/Accepted False/NoAgents False/NoAgents"
    );
    assert_eq!(
        it.kind_said("second"),
        "False/NameConflict Unknown/NameConflict False/NameConflict"
    );
    it.agent("a", &["echo"]);
    it.run();
    assert_eq!(it.kind_said("echo"), "True/Accepted True/Served True/Ready");
    it.delete_kind("echo");
    it.run();
    assert_eq!(
        it.kind_said("second"),
        "True/Accepted True/Served True/Ready"
    );
}

#[test]
fn figures_begin_at_once_and_then_wait() {
    let mut it = Harness::new();
    it.agent("a", &["echo"]);
    it.kind(kind("echo"));
    it.pass_seconds(5);
    let writes = it.kind_writes("echo");
    assert_eq!(figures(&it), (1, 0, 0));
    it.claim("demo", "one", "echo", None);
    it.run();
    assert_eq!(figures(&it), (1, 1, 1), "of the first claim");
    it.claim("demo", "two", "echo", None);
    it.pass_seconds(1);
    assert_eq!(it.kind_writes("echo"), writes + 1);
    it.pass_seconds(2);
    assert_eq!(figures(&it), (1, 2, 2), "of those that came with it");
    assert_eq!(it.kind_writes("echo"), writes + 2);
    it.claim("demo", "three", "echo", None);
    it.pass_seconds(25);
    assert_eq!(it.kind_writes("echo"), writes + 2, "figures alone wait");
    it.pass_seconds(60);
    assert_eq!(figures(&it), (1, 3, 3));
    assert_eq!(it.kind_writes("echo"), writes + 3);
}

#[test]
fn figures_that_begin_again_and_again_wait() {
    let mut it = Harness::new();
    it.agent("a", &["echo"]);
    it.kind(kind("echo"));
    it.pass_seconds(5);
    let writes = it.kind_writes("echo");
    for _ in 0..60 {
        it.claim("demo", "one", "echo", Some("u"));
        it.pass_seconds(1);
        it.delete("one");
        it.run();
        it.network.end("u");
        it.pass_seconds(4);
    }
    // In each 30 s of the 300: at most one as they begin, one soon after and one of the usual.
    let written = it.kind_writes("echo") - writes;
    assert!((10..=30).contains(&written), "{written}");
    it.claim("demo", "one", "echo", Some("u"));
    it.pass_seconds(60);
    assert_eq!(figures(&it), (1, 1, 1));
}

#[test]
fn the_first_claims_of_a_kind_count_when_they_come_with_it() {
    let mut it = Harness::with_claims(&[("demo", "one", None), ("demo", "two", None)]);
    assert_eq!(figures(&it), (1, 2, 2));
    let writes = it.kind_writes("echo");
    it.pass_seconds(120);
    assert_eq!(it.kind_writes("echo"), writes, "nothing has changed");
}

/// Agents, containers and references of the kind `echo`.
fn figures(it: &Harness) -> (i64, i64, i64) {
    let status = it.kind_status("echo");
    let figures = (status.agents, status.containers, status.references);
    let (Some(agents), Some(containers), Some(references)) = figures else {
        panic!("{figures:?}");
    };
    (agents, containers, references)
}
