//! What agents, clients and the operator keep.

use huly_agent::core::Sizes;
use huly_session as session;

use super::{Bound, compared, consistent};
use crate::laws::load::Load;
use crate::laws::verdict::{Verdict, each};
use crate::program::client::ClientProgram;
use crate::program::link::Link;
use crate::program::operator::OperatorProgram;
use crate::scenario::Limits;

/// Calls of a session that nobody waits for: what asserts references and subscribes.
const OWN_CALLS: usize = 3;

/// By what peers do; `hosted` is how many containers the agent has been told to start and has not
/// seen end.
pub(super) fn agent_by_load(load: &Load, sizes: &Sizes, hosted: usize) -> [Bound; 10] {
    // Each client has one session at each ROUTER.
    let clients = load.clients_ever * sizes.doors;
    [
        ("containers", sizes.containers, hosted),
        ("requests", sizes.calls, load.requests),
        ("starts that wait", sizes.held_starts, load.uuids),
        ("containers in a registration", sizes.reported, load.uuids),
        ("kinds with a specification", sizes.kinds, load.kinds),
        ("ROUTERs", sizes.doors, 1 + sizes.containers),
        ("clients of its ROUTERs", sizes.clients, clients),
        ("connections of clients", sizes.connections, sizes.clients),
        (
            "subscriptions",
            sizes.subscriptions,
            load.clients_ever * load.uuids,
        ),
        (
            "requests of clients of its ROUTERs",
            sizes.direct_in_flight,
            load.requests,
        ),
    ]
}

/// By the configuration.
pub(super) fn agent_by_limits(limits: &Limits, sizes: &Sizes) -> [Bound; 3] {
    [
        (
            "requests that wait for one",
            sizes.waiting_of_one,
            limits.waiting_calls,
        ),
        (
            "requests of one",
            sizes.calls_of_one,
            limits.calls_per_container as usize,
        ),
        (
            "bytes remembered",
            sizes.remembered_bytes,
            limits.answers_bytes,
        ),
    ]
}

/// By other sizes.
pub(super) fn agent_by_sizes(sizes: &Sizes) -> [Bound; 3] {
    // Of a container: its start, its end and its ping. Of the agent: its leaving, twice, its
    // registration, twice, and what stands by.
    let deadlines = 3 * sizes.containers + sizes.waiting + sizes.held_starts + 5;
    [
        ("requests", sizes.calls, sizes.calls_of_all),
        (
            "requests known",
            sizes.known,
            sizes.remembered + sizes.calls,
        ),
        ("deadlines", sizes.deadlines, deadlines),
    ]
}

/// By what the client's callers wait for and hold. A call that nobody waits for any more may go on:
/// what is got by it is released. Directly each link asks for the events of all its containers in one
/// call of its own, and says in one what it wants no more; a link that nobody uses is being closed.
pub(super) fn client(load: &Load, client: &ClientProgram) -> [Bound; 4] {
    let (sizes, waits) = (client.link().session().sizes(), client.waits());
    let calls = load.requests + load.calls + sizes.references + OWN_CALLS;
    let (connections, links) = (client.connections().len(), client.direct_links());
    let direct = links.iter().map(|link| link.session().sizes().pending);
    let (directly, left) = (client.waits_directly(), client.left_lately());
    [
        ("calls", sizes.pending, calls),
        ("references", sizes.references, client.handles() + waits),
        ("direct calls", direct.sum(), directly + links.len() + left),
        ("direct links", links.len(), connections + directly + left),
    ]
}

/// By what it wants.
pub(super) fn operator(load: &Load, operator: &OperatorProgram) -> [Bound; 2] {
    let sizes = operator.link().session().sizes();
    // Of each a get or a release; the sync; and the specifications with their end, said anew when one
    // changes.
    let calls = 2 * load.wanted + 1 + 4 * (load.kinds + 1);
    [
        ("calls", sizes.pending, calls),
        ("references", sizes.references, load.wanted),
    ]
}

pub(super) fn session(link: &Link) -> Verdict {
    let sizes = link.session().sizes();
    let by_sizes = [
        ("requests in flight", sizes.in_flight, sizes.pending),
        ("what is got again", sizes.regaining, sizes.references),
    ];
    let by_limits = [
        ("pings", sizes.pings, session::Sizes::MOST_PINGS),
        (
            "ids of what was given up",
            sizes.given_up,
            session::Sizes::MOST_GIVEN_UP,
        ),
        (
            "answers remembered",
            sizes.remembered,
            session::Sizes::MOST_REMEMBERED,
        ),
        (
            "bytes remembered",
            sizes.remembered_bytes,
            session::Sizes::MOST_REMEMBERED_BYTES,
        ),
        (
            "answers to send",
            sizes.unsent,
            session::Sizes::MOST_REMEMBERED,
        ),
    ];
    each([consistent(&by_sizes), compared(&by_limits)].into_iter())
}
