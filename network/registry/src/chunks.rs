//! Registrations that come in chunks.

use std::collections::BTreeSet;

use huly_protocol::{AgentRegistration, ContainerRecord, ErrorCode, ErrorPayload};

use crate::registry::{Id, Registry};
use crate::session::Session;
use crate::stopping::records;

/// Containers in registrations of one client of which chunks are still to come.
pub(crate) const MAX_CHUNKED: usize = 250_000;
/// What they may take in memory, in bytes, about.
pub(crate) const MAX_CHUNKED_BYTES: usize = 256 << 20;
/// What a container takes in a registration beside its texts, in bytes, about.
const OVERHEAD: usize = 256;

/// A registration that comes in chunks. It says what the agent had at the first of them; what
/// happens until the last is known better.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(crate) registration: AgentRegistration,
    /// What it takes in memory, about.
    bytes: usize,
    /// Containers that came to live at the agent meanwhile.
    pub(crate) came: BTreeSet<Id>,
    /// Those that left it.
    pub(crate) left: BTreeSet<Id>,
}

impl From<AgentRegistration> for Chunks {
    fn from(registration: AgentRegistration) -> Self {
        Self {
            registration,
            bytes: 0,
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
        self.chunked_bytes = self.chunked_bytes.saturating_sub(chunks.bytes);
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
        let bytes = bytes_of(&part);
        let too_long = session.chunked_bytes + bytes > MAX_CHUNKED_BYTES;
        if session.chunked + more > MAX_CHUNKED || too_long {
            session.forget_chunks(agent);
            let message = format!(
                "a client registers at most {MAX_CHUNKED} containers and {MAX_CHUNKED_BYTES} bytes \
                 at once"
            );
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
        if let Some(chunks) = session.chunks.get_mut(agent) {
            chunks.bytes += bytes;
            session.chunked += more;
            session.chunked_bytes += bytes;
        }
        Ok(last.then(|| session.forget_chunks(agent)).flatten())
    }
}

/// What a registration, or a chunk of one, takes in memory, in bytes, about.
fn bytes_of(part: &AgentRegistration) -> usize {
    let stopping = part.huly.iter().flat_map(|ext| &ext.stopping);
    let text = |record: &ContainerRecord| {
        let labels = record.labels.iter().flatten().map(String::len);
        let extra = record.extra.as_ref().map_or(0, |extra| extra.text().len());
        let names = record.uuid.len() + record.kind.len() + record.endpoint.len();
        OVERHEAD + names + extra + labels.sum::<usize>()
    };
    part.containers.iter().chain(stopping).map(text).sum()
}
