use huly_protocol::ErrorCode;

use super::*;
use crate::core::{Asked, CallNumber, EndReport, Input, Run, Seed};
use crate::runtime::gate::{Gatekeeper, gate};
use crate::runtime::hosting::Hosting;
use crate::runtime::watchdog::Watch;

#[tokio::test]
async fn a_worker_that_runs_before_the_agents_thread_after_a_pause_waits_for_it() {
    let (keeper, mut seen) = gate(Duration::from_millis(200));
    keeper.awake(boot_clock());
    assert!(seen.is_open());
    // The thread slept for longer than half a lease.
    keeper.awake(boot_clock() - Duration::from_millis(150));
    assert!(!seen.is_open());
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

#[tokio::test]
async fn an_awake_agent_serves_on_when_its_lease_is_over() {
    let mut rig = Rig::new();
    rig.inputs.send(LinkInput::Register).unwrap();
    assert!(matches!(rig.told().await, Told::Register(_)));
    let end = Vec::new();
    rig.inputs.send(LinkInput::Registered { end }).unwrap();
    let until = boot_clock() + Duration::from_millis(300);
    rig.inputs.send(LinkInput::Lease { until }).unwrap();
    rig.get("probe", "u", Value::Null).await.unwrap();
    rig.inputs.send(LinkInput::Down).unwrap();
    while boot_clock() < until {
        assert_eq!(rig.request("u", "echo", json!(1)).await, Ok(json!(1)));
    }
    assert_eq!(rig.request("u", "echo", json!(2)).await, Ok(json!(2)));
    rig.metric("huly_agent_lease_lost_total 0").await;
}

/// A container in a host of its own, handed a request that the gate holds up.
async fn held() -> (Host, CallNumber) {
    let (keeper, gate) = gate(Duration::from_secs(3_600));
    let (reported, mut reports) = mpsc::unbounded_channel();
    let workers = tokio::runtime::Handle::current();
    let mut hosting = Hosting::new(
        workers,
        kinds(),
        "agent-1".to_owned(),
        gate,
        reported,
        Watch::new(),
    );
    let run = Run(1);
    let seed = Seed {
        uuid: "u".into(),
        kind: "probe".into(),
        labels: Vec::new(),
        extra: None,
        epoch: None,
    };
    hosting.start(run, seed);
    let started = patient(reports.recv()).await;
    assert!(matches!(
        started,
        Some(Input::Started { result: Ok(()), .. })
    ));
    let host = Host {
        keeper,
        hosting,
        reports,
        run,
    };
    // Handed over, and then the whole process is paused and wakes behind the fence.
    let call = CallNumber(1);
    host.request(call, "echo");
    host.keeper.set(false);
    (host, call)
}

struct Host {
    keeper: Gatekeeper,
    hosting: Hosting,
    reports: mpsc::UnboundedReceiver<Input>,
    run: Run,
}

impl Host {
    fn request(&self, call: CallNumber, operation: &str) {
        self.request_until(call, operation, None);
    }

    fn request_until(&self, call: CallNumber, operation: &str, until: Option<Duration>) {
        let asked = Asked {
            call,
            operation: operation.to_owned(),
            data: Json::of(&call.0).unwrap(),
            client: None,
            until,
        };
        self.hosting.request(self.run, asked);
    }

    async fn answered(&mut self) -> (CallNumber, Result<Json, ErrorPayload>) {
        match patient(self.reports.recv()).await {
            Some(Input::Answered { call, result }) => (call, result),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_was_handed_over_before_a_pause_begins_after_it_in_order() {
    let (mut host, first) = held().await;
    // The container's task sees the closed gate.
    tokio::task::yield_now().await;
    assert!(host.reports.try_recv().is_err());
    host.request(CallNumber(2), "begun");
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
    host.request_until(CallNumber(2), "echo", Some(boot_clock()));
    let later = boot_clock() + Duration::from_secs(3_600);
    host.request_until(CallNumber(3), "begun", Some(later));
    host.keeper.set(true);
    assert_eq!(host.answered().await.0, first);
    let (call, late) = host.answered().await;
    assert_eq!(call, CallNumber(2));
    assert_eq!(late.unwrap_err().code, Some(ErrorCode::TimedOut));
    let (call, begun) = host.answered().await;
    assert_eq!(call, CallNumber(3));
    assert_eq!(begun.unwrap().text(), "[1,3]");
}
