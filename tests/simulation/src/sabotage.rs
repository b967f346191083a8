//! What a driver of the simulation does wrong on purpose, so that it is seen that the laws notice.

/// One wrong deed. Each breaks one law; none of it is in what is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Sabotage {
    /// The server's driver gives every start the same epoch.
    OneEpochForAll,
    /// The agent's driver drops what would end a container.
    DropStops,
    /// The agent's driver registers containers with the lowest epoch there is.
    LowerEpochs,
    /// The server's driver drops starts, but for those of its first seconds.
    DropStarts,
    /// The server's driver leaves containers out of what subscribers of the feed are told.
    EmptyFeed,
    /// The server's driver drops what tells those who hold a container that it has moved.
    DropMoves,
    /// The server's driver leaves the specification out of what agents are told to start.
    ForgetSpecs,
    /// The server's driver does not tell agents the specifications of kinds.
    DropSpecs,
    /// The agent's driver does not tell containers that stood by that they have their uuid.
    DropActivations,
    /// The client's driver drops what asks agents for containers' events.
    DropConnects,
    /// The client's driver gives a request another id on its second route.
    FreshIds,
    /// The client's driver drops releases.
    DropReleases,
    /// The server's driver leaves durable holders out of what agents are told.
    DropHolders,
    /// The agent's driver hands each request to its container twice.
    DoubleRequests,
    /// The client's driver drops answers that say that the time is over.
    DropTimeouts,
    /// The client's driver says of requests that may have run that they did not.
    ClaimNotRun,
    /// The client's driver drops what asserts references again.
    DropReassertions,
    /// Delays depend on what other simulations of this process did before.
    Unseeded,
    /// The agent's driver drops answers to the server.
    DropReplies,
}
