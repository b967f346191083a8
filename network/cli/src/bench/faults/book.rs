//! The book of all requests: whose, in which part of the script, and what became of each.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::caller::Way;
use super::counter::Told;
use super::tally::{Fate, Tally};

/// Written by all clients, read by the script.
#[derive(Debug)]
pub(crate) struct Book {
    late: Duration,
    pages: Mutex<Pages>,
    /// Something was answered.
    answered: Notify,
}

#[derive(Debug)]
struct Pages {
    /// One for each part of the script; the last is the present one.
    parts: Vec<BTreeMap<Way, Tally>>,
    clients: Vec<Client>,
}

/// When a client was last answered.
#[derive(Debug, Clone, Copy)]
struct Client {
    at: Instant,
    /// When it had asked for that.
    asked: Option<Instant>,
}

/// A request that came to its end, or should have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) way: Way,
    pub(crate) asked: Instant,
    pub(crate) fate: Fate,
    /// What the answer of a counter tells.
    pub(crate) told: Option<Told>,
}

impl Book {
    /// One for so many clients; answers are late after `late`.
    pub(crate) fn new(clients: usize, late: Duration) -> Self {
        let client = Client {
            at: Instant::now(),
            asked: None,
        };
        Self {
            late,
            pages: Mutex::new(Pages {
                parts: vec![BTreeMap::new()],
                clients: vec![client; clients],
            }),
            answered: Notify::new(),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Nothing panics while it writes.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request of a client. It counts to the part of the script in which it ended: what is
    /// under way when a fault begins is what the fault is about.
    pub(crate) fn note(&self, client: usize, ended: Ended) {
        let now = Instant::now();
        let mut pages = self.pages();
        let Pages { parts, clients } = &mut *pages;
        let (Some(part), Some(client)) = (parts.last_mut(), clients.get_mut(client)) else {
            return;
        };
        let tally = part.entry(ended.way).or_default();
        tally.add(ended.fate, self.late);
        match ended.told {
            Some(Told::Twice(times)) => tally.ran_twice += times,
            Some(Told::Lost) => tally.lost += 1,
            Some(Told::Next | Told::Anew) | None => {}
        }
        if let Fate::Answered { .. } = ended.fate {
            tally.silence = tally.silence.max(now - client.at);
            client.at = now;
            client.asked = Some(ended.asked);
        }
        drop(pages);
        self.answered.notify_waiters();
    }

    /// Notes that what a client's counter had counted was lost.
    pub(crate) fn note_lost(&self, way: Way) {
        if let Some(part) = self.pages().parts.last_mut() {
            part.entry(way).or_default().lost += 1;
        }
    }

    /// The next part of the script begins.
    pub(crate) fn turn(&self) {
        self.pages().parts.push(BTreeMap::new());
    }

    /// What became of the requests of the present part so far.
    pub(crate) fn part(&self) -> BTreeMap<Way, Tally> {
        self.pages().parts.last().cloned().unwrap_or_default()
    }

    /// Waits until every client was answered what it asked after `since`, and says how long after
    /// that it was.
    pub(crate) async fn all_answered(&self, since: Instant) -> Duration {
        loop {
            let mut changed = std::pin::pin!(self.answered.notified());
            // From here on nothing is missed.
            changed.as_mut().enable();
            let all = (self.pages().clients.iter())
                .all(|client| client.asked.is_some_and(|asked| asked >= since));
            if all {
                return since.elapsed();
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use huly_client::ErrorKind;

    use super::*;

    fn answered(asked: Instant) -> Ended {
        let fate = Fate::Answered {
            took: asked.elapsed(),
            resent: false,
        };
        Ended {
            way: Way::Routed,
            asked,
            fate,
            told: Some(Told::Next),
        }
    }

    fn book() -> Book {
        Book::new(2, Duration::from_secs(1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_counts_to_the_part_in_which_it_ends() {
        let book = book();
        book.note(0, answered(Instant::now()));
        let asked = Instant::now();
        book.turn();
        let unknown = Fate::Failed(ErrorKind::OutcomeUnknown);
        let ended = Ended {
            fate: unknown,
            ..answered(asked)
        };
        book.note(0, ended);
        let twice = Ended {
            told: Some(Told::Twice(2)),
            ..answered(asked)
        };
        book.note(0, twice);
        let part = &book.part()[&Way::Routed];
        assert_eq!((part.requests, part.answered, part.ran_twice), (2, 1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_from_answer_to_answer_and_goes_on_over_parts() {
        let book = book();
        book.note(0, answered(Instant::now()));
        tokio::time::advance(Duration::from_secs(2)).await;
        book.turn();
        tokio::time::advance(Duration::from_secs(1)).await;
        let asked = Instant::now();
        let failed = Ended {
            fate: Fate::Failed(ErrorKind::Busy),
            ..answered(asked)
        };
        book.note(0, failed);
        tokio::time::advance(Duration::from_secs(1)).await;
        book.note(0, answered(asked));
        assert_eq!(book.part()[&Way::Routed].silence, Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn all_are_answered_when_the_last_is_what_it_asked_since() {
        let book = book();
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let since = Instant::now();
        let clients = async {
            book.note(0, answered(since));
            tokio::time::sleep(Duration::from_secs(1)).await;
            book.note(1, answered(before));
            tokio::time::sleep(Duration::from_secs(2)).await;
            book.note(1, answered(since));
        };
        let (all, ()) = tokio::join!(book.all_answered(since), clients);
        assert_eq!(
            all,
            Duration::from_secs(3),
            "the first of its answers is old"
        );
    }
}
