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
    /// The agent's driver hands requests to a container before those that it has not come to yet.
    SwapRequests,
    /// The containers' driver tells their mailboxes of requests that run that they have ended.
    ForgetRunning,
    /// The client's driver drops answers that say that the time is over.
    DropTimeouts,
    /// The client's driver says of requests that failed that they did not run.
    ClaimNotRun,
    /// The client's driver says of idempotent requests that failed that their last try did not run.
    ClaimTryNotRun,
    /// The client's driver says of gets that failed that nobody offers the kind.
    ClaimNoKind,
    /// The client's driver asks other containers than its caller says.
    AskOthers,
    /// The client's driver gets other containers than its caller says.
    GetOthers,
    /// Who dials a container's port is let in to another's, and does not look whose it is.
    MixDoors,
    /// Containers begin again and again with requests that they had, and ask neither their mailbox nor
    /// the gate.
    PassTheGate,
    /// The agent's driver leaves durable holders out of registrations.
    ForgetHolders,
    /// The client's driver drops what asserts references again.
    DropReassertions,
    /// Delays depend on what other simulations of this process did before.
    Unseeded,
    /// The server is given a configuration without limits.
    NoLimits,
    /// The server has no time in which it ends nothing that lived before it.
    NoOrphanGrace,
    /// The server waits for leases to be over exactly as long as they last, and no longer.
    NoMargin,
    /// The agent's driver says that leases last longer than they do.
    LongLeases,
    /// The agent's driver drops answers to the server.
    DropReplies,
    /// The API server takes every write of the Lease, whatever version it follows.
    BlindWrites,
    /// The operator's driver says of renewals of the Lease that failed that they were taken.
    ClaimRenewals,
    /// The API server takes no write of the Lease.
    RefuseLeases,
    /// The server's driver answers pings itself and tells the registry nothing of them.
    KeepPings,
    /// The same of clients alone, for some seconds now and then.
    KeepClientPings,
    /// The server's driver says of every operator that it has the same fencing number.
    SameNumbers,
    /// The server's driver leaves out of specifications how many containers an agent may have.
    DropRations,
    /// The server's driver says that containers that nobody holds are to live for a moment.
    ShortIdle,
    /// The server's driver says that they are to live for long.
    LongIdle,
    /// The server's driver does not say which peers read slowly.
    HideSlow,
    /// The server's driver says at once that a peer has room.
    EarlyRoom,
}
