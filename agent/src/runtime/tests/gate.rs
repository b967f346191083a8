use huly_client::Clock;
use huly_protocol::ErrorCode;

use super::host::Host;
use super::*;
use crate::core::{CallNumber, EndReport, Input};
use crate::runtime::gate::gate;
use crate::runtime::watchdog::Watch;

#[tokio::test]
async fn a_worker_that_runs_before_the_agents_thread_after_a_pause_waits_for_it() {
    let (keeper, mut seen) = gate(Duration::from_millis(200), Clock::default());
    keeper.awake(boot_clock());
    assert!(seen.moment().open);
    // The thread slept for longer than half a lease.
    keeper.awake(boot_clock() - Duration::from_millis(150));
    assert!(!seen.moment().open);
    let opened = seen.opened();
    tokio::pin!(opened);
    assert!(futures::poll!(&mut opened).is_pending());
    // It wakes and finds the lease overslept.
    keeper.set(false);
    keeper.awake(boot_clock());
    assert!(futures::poll!(&mut opened).is_pending());
    keeper.set(true);
    keeper.awake(boot_clock());
    patient(opened).await;
}

/// A container that is handed a request that the gate holds up.
async fn held() -> (Host, CallNumber) {
    let host = Host::start(kinds(), "probe", Watch::new()).await;
    // Handed over, and then the whole process is paused and wakes behind the fence.
    let call = CallNumber(1);
    host.request(call, "echo", None);
    host.keeper.set(false);
    (host, call)
}

#[tokio::test]
async fn what_was_handed_over_before_a_pause_begins_after_it_in_order() {
    let (mut host, first) = held().await;
    // The container's task sees the closed gate.
    tokio::task::yield_now().await;
    assert!(host.reports.try_recv().is_err());
    host.request(CallNumber(2), "begun", None);
    host.keeper.set(true);
    assert_eq!(host.answered().await.0, first);
    let (call, begun) = host.answered().await;
    assert_eq!(call, CallNumber(2));
    assert_eq!(begun.unwrap().text(), "[1,2]");
}

#[tokio::test]
async fn what_was_handed_over_before_a_pause_does_not_begin_in_a_container_that_is_ended() {
    let (mut host, call) = held().await;
    // The answer to the registration ends it, then the gate is opened, and only then the
    // container's task runs.
    host.hosting.stop(host.run);
    host.keeper.set(true);
    let (answered, result) = host.answered().await;
    assert_eq!(answered, call);
    assert_eq!(result.unwrap_err().code, Some(ErrorCode::Interrupted));
    let ended = patient(host.reports.recv()).await;
    assert!(matches!(
        ended,
        Some(Input::Ended {
            how: EndReport::Stopped,
            ..
        })
    ));
}

#[tokio::test]
async fn what_a_container_comes_to_after_its_caller_has_gone_does_not_run() {
    let (mut host, first) = held().await;
    host.request(CallNumber(2), "echo", Some(boot_clock()));
    let later = boot_clock() + Duration::from_secs(3_600);
    host.request(CallNumber(3), "begun", Some(later));
    host.keeper.set(true);
    // One that waits until it is too late is answered then; the rest keeps its order.
    let (call, late) = host.answered().await;
    assert_eq!(call, CallNumber(2));
    assert_eq!(late.unwrap_err().code, Some(ErrorCode::TimedOut));
    assert_eq!(host.answered().await.0, first);
    let (call, begun) = host.answered().await;
    assert_eq!(call, CallNumber(3));
    assert_eq!(begun.unwrap().text(), "[1,3]");
}
