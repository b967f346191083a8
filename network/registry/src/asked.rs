//! Gets without a uuid of TypeScript clients: such a client gets what it holds again with the
//! original request, and takes for another container what it is given then (W21).

use huly_protocol::GetRequest;

use crate::entry::Entry;
use crate::registry::{Id, Registry};
use crate::session::Session;

/// What a container was that answered a get without uuid.
#[derive(Debug)]
pub(crate) struct Asked {
    request: GetRequest,
    /// The uuid of the session as it was then.
    session: String,
}

impl Asked {
    fn is_alike(&self, request: &GetRequest) -> bool {
        self.request.labels.as_deref().unwrap_or_default()
            == request.labels.as_deref().unwrap_or_default()
            && self.request.extra == request.extra
    }
}

impl Session {
    fn is_asked_now(&self, uuid: &Id, request: &GetRequest) -> bool {
        let asked = self.asked.get(uuid);
        asked.is_some_and(|asked| asked.session == self.uuid && asked.is_alike(request))
    }
}

impl Registry {
    /// Notes which container answers a get without uuid.
    pub(crate) fn note_asked(&mut self, client: &Id, uuid: &Id, request: &GetRequest) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.first_client.get_or_insert_with(|| client.clone());
        let Some(session) = self.sessions.get_mut(client).filter(|one| !one.is_rust()) else {
            return;
        };
        let asked = Asked {
            request: request.clone(),
            session: session.uuid.clone(),
        };
        // The latest comes last.
        session.asked.shift_remove(uuid);
        session.asked.insert(uuid.clone(), asked);
    }

    /// The container that answered an equal get without uuid of a TypeScript client before its
    /// session got its present uuid: by what this server knows of its session, or by the record of
    /// a container that it was the first to ask for. Each once, the oldest first.
    pub(crate) fn asked_before(&self, client: &Id, kind: &Id, request: &GetRequest) -> Option<Id> {
        let session = self.sessions.get(client).filter(|one| !one.is_rust())?;
        let is_it = |entry: &Entry| match session.asked.get(&entry.uuid) {
            Some(asked) => asked.session != session.uuid && asked.is_alike(request),
            None => entry.first_client.as_ref() == Some(client) && entry.asked_alike(request),
        };
        let mut all = self.of_kind(kind).filter(|entry| !entry.is_stopping());
        all.find(|entry| is_it(entry))
            .map(|entry| entry.uuid.clone())
    }

    /// What a TypeScript client is given instead of a container that it has by an equal get already:
    /// the one that it was given last. It gets again what it was given in the place of another, until
    /// it is given the same; containers of each agent in turn would be another one each time.
    pub(crate) fn last_asked(&self, client: &Id, found: &Id, request: &GetRequest) -> Option<Id> {
        let session = self.sessions.get(client).filter(|one| !one.is_rust())?;
        let kind = &self.entries.get(found)?.kind;
        if !session.is_asked_now(found, request) {
            return None;
        }
        let lives = |uuid: &Id| {
            let entry = self.entries.get(uuid);
            entry.is_some_and(|entry| entry.kind == *kind && !entry.is_stopping())
        };
        let mut latest = session.asked.keys().rev();
        let last = latest.find(|uuid| session.is_asked_now(uuid, request) && lives(uuid));
        last.cloned()
    }
}
