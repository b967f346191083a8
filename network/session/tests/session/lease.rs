//! Pings, silence and the lease of agents.

use std::time::Duration;

use huly_protocol::{Frame, Op};
use huly_session::{Call, Effect, Input};
use proptest::prelude::*;
use serde_json::json;

use crate::rig::{LEASE_MS, Rig, json_of, ms, pings, sent};

fn leases(effects: &[Effect]) -> Vec<Duration> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Lease { until, length } => {
                assert_eq!(*length, ms(LEASE_MS), "as the server says");
                Some(*until)
            }
            _ => None,
        })
        .collect()
}

fn register(rig: &mut Rig) -> Frame {
    let token = rig.token();
    let call = Call {
        only_in: Some("s-1".into()),
        registers: true,
        ..Call::new(token, "ar", json_of(json!({"uuid": "a"})))
    };
    sent(&rig.input(Input::Call(call))).remove(0)
}

fn pong(ping: &Frame, session: &str) -> Frame {
    Frame::new(Op::Pong, session, ping.payload.clone())
}

#[test]
fn the_first_ping_follows_hello_and_then_every_250_ms() {
    let mut rig = Rig::new(crate::rig::config());
    let first = pings(&rig.connect("s-1"));
    assert_eq!(first.len(), 1);
    rig.frame(pong(&first[0], "s-1"));
    assert!(pings(&rig.run(ms(249))).is_empty());
    let second = pings(&rig.run(ms(1)));
    assert_eq!(second.len(), 1);
    assert_ne!(first[0].payload, second[0].payload, "each has a number");
}

#[test]
fn a_lease_begins_with_the_registration_and_runs_from_when_the_ping_was_sent() {
    let mut rig = Rig::up();
    let ping = pings(&rig.run(ms(250))).remove(0);
    let sent_at = rig.now;
    assert!(
        leases(&rig.frame(pong(&ping, "s-1"))).is_empty(),
        "not registered"
    );
    rig.now += ms(40);
    let registration = register(&mut rig);
    let asked_at = rig.now;
    rig.now += ms(30);
    let effects = rig.answer(&registration, json!([]));
    assert_eq!(leases(&effects), [asked_at + ms(LEASE_MS)]);
    let ping = pings(&rig.run(ms(180))).remove(0);
    assert_eq!(rig.now, sent_at + ms(250));
    rig.now += ms(120);
    let effects = rig.frame(pong(&ping, "s-1"));
    assert_eq!(leases(&effects), [sent_at + ms(250 + LEASE_MS)]);
}

#[test]
fn pongs_of_another_session_prolong_nothing() {
    let mut rig = Rig::up();
    let registration = register(&mut rig);
    rig.answer(&registration, json!([]));
    let ping = pings(&rig.run(ms(250))).remove(0);
    assert!(leases(&rig.frame(pong(&ping, "s-0"))).is_empty());
    assert_eq!(leases(&rig.frame(pong(&ping, "s-1"))).len(), 1);
    assert!(
        leases(&rig.frame(pong(&ping, "s-1"))).is_empty(),
        "counts once"
    );
}

#[test]
fn a_fresh_session_has_no_lease_until_the_agent_registers_again() {
    let mut rig = Rig::up();
    let registration = register(&mut rig);
    rig.answer(&registration, json!([]));
    rig.input(Input::Disconnected);
    let ping = pings(&rig.connect("s-2")).remove(0);
    assert!(leases(&rig.frame(pong(&ping, "s-2"))).is_empty());
}

#[test]
fn a_registration_sent_twice_counts_from_the_hello() {
    let mut rig = Rig::up();
    let registration = register(&mut rig);
    rig.now += ms(100);
    rig.input(Input::Disconnected);
    rig.now += ms(100);
    let hello_at = rig.now;
    rig.input(Input::Connected);
    rig.now += ms(60);
    rig.frame(crate::rig::hello_answer("s-1", "i-1", 1_000, 1_024));
    rig.now += ms(10);
    let effects = rig.answer(&registration, json!([]));
    assert_eq!(leases(&effects), [hello_at + ms(LEASE_MS)]);
}

#[test]
fn silence_of_a_second_ends_the_connection() {
    let mut rig = Rig::up();
    let effects = rig.run(ms(999));
    assert!(!effects.contains(&Effect::Hangup));
    let effects = rig.run(ms(1));
    assert!(matches!(
        effects[..],
        [.., Effect::Hangup, Effect::Down, Effect::Dial { after }] if after <= ms(250)
    ));
    assert_eq!(rig.session.counters().silences, 1);
}

#[test]
fn after_a_pause_of_its_own_the_process_reads_first() {
    let mut rig = Rig::up();
    let ping = pings(&rig.run(ms(250))).remove(0);
    // Stopped for five seconds; the pong waits in the socket.
    rig.now += ms(5_000);
    let effects = rig.input(Input::Wake);
    assert!(!effects.contains(&Effect::Hangup));
    rig.frame(pong(&ping, "s-1"));
    assert!(rig.session.is_up());
}

#[test]
fn hello_without_an_answer_is_given_up() {
    let mut rig = Rig::new(crate::rig::config());
    rig.input(Input::Connected);
    let effects = rig.run(ms(3_000));
    assert!(matches!(effects[..], [Effect::Hangup, Effect::Dial { .. }]));
}

proptest! {
    /// Whatever is lost or late: no lease beyond its length from the sending of an answered ping.
    #[test]
    fn no_lease_is_longer_than_what_the_server_knows(
        delays in proptest::collection::vec((0_u64..900, any::<bool>()), 1..40),
    ) {
        let mut rig = Rig::up();
        let registration = register(&mut rig);
        let mut heard = rig.now;
        rig.answer(&registration, json!([]));
        let mut sent_at = Vec::new();
        for (delay, lost) in delays {
            let end = rig.now + ms(delay);
            while let Some(wake) = rig.session.next_wake().filter(|wake| *wake <= end) {
                rig.now = wake.max(rig.now);
                let effects = rig.input(Input::Wake);
                for ping in pings(&effects) {
                    sent_at.push((ping, rig.now));
                }
            }
            rig.now = end;
            if !rig.session.is_up() {
                break;
            }
            if let (false, Some((ping, at))) = (lost, sent_at.pop()) {
                sent_at.clear();
                heard = heard.max(at);
                let told = leases(&rig.frame(pong(&ping, "s-1")));
                prop_assert_eq!(told, vec![at + ms(LEASE_MS)]);
                prop_assert!(at <= heard);
            }
        }
    }
}
