//! How long an agent's lease is, and what both sides derive from that.
//!
//! A lease is counted in eighths. The agent's thread wakes every eighth of it; when it has slept for
//! half of it, it was paused; the server waits for a quarter of it beyond its end.

use std::time::Duration;

/// How often Rust peers ping.
pub const PING_EVERY: Duration = Duration::from_millis(250);

/// The shortest lease that a server gives: two pings, so one that is late loses nothing.
pub const SHORTEST: Duration = PING_EVERY.saturating_mul(2);

/// The longest lease that a server gives and an agent takes: a server that has just started does not
/// know what another one gave.
pub const LONGEST: Duration = Duration::from_secs(3);

/// The lease that a server gives unless told.
pub const DEFAULT: Duration = Duration::from_secs(1);

/// How often the thread of an agent wakes at least that has leases of this length.
pub fn tick(length: Duration) -> Duration {
    eighths(1, length)
}

/// What a server waits for beyond the end of a lease: clocks differ, and a worker that has looked at
/// the lease may take a moment to begin with a request.
pub fn margin(length: Duration) -> Duration {
    eighths(2, length)
}

/// For how long the thread of an agent may sleep before that counts as a pause: a thread that is
/// awake has woken several times in it.
pub fn pause(length: Duration) -> Duration {
    eighths(4, length)
}

/// How long after a lease began, by the server's clock, it is certainly over.
pub fn surely_over(length: Duration) -> Duration {
    length + margin(length)
}

fn eighths(count: u32, length: Duration) -> Duration {
    length * count / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Containers stay with a silent agent for so long at least, unless it says otherwise (W08).
    const ALIVE_TIMEOUT: Duration = Duration::from_secs(3);

    /// The lengths that a server may be told, in steps of 50 ms.
    fn lengths() -> impl Iterator<Item = Duration> {
        (10..=60).map(|steps| Duration::from_millis(50 * steps))
    }

    #[test]
    fn what_is_derived_of_a_lease_fits_together() {
        assert_eq!(lengths().next(), Some(SHORTEST));
        assert_eq!(lengths().last(), Some(LONGEST));
        assert!(lengths().any(|length| length == DEFAULT));
        for length in lengths() {
            // A thread that misses a wake or two is not paused.
            assert!(tick(length) * 3 <= pause(length), "{length:?}");
            // An agent in touch has a lease less a ping left at least: what it sleeps beyond the
            // end of that is a pause.
            assert!(pause(length) <= length - PING_EVERY, "{length:?}");
            // Nobody is given up for the silence of a pause that goes unnoticed.
            assert!(pause(length) + PING_EVERY < ALIVE_TIMEOUT, "{length:?}");
            // Clocks may differ by a tenth, and it takes a worker a moment to begin.
            let moment = Duration::from_millis(50);
            assert!(margin(length) >= length / 10 + moment, "{length:?}");
            assert_eq!(surely_over(length), length + margin(length));
        }
    }
}
