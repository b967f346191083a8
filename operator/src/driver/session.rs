//! The session with the network server as the core sees it.

use std::time::Duration;

use huly_client::{Client, SessionState};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::sync::watch::Receiver;

use crate::args::RunArgs;
use crate::core::{Input, SessionFacts};

/// A server that was not reached by then is worth a line in the log.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows the session. Another process that takes it over is told by the answer.
pub(super) fn start(
    network: &Client,
    args: &RunArgs,
    inputs: &UnboundedSender<Input>,
) -> oneshot::Receiver<String> {
    let mut states = network.session();
    let (inputs, args) = (inputs.clone(), args.clone());
    let (superseded, by) = oneshot::channel();
    tokio::spawn(mind_silence(network.session(), args.network.clone()));
    tokio::spawn(async move {
        let mut told: Option<SessionFacts> = None;
        loop {
            let over = states.borrow_and_update().superseded.clone();
            if let Some(why) = over {
                // If nobody listens, the driver has ended.
                let _ = superseded.send(why);
                return;
            }
            let facts = facts(&states.borrow_and_update(), &args);
            // The driver has left by itself: that the session ends is no news.
            if inputs.is_closed() {
                return;
            }
            if told.as_ref() != Some(&facts) {
                log(told.as_ref(), &facts, &args);
                if inputs.send(Input::Session(facts.clone())).is_err() {
                    return;
                }
                told = Some(facts);
            }
            // An error says that the client has ended.
            if states.changed().await.is_err() {
                return;
            }
        }
    });
    by
}

/// Says so if the server is not reached soon: until then nothing is wrong.
async fn mind_silence(mut states: Receiver<SessionState>, network: String) {
    let up = states.wait_for(|state| state.up);
    if tokio::time::timeout(PATIENCE, up).await.is_err() {
        tracing::warn!(network, "the network server is not reached yet");
    }
}

fn log(before: Option<&SessionFacts>, now: &SessionFacts, args: &RunArgs) {
    let network = &args.network;
    match &now.usable {
        Ok(()) => tracing::info!(network, generation = now.generation, "session is up"),
        Err(why) if before.is_some_and(|before| before.usable.as_ref() == Err(why)) => {}
        Err(_) if before.is_none() => tracing::info!(network, "connecting to the network server"),
        Err(why) => tracing::error!(network, "no work can be done: {why}"),
    }
}

/// Whether the server lets the operator do its work.
fn facts(state: &SessionState, args: &RunArgs) -> SessionFacts {
    let (server, name) = (&args.network, &args.network_name);
    let usable = match &state.server {
        _ if !state.up => Err(format!("{server} is not reached")),
        None => Err(format!(
            "{server} is an original server, which knows neither kinds nor durable references"
        )),
        Some(answer) if answer.network != *name => Err(format!(
            "{server} serves the network {}, not {name}: mend --network or --network-name",
            answer.network
        )),
        Some(answer) if !answer.control => Err(format!(
            "{server} refuses the control secret: start it and the operator with the same \
             --control-secret-file"
        )),
        Some(_) => Ok(()),
    };
    SessionFacts {
        generation: state.generation,
        usable,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use huly_protocol::{HelloAnswer, Limits};

    use super::*;
    use crate::args::Args;

    fn state(network: &str, control: bool) -> SessionState {
        SessionState {
            up: true,
            session: Some("s".into()),
            server: Some(HelloAnswer {
                v: 1,
                instance: "i".into(),
                term: 1,
                network: network.into(),
                features: vec![],
                control,
                limits: Limits {
                    message_bytes: 1,
                    requests_in_flight: 1,
                    lease_ms: 1,
                },
                container: None,
            }),
            generation: 3,
            superseded: None,
        }
    }

    #[test]
    fn what_keeps_the_operator_from_its_work_is_said() {
        let argv = [
            "huly-operator",
            "--network",
            "h:1",
            "--control-secret-file",
            "f",
        ];
        let args = Args::try_parse_from(argv).unwrap().run.0.unwrap();
        let usable = |state: &SessionState| facts(state, &args).usable;
        assert_eq!(usable(&state("default", true)), Ok(()));
        let down = SessionState {
            up: false,
            ..state("default", true)
        };
        let original = SessionState {
            server: None,
            ..state("default", true)
        };
        let cases = [
            (down, "h:1 is not reached"),
            (original, "original server"),
            (
                state("staging", true),
                "serves the network staging, not default",
            ),
            (state("default", false), "refuses the control secret"),
        ];
        for (state, expected) in cases {
            let why = usable(&state).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
