//! What a container says of itself: that it failed, that it is not well.

use super::*;

/// Says of itself what only the network may say.
struct Proxy(ErrorCode);

impl Container for Proxy {
    async fn request(&self, _: Call) -> Result<Json, ContainerError> {
        Err(ContainerError::with_code(self.0, "of somebody else"))
    }
}

#[tokio::test]
async fn a_containers_own_code_is_its_answer() {
    for code in [
        ErrorCode::Gone,
        ErrorCode::Interrupted,
        ErrorCode::NoSuchContainer,
        ErrorCode::TimedOut,
    ] {
        let network = Network::new();
        let kinds = Kinds::new().serve("proxy", move |_| async move { Ok(Proxy(code)) });
        let _agent = network.agent("a1", kinds).await.unwrap();
        let client = network.client("c1");
        let proxy = client.get("proxy").uuid("p").await.unwrap();
        let error = proxy.request::<_, Value>("do", &()).await.unwrap_err();
        assert_eq!(network.now(), Duration::ZERO, "{code:?}: {error}");
        assert_eq!(error.kind, ErrorKind::Failed);
    }
}

/// Is well until it is told otherwise.
struct Patient(std::sync::atomic::AtomicBool);

impl Container for Patient {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let ill = call.operation == "catch";
        let was = self.0.swap(ill, std::sync::atomic::Ordering::Relaxed);
        answer(&was)
    }
    async fn ping(&self) -> Result<(), ContainerError> {
        match self.0.load(std::sync::atomic::Ordering::Relaxed) {
            true => Err(ContainerError::new("ill")),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn one_that_is_not_well_is_placed_again_if_it_is_held() {
    let network = Network::new();
    let kinds = || Kinds::new().serve("patient", |_| async { Ok(Patient(false.into())) });
    let _one = network.agent("a1", kinds()).await.unwrap();
    let _two = network.agent("a2", kinds()).await.unwrap();
    let client = network.client("c1");
    let patient = client.get("patient").uuid("p").await.unwrap();
    let before = patient.placement().unwrap();
    let _: bool = patient.request("catch", &()).await.unwrap();
    network.advance(11 * SECOND).await;
    let after = patient.placement().unwrap();
    assert!(after.epoch > before.epoch);
    assert_eq!(after.failovers, 1);
    assert_eq!(after.last_failover.unwrap().reason, "ContainerEnded");
    assert!(!patient.request::<_, bool>("look", &()).await.unwrap());
}
