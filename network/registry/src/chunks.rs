//! Registrations that come in chunks.

use std::collections::BTreeSet;

use huly_protocol::{AgentRegistration, ErrorCode, ErrorPayload};

use crate::registry::{Id, Registry};
use crate::session::Session;
use crate::stopping::records;

/// Containers in registrations of one client of which chunks are still to come.
const MAX_CHUNKED: usize = 250_000;

/// A registration that comes in chunks. It says what the agent had at the first of them; what
/// happens until the last is known better.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(crate) registration: AgentRegistration,
    /// Containers that came to live at the agent meanwhile.
    pub(crate) came: BTreeSet<Id>,
    /// Those that left it.
    pub(crate) left: BTreeSet<Id>,
}

impl From<AgentRegistration> for Chunks {
    fn from(registration: AgentRegistration) -> Self {
        Self {
            registration,
            came: BTreeSet::new(),
            left: BTreeSet::new(),
        }
    }
}

impl Session {
    /// Takes out the chunks of a registration.
    pub(crate) fn forget_chunks(&mut self, agent: &Id) -> Option<Chunks> {
        let chunks = self.chunks.remove(agent)?;
        let count = records(&chunks.registration);
        self.chunked = self.chunked.saturating_sub(count);
        Some(chunks)
    }
}

impl Registry {
    /// The whole registration once its last chunk is there.
    pub(crate) fn assemble(
        &mut self,
        client: &Id,
        agent: &Id,
        part: AgentRegistration,
    ) -> Result<Option<Chunks>, ErrorPayload> {
        let Some(session) = self.sessions.get_mut(client) else {
            return Ok(None);
        };
        let Some((chunk, last)) = part.huly.as_ref().and_then(|ext| ext.chunk) else {
            session.forget_chunks(agent);
            return Ok(Some(part.into()));
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
        if chunk == 0 {
            session.chunks.insert(agent.clone(), part.into());
        } else {
            let whole = session.chunks.get_mut(agent);
            let expected = whole.map(|whole| &mut whole.registration).filter(|whole| {
                let before = whole.huly.as_ref().and_then(|ext| ext.chunk);
                before.is_some_and(|(before, _)| before + 1 == chunk)
            });
            let Some(whole) = expected else {
                let message = format!("chunk {chunk} of a registration does not follow the last");
                return Err(ErrorPayload::new(ErrorCode::BadRequest, message));
            };
            whole.containers.extend(part.containers);
            if let (Some(whole), Some(part)) = (&mut whole.huly, part.huly) {
                whole.chunk = part.chunk;
                whole.stopping.extend(part.stopping);
            }
        }
        session.chunked += more;
        Ok(last.then(|| session.forget_chunks(agent)).flatten())
    }
}
