//! Registrations that come in chunks.

use std::collections::BTreeSet;
use std::time::Duration;

use huly_protocol::{AgentRegistration, ErrorCode, ErrorPayload};

use crate::registry::{Id, Registry};
use crate::session::Session;
use crate::stopping::records;
use crate::timer::Timer;

/// Containers in registrations of one client of which chunks are still to come.
pub(crate) const MAX_CHUNKED: usize = 250_000;

/// How long the next chunk may take.
const NEXT_CHUNK: Duration = Duration::from_secs(30);

/// A registration that comes in chunks. It says what the agent had at the first of them; what
/// happens until the last is known better.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(crate) registration: AgentRegistration,
    /// Containers that came to live at the agent meanwhile.
    pub(crate) came: BTreeSet<Id>,
    /// Those that left it.
    pub(crate) left: BTreeSet<Id>,
    /// Bytes of it so far.
    bytes: usize,
    /// When it is forgotten.
    pub(crate) until: Duration,
}

impl Chunks {
    fn new(registration: AgentRegistration, bytes: usize, until: Duration) -> Self {
        Self {
            registration,
            came: BTreeSet::new(),
            left: BTreeSet::new(),
            bytes,
            until,
        }
    }
}

impl Session {
    /// Takes out the chunks of a registration.
    pub(crate) fn forget_chunks(&mut self, agent: &Id) -> Option<Chunks> {
        let chunks = self.chunks.remove(agent)?;
        let count = records(&chunks.registration);
        self.chunked = self.chunked.saturating_sub(count);
        self.chunked_bytes = self.chunked_bytes.saturating_sub(chunks.bytes);
        Some(chunks)
    }
}

impl Registry {
    /// The whole registration once its last chunk is there; the part is of so many bytes.
    pub(crate) fn assemble(
        &mut self,
        client: &Id,
        agent: &Id,
        part: AgentRegistration,
        bytes: usize,
    ) -> Result<Option<Chunks>, ErrorPayload> {
        let until = self.now.mono + NEXT_CHUNK;
        let Some(session) = self.sessions.get_mut(client) else {
            return Ok(None);
        };
        let Some((chunk, last)) = part.huly.as_ref().and_then(|ext| ext.chunk) else {
            session.forget_chunks(agent);
            return Ok(Some(Chunks::new(part, bytes, until)));
        };
        if chunk == 0 {
            session.forget_chunks(agent);
        }
        let more = records(&part);
        if session.chunked + more > MAX_CHUNKED {
            session.forget_chunks(agent);
            let message = format!("a client registers at most {MAX_CHUNKED} containers at once");
            return Err(ErrorPayload::new(ErrorCode::Exhausted, message));
        }
        let limit = self.config.registration_bytes;
        if session.chunked_bytes + bytes > limit {
            session.forget_chunks(agent);
            let message = format!("a client registers at most {limit} bytes at once");
            return Err(ErrorPayload::new(ErrorCode::Exhausted, message));
        }
        if chunk == 0 {
            let begun = Chunks::new(part, bytes, until);
            session.chunks.insert(agent.clone(), begun);
        } else {
            let whole = session.chunks.get_mut(agent);
            let expected = whole.filter(|whole| {
                let before = whole.registration.huly.as_ref();
                let before = before.and_then(|ext| ext.chunk);
                before.is_some_and(|(before, _)| before + 1 == chunk)
            });
            let Some(begun) = expected else {
                let message = format!("chunk {chunk} of a registration does not follow the last");
                return Err(ErrorPayload::new(ErrorCode::BadRequest, message));
            };
            begun.bytes += bytes;
            begun.until = until;
            let whole = &mut begun.registration;
            whole.containers.extend(part.containers);
            if let (Some(whole), Some(part)) = (&mut whole.huly, part.huly) {
                whole.chunk = part.chunk;
                whole.stopping.extend(part.stopping);
            }
        }
        session.chunked += more;
        session.chunked_bytes += bytes;
        if last {
            return Ok(session.forget_chunks(agent));
        }
        self.timers.set(until, Timer::Chunks(client.clone()));
        Ok(None)
    }

    /// Forgets registrations of which the next chunk has not come in time.
    pub(crate) fn check_chunks(&mut self, client: &Id) {
        let read = self.read_until;
        let Some(session) = self.sessions.get_mut(client) else {
            return;
        };
        let late = session
            .chunks
            .iter()
            .filter(|(_, begun)| begun.until <= read);
        let late: Vec<Id> = late.map(|(agent, _)| agent.clone()).collect();
        for agent in late {
            session.forget_chunks(&agent);
        }
        let next = session.chunks.values().map(|begun| begun.until).min();
        if let Some(next) = next {
            self.timers.set(next, Timer::Chunks(client.clone()));
        }
    }
}
