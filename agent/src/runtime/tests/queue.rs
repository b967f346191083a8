use super::host::Host;
use super::*;
use crate::core::CallNumber;
use crate::runtime::watchdog::Watch;

/// A serial container that has begun with the first of three requests and does not end it.
async fn busy() -> Host {
    let host = Host::start_serial(kinds(), "probe", Watch::new()).await;
    assert_eq!(host.hosting.waiting(), 0);
    for (number, operation) in [(1, "wait"), (2, "echo"), (3, "echo")] {
        host.request(CallNumber(number), operation, None);
    }
    assert_eq!(host.hosting.waiting(), 3, "handed over");
    let begins = async {
        while host.hosting.waiting() == 3 {
            tokio::task::yield_now().await;
        }
    };
    patient(begins).await;
    host
}

#[tokio::test]
async fn what_a_serial_container_has_not_come_to_waits() {
    let mut host = busy().await;
    assert_eq!(host.hosting.waiting(), 2);
    // Ended, it refuses them; what has begun is no concern of theirs.
    host.hosting.stop(host.run);
    for number in [2, 3] {
        assert_eq!(host.answered().await.0, CallNumber(number));
    }
    assert_eq!(host.hosting.waiting(), 0);
}

#[tokio::test]
async fn nothing_waits_for_a_container_that_was_aborted() {
    let mut host = busy().await;
    host.hosting.abort(host.run);
    let ended = patient(host.reports.recv()).await;
    assert!(matches!(ended, Some(Input::Ended { .. })));
    host.hosting.ended(host.run);
    // What comes later is for nobody.
    host.request(CallNumber(4), "echo", None);
    assert_eq!(host.hosting.waiting(), 0);
}
