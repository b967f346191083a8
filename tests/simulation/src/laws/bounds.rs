//! The law of what grows: how much of everything each core keeps, at every step.

use huly_agent::core;
use huly_protocol::IN_FLIGHT_RESERVE;
use huly_registry as registry;
use huly_session as session;

use crate::program::Program;
use crate::scenario::Limits;

/// What there is of something, and what there may be.
type Bound = (&'static str, usize, usize);

fn over(bounds: &[Bound]) -> Option<String> {
    let (what, is, may) = bounds.iter().find(|(_, is, may)| is > may)?;
    Some(format!("{what}: {is}, and at most {may} are right"))
}

pub(super) fn within(limits: &Limits, program: &Program) -> Option<String> {
    match program {
        Program::Server(server) => over(&of_server(limits, &server.sizes())),
        Program::Agent(agent) => {
            let of_core = over(&of_agent(limits, &agent.core().sizes()));
            of_core.or_else(|| over(&of_session(&agent.link().session().sizes())))
        }
        Program::Client(client) => over(&of_session(&client.link().session().sizes())),
        Program::Operator(operator) => over(&of_session(&operator.link().session().sizes())),
        Program::PlainAgent(_) | Program::PlainClient(_) => None,
    }
}

fn of_server(limits: &Limits, sizes: &registry::Sizes) -> [Bound; 15] {
    let in_flight = (limits.requests_in_flight + IN_FLIGHT_RESERVE) as usize;
    let waits = sizes.waiters + sizes.early_gets + sizes.held;
    // Of a client: whether it is alive and back, and its next chunk. Of a container: its idle time,
    // its end, its placement, what is held for it and its other lives, which one may have that is
    // forgotten. And settling, and events.
    let of_uuids = 5 * sizes.containers + sizes.fences_alone + sizes.unknown;
    let timers = 3 * sizes.sessions + of_uuids + sizes.calls + 2;
    [
        ("connections", sizes.connections, sizes.sessions),
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
            registry::Sizes::MOST_REMEMBERED,
        ),
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
            "containers in chunks of one",
            sizes.chunked_of_one,
            registry::Sizes::MOST_CHUNKED,
        ),
        ("what waits", waits, sizes.in_flight),
        (
            "requests held for one",
            sizes.held_of_one,
            registry::Sizes::MOST_HELD,
        ),
        ("bytes held", sizes.held_bytes, limits.hold_bytes),
        ("requests at agents", sizes.running, sizes.in_flight),
        (
            "requests of one container",
            sizes.running_of_one,
            limits.calls_per_container as usize,
        ),
        ("timers", sizes.timers, timers),
        ("leases that are over", sizes.fences_over, 0),
        ("events not sent", sizes.unsent, 0),
    ]
}

fn of_agent(limits: &Limits, sizes: &core::Sizes) -> [Bound; 6] {
    // Of a container: its start, its end and its ping. Of the agent: its leaving, twice, its
    // registration, twice, and what stands by.
    let deadlines = 3 * sizes.containers + sizes.waiting + sizes.held_starts + 5;
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
        ("requests", sizes.calls, sizes.calls_of_all),
        (
            "requests known",
            sizes.known,
            sizes.remembered + sizes.calls,
        ),
        (
            "bytes remembered",
            sizes.remembered_bytes,
            limits.answers_bytes,
        ),
        ("deadlines", sizes.deadlines, deadlines),
    ]
}

fn of_session(sizes: &session::Sizes) -> [Bound; 7] {
    [
        ("requests in flight", sizes.in_flight, sizes.pending),
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
        ("what is got again", sizes.regaining, sizes.references),
    ]
}
