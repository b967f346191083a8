use futures::{Stream, StreamExt};
use huly_protocol::FeedEvent;
use huly_session::FeedUpdate;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// A piece of what happens in the network.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// What was told so far does not hold any more; a snapshot follows.
    Reset,
    /// A chunk of the snapshot; its `snapshot` member says whether the last. What happens before that
    /// is told as a chunk too, with what was updated and removed.
    Snapshot(FeedEvent),
    /// What happened since.
    Event(FeedEvent),
}

pub(crate) fn updates_of(
    receiver: mpsc::UnboundedReceiver<FeedUpdate>,
) -> impl Stream<Item = Update> + Send + Unpin {
    UnboundedReceiverStream::new(receiver).map(|update| match update {
        FeedUpdate::Reset => Update::Reset,
        FeedUpdate::Snapshot(event) => Update::Snapshot(event),
        FeedUpdate::Event(event) => Update::Event(event),
    })
}
