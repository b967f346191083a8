//! What the server keeps.

use huly_protocol::IN_FLIGHT_RESERVE;
use huly_registry::Sizes;

use super::Bound;
use crate::laws::load::Load;
use crate::scenario::Limits;

/// Calls to an agent that are no clients' requests: of each container its start, its end, its holders
/// and that it is confirmed; of each kind that it is said and removed.
fn other_calls(load: &Load) -> usize {
    4 * load.uuids + 2 * load.agents * load.kinds
}

/// By what peers do.
pub(super) fn by_load(load: &Load, sizes: &Sizes) -> [Bound; 18] {
    let asked = load.requests + load.calls;
    let others = sizes.calls.saturating_sub(sizes.running);
    [
        ("sessions", sizes.sessions, load.peers),
        ("agents", sizes.agents, load.agents),
        ("containers", sizes.containers, load.uuids),
        (
            "uuids with other lives alone",
            sizes.fences_alone,
            load.uuids,
        ),
        ("containers that nobody got", sizes.unknown, load.requests),
        ("requests and gets in flight", sizes.in_flight, asked),
        (
            "gets that wait",
            sizes.waiters + sizes.early_gets,
            load.calls,
        ),
        ("requests held", sizes.held, load.requests),
        ("requests at agents", sizes.running, load.requests),
        ("other calls to agents", others, other_calls(load)),
        ("references", sizes.references, load.held + load.calls),
        ("durable references", sizes.durable, load.wanted),
        ("what a sync named", sizes.named, load.wanted),
        (
            "clients with durable references",
            sizes.durable_clients,
            load.wanted.min(1),
        ),
        ("leaderships", sizes.fencing, load.fenced),
        ("subscribers of the feed", sizes.watchers, load.clients),
        ("kinds with a specification", sizes.kinds, load.kinds),
        ("kinds of round robin", sizes.cursors, load.kinds),
    ]
}

/// By the configuration.
pub(super) fn by_limits(limits: &Limits, sizes: &Sizes) -> [Bound; 7] {
    let in_flight = (limits.requests_in_flight + IN_FLIGHT_RESERVE) as usize;
    [
        (
            "requests in flight of one",
            sizes.in_flight_of_one,
            in_flight,
        ),
        (
            "requests that come again of one",
            sizes.again_of_one,
            in_flight,
        ),
        (
            "answers remembered of one",
            sizes.remembered_of_one,
            Sizes::MOST_REMEMBERED,
        ),
        (
            "containers in chunks of one",
            sizes.chunked_of_one,
            Sizes::MOST_CHUNKED,
        ),
        ("requests held for one", sizes.held_of_one, Sizes::MOST_HELD),
        ("bytes held", sizes.held_bytes, limits.hold_bytes),
        (
            "requests of one container",
            sizes.running_of_one,
            limits.calls_per_container as usize,
        ),
    ]
}

/// By other sizes.
pub(super) fn by_sizes(sizes: &Sizes) -> [Bound; 14] {
    let waits = sizes.waiters + sizes.early_gets + sizes.held;
    let timers = timers(sizes);
    [
        ("connections", sizes.connections, sizes.sessions),
        (
            "references of one",
            sizes.references_of_one,
            sizes.containers,
        ),
        (
            "references without a uuid of one",
            sizes.asked_of_one,
            sizes.references_of_one,
        ),
        (
            "clients that believe what has no place",
            sizes.believers,
            sizes.references + sizes.durable,
        ),
        ("what waits", waits, sizes.in_flight),
        ("requests at agents", sizes.running, sizes.in_flight),
        ("containers by kind", sizes.by_kind, sizes.containers),
        ("containers of agents", sizes.of_agents, sizes.containers),
        ("containers that wait", sizes.waiting, sizes.containers),
        (
            "agents with one in reserve",
            sizes.in_reserve_of_one,
            sizes.agents,
        ),
        ("timers", sizes.timers, timers),
        ("leases that are over", sizes.fences_over, 0),
        ("events not sent", sizes.unsent, 0),
        ("lives before", sizes.past, Sizes::MOST_PAST),
    ]
}

/// Times at which something is to be looked at.
fn timers(sizes: &Sizes) -> usize {
    // Of a client: whether it is alive and back, and its next chunk. Of a container: its idle time,
    // its end, its placement, what is held for it and its other lives, which one may have that is
    // forgotten. And settling, events, and that the server runs.
    let of_uuids = 5 * sizes.containers + sizes.fences_alone + sizes.unknown;
    3 * sizes.sessions + of_uuids + sizes.calls + 3
}
