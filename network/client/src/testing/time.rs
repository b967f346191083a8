//! Tokio's clock, stopped.

use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::task::unconstrained;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);

/// Stops the clock of the runtime at the beginning of one of its timers' ticks, so that each timer
/// comes at its very time and each run is as the other.
///
/// # Panics
/// Outside a tokio runtime, or on one with worker threads.
pub(super) fn stop_clock() {
    if !is_stopped() {
        tokio::time::pause();
    }
    let into_tick = into_tick(Instant::now());
    if !into_tick.is_zero() {
        // It advances at once; what it then waits for comes by itself.
        let _ = tokio::time::advance(MS.saturating_sub(into_tick)).now_or_never();
    }
}

/// Waits until every task of the runtime waits, at one and the same time.
///
/// The runtime's thread then parks, which its metrics tell, but to another thread only: the task
/// that asks must wait as well. The clock stands still while that one looks.
pub(super) async fn all_wait() {
    let metrics = Handle::current().metrics();
    let before = metrics.worker_park_count(0);
    let looking = tokio::task::spawn_blocking(move || {
        while metrics.worker_park_count(0) == before {
            std::thread::yield_now();
        }
    });
    // It ends early with the runtime alone, and so does who waits for it.
    let _ = looking.await;
}

/// Tokio does not say it, but a clock that runs does not show the same time twice.
fn is_stopped() -> bool {
    let shown = Instant::now();
    let real = std::time::Instant::now();
    while std::time::Instant::now() == real {
        std::hint::spin_loop();
    }
    Instant::now() == shown
}

/// How far into a tick the clock stands. Timers come at ends of ticks, which are counted from the
/// start of the runtime: the last moment for which a timer is ready at once is such an end.
fn into_tick(now: Instant) -> Duration {
    // Nobody has kept the runtime from its timers for so long.
    const REACH: u64 = 60_000_000_000;
    let is_ready = |before: u64| {
        let at = now.checked_sub(Duration::from_nanos(before));
        at.is_some_and(|at| {
            let sleep = unconstrained(tokio::time::sleep_until(at));
            sleep.now_or_never().is_some()
        })
    };
    let (mut ready, mut early) = (REACH, 0);
    if is_ready(early) {
        return Duration::ZERO;
    }
    if !is_ready(ready) {
        return Duration::ZERO;
    }
    while ready - early > 1 {
        let middle = early + (ready - early) / 2;
        match is_ready(middle) {
            true => ready = middle,
            false => early = middle,
        }
    }
    let nanos = ready % 1_000_000;
    Duration::from_nanos(nanos)
}
