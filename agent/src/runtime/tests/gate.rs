use huly_client::Clock;
use huly_protocol::ErrorCode;

use super::host::{ASLEEP, CLOSED, Host, OPEN};
use super::*;
use crate::core::{CallNumber, EndReport, Gate, Input, Permit};
use crate::runtime::gate::gate;
use crate::runtime::watchdog::Watch;

#[tokio::test]
async fn a_worker_that_runs_before_the_agents_thread_after_a_pause_waits_for_it() {
    let (keeper, mut seen) = gate(Clock::default());
    let short = |gate: Gate| Gate {
        length: Duration::from_millis(200),
        ..gate
    };
    keeper.set(short(Gate::NEW));
    keeper.awake(boot_clock());
    assert!(seen.moment().open);
    // The thread slept for longer than half a lease.
    keeper.awake(boot_clock() - Duration::from_millis(150));
    assert!(!seen.moment().open);
    let opened = seen.opened();
    tokio::pin!(opened);
    assert!(futures::poll!(&mut opened).is_pending());
    // It wakes and finds the lease overslept.
    keeper.set(short(CLOSED));
    keeper.awake(boot_clock());
    assert!(futures::poll!(&mut opened).is_pending());
    keeper.set(short(OPEN));
    keeper.awake(boot_clock());
    patient(opened).await;
}

/// A container that is handed a request that the gate holds up.
async fn held() -> (Host, CallNumber) {
    let host = Host::start(kinds(), "probe", Watch::new()).await;
    // Handed over, and then the whole process is paused and wakes behind the fence.
    let call = CallNumber(1);
    host.request(call, "echo", None);
    host.keeper.set(CLOSED);
    (host, call)
}

#[tokio::test]
async fn what_was_handed_over_before_a_pause_begins_after_it_in_order() {
    let (mut host, first) = held().await;
    // The container's task sees the closed gate.
    tokio::task::yield_now().await;
    assert!(host.reports.try_recv().is_err());
    host.request(CallNumber(2), "begun", None);
    host.keeper.set(OPEN);
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
    host.keeper.set(OPEN);
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
    host.keeper.set(OPEN);
    // One that waits until it is too late is answered then; the rest keeps its order.
    let (call, late) = host.answered().await;
    assert_eq!(call, CallNumber(2));
    assert_eq!(late.unwrap_err().code, Some(ErrorCode::TimedOut));
    assert_eq!(host.answered().await.0, first);
    let (call, begun) = host.answered().await;
    assert_eq!(call, CallNumber(3));
    assert_eq!(begun.unwrap().text(), "[1,3]");
}

/// A gate by which the lease lasts for so long from now on.
fn leased(closings: u64, time: Duration) -> Gate {
    Gate {
        leased_until: Some(boot_clock() + time),
        closings,
        ..ASLEEP
    }
}

const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_worker_begins_with_nothing_of_an_exclusive_kind_without_the_lease() {
    let mut host = Host::start(kinds(), "probe", Watch::new()).await;
    host.hosting.permit(host.run, Permit::Leased);
    // Handed over with the lease, which is over when the container's task comes to it.
    host.keeper.set(leased(0, LONG));
    host.request(CallNumber(1), "echo", None);
    host.keeper.set(leased(0, Duration::ZERO));
    tokio::task::yield_now().await;
    assert!(host.reports.try_recv().is_err());
    // The lease is there again, but no server has said yet that the container is still here.
    host.hosting.permit(host.run, Permit::Never);
    host.keeper.set(leased(1, LONG));
    tokio::task::yield_now().await;
    assert!(host.reports.try_recv().is_err());
    host.hosting.permit(host.run, Permit::Leased);
    host.keeper.remind();
    assert_eq!(host.answered().await.0, CallNumber(1));
}

#[tokio::test]
async fn what_a_busy_worker_left_lying_does_not_begin_in_a_container_that_lives_elsewhere() {
    let mut host = Host::start(kinds(), "probe", Watch::new()).await;
    host.hosting.permit(host.run, Permit::Leased);
    host.keeper.set(leased(0, LONG));
    host.request(CallNumber(1), "echo", None);
    // Before the task runs: the lease is lost, the agent is registered again and told to end the
    // container, and has its lease for others.
    host.hosting.permit(host.run, Permit::Never);
    host.hosting.stop(host.run);
    host.keeper.set(leased(1, LONG));
    let (call, result) = host.answered().await;
    assert_eq!(call, CallNumber(1));
    assert_eq!(result.unwrap_err().code, Some(ErrorCode::Interrupted));
}

#[tokio::test]
async fn an_ordinary_container_needs_no_lease() {
    let mut host = Host::start(kinds(), "probe", Watch::new()).await;
    host.keeper.set(leased(5, Duration::ZERO));
    host.request(CallNumber(1), "echo", None);
    assert_eq!(host.answered().await.0, CallNumber(1));
}
