//! The feed: a position, a snapshot in chunks, then each event with the next revision.

use huly_protocol::{FeedEvent, Json, method};

use crate::io::{Effect, FeedUpdate};
use crate::pending::{Internal, Key, Owner};
use crate::session::Session;

/// Where the subscription stands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum Feed {
    /// Nobody wants it.
    #[default]
    Off,
    /// Wanted; nothing came yet.
    Asked,
    /// Chunks come: the next one's number.
    Snapshot {
        instance: String,
        revision: u64,
        chunk: u32,
    },
    /// Events come.
    Live { instance: String, revision: u64 },
}

impl Session {
    pub(crate) fn watch(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Feed(FeedUpdate::Reset));
        self.feed = Feed::Asked;
        if self.uuid().is_some() {
            self.ask_feed();
        }
    }

    pub(crate) fn unwatch(&mut self) {
        if std::mem::take(&mut self.feed) != Feed::Off && self.is_rust() {
            self.ask(Internal::Quiet, method::UNWATCH, empty());
        }
    }

    pub(crate) fn ask_feed(&mut self) -> Key {
        // The answer to an earlier one would begin a snapshot that nobody expects; the end of an
        // earlier subscription, sent again after this, would be the end of this one.
        for key in self.queue.keys() {
            let request = self.queue.get(key);
            if request.is_some_and(|request| {
                request.owner == Owner::Internal(Internal::Watch)
                    || request.owner == Owner::Internal(Internal::Quiet)
                        && request.method == method::UNWATCH
            }) {
                self.queue.give_up(key);
            }
        }
        self.ask(Internal::Watch, method::WATCH, empty())
    }

    /// After a new connection: what came meanwhile is lost.
    pub(crate) fn watch_again(&mut self, out: &mut Vec<Effect>) {
        if self.feed == Feed::Off {
            return;
        }
        if std::mem::replace(&mut self.feed, Feed::Asked) != Feed::Asked {
            out.push(Effect::Feed(FeedUpdate::Reset));
        }
        if self.is_rust() {
            self.ask_feed();
        }
    }

    pub(crate) fn watch_answered(&mut self, payload: &[u8]) {
        if self.feed == Feed::Off {
            return;
        }
        match serde_json::from_slice::<FeedEvent>(payload) {
            Ok(at) => {
                self.feed = Feed::Snapshot {
                    instance: at.instance,
                    revision: at.revision,
                    chunk: 0,
                };
            }
            Err(_) => self.counters.bad_messages += 1,
        }
    }

    pub(crate) fn feed_event(&mut self, event: FeedEvent, out: &mut Vec<Effect>) {
        match (&mut self.feed, event.snapshot) {
            // What is still under way for an older subscription.
            (Feed::Off | Feed::Asked, _) | (Feed::Snapshot { .. }, None) => {}
            (
                Feed::Snapshot {
                    instance,
                    revision,
                    chunk,
                },
                Some(piece),
            ) if *instance == event.instance
                && *revision <= event.revision
                && *chunk == piece.chunk =>
            {
                *chunk += 1;
                // What happens while chunks come is told among them.
                *revision = event.revision;
                if piece.last {
                    self.feed = Feed::Live {
                        instance: event.instance.clone(),
                        revision: event.revision,
                    };
                }
                out.push(Effect::Feed(FeedUpdate::Snapshot(event)));
            }
            (Feed::Live { instance, revision }, None)
                if *instance == event.instance && *revision + 1 == event.revision =>
            {
                *revision = event.revision;
                out.push(Effect::Feed(FeedUpdate::Event(event)));
            }
            // A gap, or another server process.
            _ => self.watch_again(out),
        }
    }
}

pub(crate) fn empty() -> Json {
    Json::of(&serde_json::Map::new()).unwrap_or_else(|_| Json::null())
}
