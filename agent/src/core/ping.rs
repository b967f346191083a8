//! Whether containers are well: asked regularly, and when a server gets one again, as the original's does
//! at each get (ours answers for what lives).

use std::time::Duration;

use super::container::Reason;
use super::types::{Effect, Run};
use super::{Agent, Deadline};

/// The golden ratio's fraction, in 2⁻⁶⁴: multiples of it are spread evenly, however many there are.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Agent {
    pub(super) fn ping_now(&mut self, run: Run) {
        let within = self.config.ping_timeout;
        self.effect(Effect::Ping { run, within });
    }

    /// A container lives: its first ping comes somewhere within the interval, so that containers
    /// that started together are not pinged together.
    pub(super) fn ping_first(&mut self, run: Run) {
        let interval = self.config.ping_interval;
        let container = self.container_of(run);
        // One that stood by lives already.
        let begins = container.is_some_and(|c| !std::mem::replace(&mut c.pinged, true));
        if begins && !interval.is_zero() {
            let at = self.now + share(interval, run);
            self.deadlines.insert((at, Deadline::Ping(run)));
        }
    }

    pub(super) fn ping_next(&mut self, run: Run) {
        // One that is being ended or has ended is asked no more.
        let Some(container) = self.container_of(run).filter(|c| !c.is_stopping()) else {
            return;
        };
        // One that gets ready to have its uuid is asked when it has.
        let lives = container.is_live();
        let at = self.now + self.config.ping_interval;
        self.deadlines.insert((at, Deadline::Ping(run)));
        if lives {
            self.ping_now(run);
        }
    }

    pub(super) fn ping_failed(&mut self, run: Run, cause: String) {
        let Some(container) = self.container_of(run).filter(|c| c.is_live()) else {
            return;
        };
        let (kind, uuid) = (container.kind.clone(), container.uuid.clone());
        self.effect(Effect::Unwell {
            kind,
            uuid: uuid.clone(),
            cause,
        });
        self.stop(&uuid, Reason::PingFailed, None);
    }
}

/// A run's own part of the interval.
fn share(interval: Duration, run: Run) -> Duration {
    let fraction = run.0.wrapping_mul(GOLDEN) >> 32;
    interval.mul_f64(fraction as f64 / (1_u64 << 32) as f64)
}
