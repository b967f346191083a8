use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use huly_client::boot_clock;

/// For how long this process leads. Whoever acts for the leader asks right before: a process that was
/// stopped for longer finds itself in the midst of what it began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tenure(Arc<AtomicU64>);

impl Tenure {
    /// It lasts until then, by the boot clock.
    pub(crate) fn last_until(&self, at: Duration) {
        let millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Release);
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Whether it lasts.
    pub(crate) fn lasts(&self) -> bool {
        boot_clock() < Duration::from_millis(self.0.load(Ordering::Acquire))
    }
}
