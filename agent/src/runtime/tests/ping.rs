use huly_protocol::ErrorCode;

use super::*;

const PING: u64 = 50;

fn pinged() -> Rig {
    Rig::with(containers::Patient::kind(), |options| {
        options.ping_interval_ms = PING;
    })
}

#[tokio::test]
async fn a_container_that_is_not_well_is_ended() {
    let mut rig = pinged();
    rig.register().await;
    for (number, state) in ["out of disk", "panic", "hang"].into_iter().enumerate() {
        let uuid = format!("u-{state}");
        for uuid in ["well", &uuid] {
            rig.get("patient", uuid, Value::Null).await.unwrap();
        }
        rig.request(&uuid, "be", json!(state)).await.unwrap();
        assert_eq!(rig.told_removed().await, [uuid.as_str()]);
        let ends = number + 1;
        rig.metric(&format!(
            r#"huly_agent_ends_total{{kind="patient",reason="PingFailed"}} {ends}"#
        ))
        .await;
        let error = rig.request(&uuid, "be", json!("")).await.unwrap_err();
        assert_eq!(error.code, Some(ErrorCode::NoSuchContainer));
    }
    rig.request("well", "be", json!("")).await.unwrap();
}

#[tokio::test]
async fn a_ping_passes_requests_that_run() {
    let mut rig = pinged();
    rig.register().await;
    let spec = json!({ "kind": "patient", "revision": 1, "terminationGraceMs": 50 });
    let ext = json!({ "epoch": [1, 1], "spec": spec });
    rig.get("patient", "u", ext).await.unwrap();
    let waiting = rig.call("cs", json!(["u", "wait", 1]), Value::Null);
    rig.request("u", "be", json!("tired")).await.unwrap();
    assert_eq!(rig.told_removed().await, ["u"]);
    let error = patient(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.code, Some(ErrorCode::OutcomeUnknown));
}

#[tokio::test]
async fn without_an_interval_a_container_is_asked_when_somebody_gets_it_again() {
    let mut rig = Rig::with(containers::Patient::kind(), |options| {
        options.ping_interval_ms = 0;
    });
    rig.register().await;
    rig.get("patient", "u", Value::Null).await.unwrap();
    rig.request("u", "be", json!("tired")).await.unwrap();
    rig.get("patient", "u", Value::Null).await.unwrap();
    assert_eq!(rig.told_removed().await, ["u"]);
}

/// What it costs to ask containers that are well. Prints the CPU time that this process takes in a
/// while, without and with pings: `cargo test -p huly-agent -- --ignored --nocapture idle_cpu`.
#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "what it is for")]
async fn idle_cpu_of_ten_thousand_containers() {
    const CONTAINERS: usize = 10_000;
    const WHILE: Duration = Duration::from_secs(20);
    for interval in [0, 10_000] {
        let mut rig = Rig::with(kinds(), |options| options.ping_interval_ms = interval);
        rig.register().await;
        let begun: Vec<_> = (0..CONTAINERS)
            .map(|n| {
                rig.call(
                    "gg",
                    json!(["stubborn", { "uuid": n.to_string() }]),
                    json!({}),
                )
            })
            .collect();
        for one in begun {
            patient(one).await.unwrap().unwrap();
        }
        let before = cpu_time();
        tokio::time::sleep(WHILE).await;
        let took = cpu_time() - before;
        println!("every {interval} ms: {took:?} of CPU in {WHILE:?}");
    }
}

/// User and system time of this process, in ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
