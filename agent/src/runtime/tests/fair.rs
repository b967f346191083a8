//! A container whose work beside its requests never has to wait.

use tokio::sync::Semaphore;

use super::host::{CLOSED, Host, OPEN};
use super::*;
use crate::container::{Call, Container, ContainerContext, ContainerError, answer};
use crate::core::{CallNumber, EndReport, Input};
use crate::runtime::watchdog::Watch;

struct Busy {
    context: ContainerContext,
}

impl Container for Busy {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        match call.operation.as_str() {
            "begin" => self.context.spawn(async {
                // There is always one, and tokio lets others in now and then.
                let permits = Semaphore::new(1);
                loop {
                    drop(permits.acquire().await);
                }
            }),
            "tell" => {
                let broadcast = self.context.broadcast.clone();
                self.context.spawn(async move {
                    broadcast.send("beside").unwrap();
                });
            }
            "end" => self.context.end(),
            _ => {}
        }
        answer(&())
    }
}

#[tokio::test]
async fn it_hears_what_it_is_told_all_the_same() {
    let make = |context| async { Ok(Busy { context }) };
    let kinds = Kinds::new().serve("busy", make);
    let mut host = Host::start(kinds, "busy", Watch::new()).await;
    host.request(CallNumber(1), "begin", None);
    assert_eq!(host.answered().await.0, CallNumber(1));
    // It is about to be polled for its work when it is told.
    tokio::task::yield_now().await;
    host.request(CallNumber(2), "nothing", None);
    assert_eq!(host.answered().await.0, CallNumber(2));
    // Behind the gate, too.
    host.keeper.set(CLOSED);
    host.request(CallNumber(3), "tell", None);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    host.keeper.set(OPEN);
    assert_eq!(host.answered().await.0, CallNumber(3));
    let told = patient(host.reports.recv()).await;
    assert!(matches!(told, Some(Input::Event { .. })), "{told:?}");
    tokio::task::yield_now().await;
    host.request(CallNumber(4), "end", None);
    assert_eq!(host.answered().await.0, CallNumber(4));
    let ended = patient(host.reports.recv()).await;
    let by_itself = EndReport::ByItself;
    assert!(
        matches!(&ended, Some(Input::Ended { how, .. }) if *how == by_itself),
        "{ended:?}"
    );
}
