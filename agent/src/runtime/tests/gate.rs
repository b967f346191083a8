use super::*;
use crate::runtime::gate::gate;

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
