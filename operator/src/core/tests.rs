//! The core against a network made of tables.

mod api_server;
mod harness;
mod kinds;

use huly_operator_api::UuidScope;
use huly_operator_api::condition::claim as reason;

use self::harness::{Harness, kind};

#[test]
fn a_claim_is_bound_with_one_write() {
    let mut it = Harness::new();
    it.agent("a", &["echo"]);
    it.kind(kind("echo"));
    it.claim("demo", "one", "echo", None);
    it.run();
    assert_eq!(it.said("one"), "True/Bound True/Available True/Ready");
    let status = it.status("one");
    assert_eq!(status.uuid.as_deref(), Some("uid-one"));
    assert_eq!(status.agent.as_deref(), Some("a"));
    assert_eq!(status.node_name.as_deref(), Some("node-a"));
    assert_eq!(status.failovers, Some(0));
    assert!(it.network.get_of("uid-one").is_some_and(|get| get.fresh));
    // A quiet life: nothing more is written, told or asked.
    let (writes, calls) = (it.writes("one"), it.network.calls);
    it.pass_seconds(300);
    assert_eq!((writes, it.writes("one")), (1, 1));
    assert!(it.events.is_empty(), "{:?}", it.events);
    assert_eq!(it.network.calls, calls);
    assert!(it.network.syncs >= 4, "{} syncs", it.network.syncs);
}

#[test]
fn what_is_held_is_synced_at_each_server_and_every_minute() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u"))]);
    assert_eq!(it.network.syncs, 1);
    it.pass_seconds(59);
    assert_eq!(it.network.syncs, 1);
    it.pass_seconds(2);
    assert_eq!(it.network.syncs, 2);
    it.restart_server();
    it.run();
    assert_eq!(it.network.syncs, 3);
    it.restart_operator(|_| {});
    it.run();
    assert_eq!(it.network.syncs, 4);
}

#[test]
fn a_deleted_claim_is_released() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u")), ("demo", "two", Some("u"))]);
    assert_eq!(it.network.holds(), ["u"]);
    it.delete("one");
    it.run();
    assert_eq!(it.network.holds(), ["u"], "two still has it");
    it.delete("two");
    it.run();
    assert!(it.network.holds().is_empty());
    assert_eq!(it.told(), ["one Released", "two Released"]);
}

#[test]
fn a_uuid_is_shared_in_its_namespace_unless_the_kind_says_cluster() {
    let claims = [
        ("a", "one", Some("u")),
        ("a", "two", Some("u")),
        ("b", "three", Some("u")),
    ];
    let mut it = Harness::with_claims(&claims);
    it.pass_seconds(1);
    assert_eq!(it.reason("two"), "Ready");
    assert_eq!(it.reason("three"), reason::REASON_UUID_IN_USE);
    assert_eq!(it.status("three").uuid, None);
    let mut cluster = kind("echo");
    cluster.generation = 2;
    cluster.spec.allowed_namespaces.uuid_scope = UuidScope::Cluster;
    it.kind(cluster);
    it.run();
    assert_eq!(it.reason("three"), "Ready");
}

#[test]
fn the_next_claim_inherits_a_uuid() {
    let claims = [("a", "one", Some("u")), ("b", "two", Some("u"))];
    let mut it = Harness::with_claims(&claims);
    it.pass_seconds(1);
    assert_eq!(it.reason("two"), reason::REASON_UUID_IN_USE);
    it.delete("one");
    it.run();
    assert_eq!(it.reason("two"), "Ready");
    assert_eq!(it.network.holds(), ["u"]);
}

#[test]
fn a_uuid_of_another_kind_is_not_held_until_it_is_free() {
    let mut it = Harness::new();
    it.agent("a", &["echo", "room"]);
    it.kind(kind("echo"));
    it.network.place_for_others("u", "room", "a");
    it.claim("demo", "one", "echo", Some("u"));
    it.run();
    assert_eq!(it.reason("one"), reason::REASON_UUID_OF_OTHER_KIND);
    assert!(it.network.holds().is_empty());
    it.network.end("u");
    it.run();
    assert_eq!(it.reason("one"), "Ready");
}

#[test]
fn a_claim_that_inherits_a_uuid_of_another_kind_releases_it_first() {
    let mut it = Harness::with_claims(&[("a", "one", Some("u"))]);
    it.agent("b", &["room"]);
    it.kind(kind("room"));
    it.claim("a", "two", "room", Some("u"));
    it.pass_seconds(1);
    assert_eq!(it.reason("two"), reason::REASON_UUID_OF_OTHER_KIND);
    it.delete("one");
    it.run();
    // The container idles out before its uuid is free.
    assert_eq!(it.reason("two"), reason::REASON_UUID_OF_OTHER_KIND);
    it.network.end("u");
    it.run();
    assert_eq!(it.reason("two"), "Ready");
    assert_eq!(it.status("two").agent.as_deref(), Some("b"));
}

#[test]
fn an_unknown_kind_is_said_after_a_moment_and_bound_once_it_is_there() {
    let mut it = Harness::new();
    it.agent("a", &["echo"]);
    it.claim("demo", "one", "echo", None);
    it.run();
    assert_eq!(it.writes("one"), 0, "the kind's watch may lag behind");
    it.pass_seconds(60);
    assert_eq!(it.reason("one"), reason::REASON_KIND_NOT_FOUND);
    assert_eq!(it.told(), ["one NotPlaceable"]);
    it.kind(kind("echo"));
    it.run();
    assert_eq!(it.reason("one"), "Ready");
    assert_eq!(it.writes("one"), 2);
    assert_eq!(it.told(), ["one NotPlaceable", "one Bound"]);
}

#[test]
fn a_claim_that_cannot_be_placed_says_why_and_is_bound_when_an_agent_appears() {
    let mut it = Harness::new();
    it.agent("a", &["room"]);
    it.kind(kind("echo"));
    it.claim("demo", "one", "echo", None);
    it.run();
    assert_eq!(it.reason("one"), reason::REASON_NOT_PLACEABLE);
    let message = "0/1 agents: 1 KindNotServed";
    assert_eq!(it.status("one").conditions[0].message, message);
    assert!(it.network.holds().is_empty());
    it.pass_seconds(120);
    assert_eq!(it.writes("one"), 1, "the reason has not changed");
    it.agent("b", &["echo"]);
    it.run();
    assert_eq!(it.status("one").agent.as_deref(), Some("b"));
    assert_eq!(it.told(), ["one NotPlaceable", "one Bound"]);
}

#[test]
fn a_short_failover_is_written_once_at_its_end() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u")), ("demo", "two", Some("v"))]);
    it.agent("b", &["echo"]);
    it.network.lose_agent("a");
    it.run();
    assert_eq!((it.writes("one"), it.writes("two")), (1, 1));
    it.pass_millis(400);
    it.network.place_lost();
    it.run();
    assert_eq!((it.writes("one"), it.writes("two")), (2, 2));
    let status = it.status("one");
    assert_eq!(
        (status.agent.as_deref(), status.failovers),
        (Some("b"), Some(1))
    );
    assert_eq!(status.last_failover.map(|last| last.from), Some("a".into()));
    assert_eq!(it.told(), ["one FailedOver", "two FailedOver"]);
    it.pass_seconds(60);
    assert_eq!(it.writes("one"), 2);
}

#[test]
fn a_long_failover_is_told_while_it_lasts() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u"))]);
    it.network.lose_agent("a");
    it.run();
    it.pass_millis(900);
    assert_eq!(it.reason("one"), "Ready");
    it.pass_millis(200);
    // The server is asked by then: there is no agent at all.
    assert_eq!(
        it.said("one"),
        "False/NotPlaceable False/NotBound False/NotPlaceable"
    );
    assert_eq!(it.status("one").uuid.as_deref(), Some("u"));
    assert_eq!(it.network.holds(), ["u"], "the reference stays");
    it.agent("b", &["echo"]);
    it.network.place_lost();
    it.run();
    assert_eq!(it.reason("one"), "Ready");
    assert_eq!(it.told(), ["one NotPlaceable", "one FailedOver"]);
}

#[test]
fn an_agent_that_goes_while_the_snapshot_comes_is_gone() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u"))]);
    it.network.subscribe_and_lose("a");
    it.run();
    it.pass_millis(1_100);
    assert_ne!(it.reason("one"), "Ready");
    it.agent("b", &["echo"]);
    it.network.place_lost();
    it.run();
    assert_eq!(it.reason("one"), "Ready");
    assert_eq!(it.status("one").agent.as_deref(), Some("b"));
}

#[test]
fn a_server_that_restarts_changes_no_status() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u"))]);
    it.network_down("restarting");
    it.pass_seconds(2);
    it.restart_server();
    it.run();
    assert_eq!(
        (it.writes("one"), it.network.holds()),
        (1, vec!["u".to_owned()])
    );
    it.pass_seconds(120);
    assert_eq!(it.writes("one"), 1);
    assert_eq!(it.network.kinds_told(), ["echo"]);
}

#[test]
fn a_server_that_stays_away_leaves_claims_bound() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u"))]);
    it.network_down("no route");
    it.claim("demo", "two", "echo", None);
    it.pass_seconds(4);
    assert_eq!(it.writes("one"), 1);
    it.pass_seconds(2);
    assert_eq!(
        it.said("one"),
        "True/Bound Unknown/NetworkUnavailable Unknown/NetworkUnavailable"
    );
    assert_eq!(it.status("one").agent.as_deref(), Some("a"));
    assert_eq!(
        it.said("two"),
        "False/NetworkUnavailable Unknown/NetworkUnavailable False/NetworkUnavailable"
    );
    it.restart_server();
    it.run();
    assert_eq!(
        (it.reason("one"), it.reason("two")),
        ("Ready".into(), "Ready".into())
    );
    assert_eq!(it.writes("one"), 3);
}

#[test]
fn an_operator_that_starts_again_releases_what_was_deleted_and_gets_what_is_new() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u")), ("demo", "two", Some("v"))]);
    assert_eq!(it.network.holds(), ["u", "v"]);
    let gets = it.network.calls;
    it.restart_operator(|claims| {
        claims.retain(|claim| claim.name != "one");
    });
    it.claim("demo", "three", "echo", Some("w"));
    it.run();
    assert_eq!(it.network.holds(), ["v", "w"]);
    assert_eq!(it.writes("two"), 1, "its status was right");
    assert_eq!(it.network.calls, gets + 1, "the feed tells of what is held");
}

#[test]
fn nothing_is_released_before_everything_is_listed() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u"))]);
    it.restart_operator_without_lists();
    it.pass_seconds(90);
    assert_eq!(it.network.holds(), ["u"]);
    assert!(!it.core.report().waits.is_empty());
}

#[test]
fn a_claim_that_cannot_be_read_holds_the_sync_back() {
    let mut it = Harness::with_claims(&[("demo", "one", Some("u"))]);
    it.unreadable("one");
    it.restart_server();
    it.pass_seconds(120);
    assert_eq!(it.network.holds(), ["u"]);
    assert!(
        it.core
            .report()
            .waits
            .iter()
            .any(|wait| wait.contains("cannot be read"))
    );
}

#[test]
fn a_status_that_cannot_be_written_is_written_later() {
    let mut it = Harness::with_claims(&[]);
    it.fail_writes = 2;
    it.claim("demo", "one", "echo", None);
    it.run();
    assert_eq!(it.writes("one"), 0);
    it.pass_seconds(10);
    assert_eq!((it.writes("one"), it.reason("one")), (1, "Ready".into()));
}

#[test]
fn a_get_that_is_cut_off_is_made_again_and_released_in_the_end() {
    let mut it = Harness::with_claims(&[]);
    it.network.cut_off_gets = 1;
    it.claim("demo", "one", "echo", Some("u"));
    it.run();
    it.delete("one");
    it.run();
    assert!(it.network.holds().is_empty(), "it may have been held");
}

#[test]
fn many_claims_take_one_write_each() {
    let mut it = Harness::new();
    it.agent("a", &["echo"]);
    it.kind(kind("echo"));
    let names: Vec<String> = (0..2_000).map(|n| format!("claim-{n}")).collect();
    for name in &names {
        it.claim("demo", name, "echo", None);
    }
    it.run();
    for name in &names {
        assert_eq!(
            (it.writes(name), it.reason(name)),
            (1, "Ready".into()),
            "{name}"
        );
    }
    it.pass_seconds(70);
    assert_eq!(it.all_writes(), 2_000);
}
