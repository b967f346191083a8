use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use futures::FutureExt;
use futures::future::{pending, poll_fn, ready};
use huly_protocol::ErrorCode;

use super::containers::{Blocker, Blocks};
use super::host::Host;
use super::*;
use crate::core::{CallNumber, EndReport, Input};
use crate::runtime::watchdog::{Sight, Watch, Watchdog, Watched, What};

const LIMIT: Duration = Duration::from_secs(1);

fn watchdog() -> (Watch, Watchdog) {
    let watch = Watch::new();
    (watch.clone(), Watchdog::new(watch, LIMIT))
}

fn watched(
    watch: &Watch,
    task: impl Future<Output = EndReport> + Send + 'static,
) -> Pin<Box<Watched>> {
    Box::pin(watch.enter("k".into(), "u".into(), Box::pin(task)).0)
}

/// Looks for so many ticks; what was seen and for how long it had been by then.
fn look(watchdog: &mut Watchdog, ticks: u32) -> Vec<(What, Duration)> {
    let tick = watchdog.tick();
    let sights = (0..ticks).flat_map(|_| watchdog.look(tick));
    sights.map(|sight| (sight.what, sight.time)).collect()
}

#[test]
fn one_that_blocks_is_named_once_and_again_when_it_goes_on() {
    let (watch, mut dog) = watchdog();
    let mut dog_inside = Some(dog);
    let (back, taken) = std::sync::mpsc::channel();
    let mut task = watched(
        &watch,
        poll_fn(move |_| {
            // Within a poll: the worker is busy with it.
            let mut dog = dog_inside.take().unwrap();
            assert_eq!(look(&mut dog, 4), []);
            assert_eq!(look(&mut dog, 1), [(What::Blocks, LIMIT)]);
            assert_eq!(look(&mut dog, 8), []);
            assert_eq!(dog.blocked(), 1);
            back.send(dog).unwrap();
            Poll::Ready(EndReport::Stopped)
        }),
    );
    assert_eq!(task.as_mut().now_or_never(), Some(EndReport::Stopped));
    dog = taken.recv().unwrap();
    let went_on = [(What::WentOn, LIMIT * 13 / 4)];
    assert_eq!(look(&mut dog, 1), went_on);
    assert_eq!((look(&mut dog, 8), dog.blocked()), (vec![], 0));
}

/// Tells what it sees when it is dropped.
struct Dropped(Watchdog, Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let seen = look(&mut self.0, 5).len() + self.0.blocked();
        self.1.store(seen, Ordering::Relaxed);
    }
}

#[test]
fn one_that_blocks_while_it_is_dropped_is_seen_too() {
    let (watch, dog) = watchdog();
    let seen = Arc::new(AtomicUsize::new(0));
    let held = Dropped(dog, seen.clone());
    let task = watched(&watch, async move {
        let _held = held;
        pending().await
    });
    drop(task);
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}

#[test]
fn many_short_polls_are_no_block() {
    let (watch, mut dog) = watchdog();
    let mut task = watched(&watch, pending());
    for _ in 0..20 {
        assert_eq!(task.as_mut().now_or_never(), None);
        assert_eq!(look(&mut dog, 1), []);
    }
}

#[test]
fn one_that_panicked_blocks_nobody() {
    let (watch, mut dog) = watchdog();
    let mut task = watched(&watch, async { panic!("as told") });
    let polled = std::panic::AssertUnwindSafe(|| task.as_mut().now_or_never());
    assert!(std::panic::catch_unwind(polled).is_err());
    assert_eq!(look(&mut dog, 8), []);
}

#[test]
fn a_pause_of_the_whole_process_is_no_containers_fault() {
    let (watch, mut dog) = watchdog();
    let mut task = watched(
        &watch,
        poll_fn(move |_| {
            assert_eq!(dog.look(Duration::from_secs(3_600)).len(), 0);
            Poll::Ready(EndReport::Stopped)
        }),
    );
    assert!(task.as_mut().now_or_never().is_some());
}

#[test]
fn what_has_ended_is_watched_no_more() {
    let (watch, mut dog) = watchdog();
    let tasks: Vec<_> = (0..3)
        .map(|_| watched(&watch, ready(EndReport::Stopped)))
        .collect();
    look(&mut dog, 1);
    assert_eq!(dog.watched(), 3);
    drop(tasks);
    look(&mut dog, 1);
    assert_eq!(dog.watched(), 0);
}

/// What is logged goes here.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_names_the_container_and_for_how_long() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for what in [What::Blocks, What::StillStopping, What::WentOn] {
            let (kind, uuid) = ("k".into(), "u".into());
            let time = Duration::from_millis(1_234);
            Sight {
                what,
                kind,
                uuid,
                time,
            }
            .log();
        }
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let said = [
        ("a container blocks its worker", "blocked_ms=1234"),
        ("still stopping", "blocked_ms=1234"),
        ("no more", "took_ms=1234"),
    ];
    assert_eq!(lines.len(), said.len(), "{text}");
    for (line, (what, time)) in lines.into_iter().zip(said) {
        for part in ["WARN", "kind=k", "uuid=u", what, time] {
            assert!(line.contains(part), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_one_that_blocks_on_is_named_as_still_stopping() {
    let Blocks {
        kinds,
        mut begun,
        hold,
    } = Blocker::kind();
    let (watch, mut dog) = watchdog();
    let mut host = Host::start(kinds, "blocker", watch).await;
    host.request(CallNumber(1), "block", None);
    patient(begun.recv()).await.unwrap();
    assert_eq!(look(&mut dog, 5), [(What::Blocks, LIMIT)]);
    host.hosting.abort(host.run);
    let still = [(What::StillStopping, LIMIT * 5 / 4)];
    assert_eq!(look(&mut dog, 1), still);
    assert_eq!(look(&mut dog, 8), []);
    drop(hold);
    let ended = async { while !matches!(host.reports.recv().await, Some(Input::Ended { .. })) {} };
    patient(ended).await;
    assert_eq!(look(&mut dog, 1), [(What::WentOn, LIMIT * 14 / 4)]);
    assert_eq!(dog.watched(), 0);
}

#[tokio::test]
async fn with_every_worker_blocked_the_agent_says_who_does_it() {
    let Blocks {
        kinds,
        mut begun,
        hold,
    } = Blocker::kind();
    let mut rig = Rig::with(kinds, |options| {
        options.workers = Some(2);
        options.blocked_after = Duration::from_millis(500);
    });
    rig.register().await;
    rig.metric(r#"huly_agent_worker_blocks_total{kind="blocker"} 0"#)
        .await;
    let spec = json!({ "kind": "blocker", "revision": 1, "terminationGraceMs": 50 });
    for uuid in ["u", "v"] {
        let ext = json!({ "epoch": [1, 1], "spec": spec });
        rig.get("blocker", uuid, ext).await.unwrap();
    }
    let blocked = ["u", "v"].map(|uuid| rig.call("cs", json!([uuid, "x", uuid]), Value::Null));
    for _ in 0..2 {
        patient(begun.recv()).await.unwrap();
    }
    rig.metric("huly_agent_blocked_workers 2").await;
    rig.metric(r#"huly_agent_worker_blocks_total{kind="blocker"} 2"#)
        .await;
    // It cannot be ended; whoever gets it is told.
    let ended = rig.call("ct", json!(["u"]), Value::Null);
    let error = rig.get("blocker", "u", Value::Null).await.unwrap_err();
    assert_eq!(error.code, Some(ErrorCode::Busy));
    drop(hold);
    for answer in blocked {
        assert!(patient(answer).await.is_ok());
    }
    assert!(patient(ended).await.unwrap().is_ok());
    rig.metric("huly_agent_blocked_workers 0").await;
    assert_eq!(rig.request("v", "x", json!(1)).await, Ok(json!(1)));
}
