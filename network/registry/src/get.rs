//! Gets: which container answers one (W13, W14).

use std::collections::BTreeMap;

use huly_protocol::{
    ErrorCode, ErrorPayload, EventKind, GetExt, GetParams, GetRequest, MAX_NAME_CHARS,
};

use crate::entry::{Entry, State, Waiter};
use crate::references::still_stopping;
use crate::registry::{Id, Registry};
use crate::requests::Outcome;
use crate::timer::Timer;

/// A get without uuid that came while the server was settling.
#[derive(Debug)]
pub(crate) struct EarlyGet {
    pub(crate) client: Id,
    pub(crate) request: String,
    pub(crate) params: GetParams,
}

impl Registry {
    pub(crate) fn get(&mut self, client: &Id, id: &str, params: GetParams) -> Outcome {
        check_name("kind", &params.kind)?;
        if let Some(uuid) = &params.request.uuid {
            check_name("uuid", uuid)?;
        }
        let ext = params.huly.clone().unwrap_or_default();
        if let Some(agent) = &ext.agent {
            check_name("agent", agent)?;
        }
        if ext.durable {
            self.need_control(client, "a durable reference")?;
        }
        if let Some(uuid) = self.answered_before(client, id) {
            self.answer_again(client, id, &uuid, ext.durable);
            return Ok(None);
        }
        let kind = Id::from(params.kind.as_str());
        if let Some(flight) = self.flight_mut(client, id) {
            flight.kind = Some(kind.clone());
        }
        let found = match &params.request.uuid {
            Some(uuid) => {
                let uuid = Id::from(uuid.as_str());
                Some(self.get_by_uuid(uuid, &kind, &params.request, &ext)?)
            }
            None => self.get_without_uuid(client, &kind, &params.request, &ext)?,
        };
        let Some(uuid) = found else {
            self.hold_get(client, id, params)?;
            return Ok(None);
        };
        let held_before = self.hold(client, &uuid, ext.durable);
        if params.request.uuid.is_none() {
            self.note_asked(client, &uuid, &params.request);
        }
        // Who asks by uuid may know it from a session or a server that is forgotten.
        let known = params.request.uuid.is_some();
        self.join(client, id, &uuid, held_before, known);
        Ok(None)
    }

    /// Keeps a get that may be answered with a container that is not registered yet.
    fn hold_get(&mut self, client: &Id, id: &str, params: GetParams) -> Result<(), ErrorPayload> {
        let bytes = bytes_of(&params.kind, &params.request);
        self.has_room(bytes)?;
        self.held_bytes += bytes;
        self.early_gets.push(EarlyGet {
            client: client.clone(),
            request: id.to_owned(),
            params,
        });
        Ok(())
    }

    /// Whether so much more may be kept for containers and agents that are to come.
    pub(crate) fn has_room(&self, bytes: usize) -> Result<(), ErrorPayload> {
        let kept = self.held_bytes + self.unplaced_bytes;
        if kept + bytes <= self.config.hold_bytes {
            return Ok(());
        }
        let message = "too much waits for containers to be placed: ask again later";
        Err(ErrorPayload::new(ErrorCode::Busy, message))
    }

    pub(crate) fn forget_early_gets(&mut self, client: &Id) {
        let forgotten = self
            .early_gets
            .extract_if(.., |get| get.client == *client)
            .map(|get| bytes_of(&get.params.kind, &get.params.request));
        let bytes: usize = forgotten.sum();
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }

    /// Repeats an answer that may have been lost. Its client holds the container, wherever that is
    /// now: a get that failed since would leave it a reference that it does not know of.
    fn answer_again(&mut self, client: &Id, id: &str, uuid: &Id, durable: bool) {
        let placed = |entry: &Entry| !entry.endpoint.is_empty();
        if !self.entries.get(uuid).is_some_and(placed) {
            let held_before = self.hold(client, uuid, durable);
            return self.join(client, id, uuid, held_before, true);
        }
        let waiter = Waiter {
            client: client.clone(),
            request: id.to_owned(),
            held_before: self.hold(client, uuid, durable),
            again: true,
            says_where: false,
        };
        self.answer_get(uuid, &waiter);
    }

    /// The container that answered a get before in this session, if the client still holds it.
    fn answered_before(&self, client: &Id, id: &str) -> Option<Id> {
        let session = self.sessions.get(client)?;
        let uuid = session.done.get(id)?;
        let holds = session.refs.contains(uuid) && self.entries.contains_key(uuid);
        holds.then(|| uuid.clone())
    }

    fn get_by_uuid(
        &mut self,
        uuid: Id,
        kind: &Id,
        request: &GetRequest,
        ext: &GetExt,
    ) -> Result<Id, ErrorPayload> {
        if let Some(entry) = self.entries.get(&uuid) {
            if let (State::Stopping { agent, .. }, true) = (&entry.state, entry.stop_is_late) {
                return Err(still_stopping(&uuid, agent));
            }
            if ext.strict && entry.kind != *kind {
                let message = format!(
                    "the uuid {uuid} lives as a container of kind {}",
                    entry.kind
                );
                return Err(ErrorPayload::new(ErrorCode::OtherKind, message));
            }
            return Ok(uuid);
        }
        let state = match self.settling() && !ext.fresh {
            true => State::Expected,
            false => State::Waiting,
        };
        self.has_room(bytes_of(kind, request))?;
        self.add_entry(&uuid, kind, request, true, state);
        if let Some(entry) = self.entries.get_mut(&uuid) {
            entry.fresh = ext.fresh;
        }
        self.start_on(&uuid, ext);
        Ok(uuid)
    }

    /// None while it may be answered with a container that is not registered yet.
    fn get_without_uuid(
        &mut self,
        client: &Id,
        kind: &Id,
        request: &GetRequest,
        ext: &GetExt,
    ) -> Result<Option<Id>, ErrorPayload> {
        let labels = request.labels.as_deref().unwrap_or_default();
        if !ext.new {
            if let Some(uuid) = self.asked_before(client, kind, request) {
                return Ok(Some(uuid));
            }
            let agent = match labels.is_empty() && ext.agent.is_none() {
                false => None,
                true if self.settling() && !ext.fresh => return Ok(None),
                true => self.peek(kind),
            };
            let asked = ext.agent.as_deref().map(Id::from);
            // With labels anywhere in the network; without, on the agent that placement picks; on
            // the one that is asked for, if one is.
            if (!labels.is_empty() || agent.is_some() || asked.is_some())
                && let Some(uuid) = self.reusable(kind, labels, asked.as_ref().or(agent.as_ref()))
            {
                if agent.is_some() {
                    self.advance(kind);
                }
                let last = self.last_asked(client, &uuid, request);
                return Ok(Some(last.unwrap_or(uuid)));
            }
            if self.settling() && !ext.fresh {
                return Ok(None);
            }
        }
        self.has_room(bytes_of(kind, request))?;
        let uuid = Id::from(self.make_uuid());
        self.add_entry(&uuid, kind, request, false, State::Waiting);
        self.start_on(&uuid, ext);
        Ok(Some(uuid))
    }

    fn start_on(&mut self, uuid: &Id, ext: &GetExt) {
        if let Some(entry) = self.entries.get_mut(uuid) {
            entry.on = ext.agent.as_deref().map(Id::from);
        }
    }

    /// The oldest container that was asked for without a uuid and has all the labels.
    fn reusable(&self, kind: &Id, labels: &[String], agent: Option<&Id>) -> Option<Id> {
        self.of_kind(kind)
            .filter(|entry| !entry.by_uuid && !entry.is_stopping() && entry.has_labels(labels))
            .find(|entry| agent.is_none() || entry.agent() == agent)
            .map(|entry| entry.uuid.clone())
    }

    /// The containers of a kind, the oldest first.
    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Entry> + use<'_> {
        let uuids = self
            .by_kind
            .get(kind)
            .into_iter()
            .flat_map(BTreeMap::values);
        uuids.filter_map(|uuid| self.entries.get(uuid))
    }

    pub(crate) fn add_entry(
        &mut self,
        uuid: &Id,
        kind: &Id,
        request: &GetRequest,
        by_uuid: bool,
        state: State,
    ) {
        self.entry_seq += 1;
        let mut request = request.clone();
        request.uuid = None;
        let mut entry = Entry::new(uuid.clone(), kind.clone(), request, self.entry_seq);
        entry.by_uuid = by_uuid;
        entry.named = by_uuid;
        entry.begun = self.past.get(uuid).copied();
        entry.last_visit = self.since_start_ms();
        if !matches!(state, State::Live { .. }) {
            entry.counted_bytes = bytes_of(kind, &entry.request);
            self.unplaced_bytes += entry.counted_bytes;
        }
        entry.state = state;
        self.index_entry(entry);
    }

    /// A container that waits takes nothing of the room for gets: an agent has it.
    pub(crate) fn takes_no_room(&mut self, uuid: &Id) {
        if let Some(entry) = self.entries.get_mut(uuid) {
            self.unplaced_bytes -= std::mem::take(&mut entry.counted_bytes);
        }
    }

    /// Puts an entry into the registry's indexes.
    pub(crate) fn index_entry(&mut self, mut entry: Entry) {
        // What came before anybody got it goes first.
        if let Some(early) = self.early_calls.remove(&entry.uuid) {
            entry.held.splice(..0, early);
        }
        if let Some(until) = entry.held.iter().map(|call| call.until).min() {
            self.timers.set(until, Timer::Hold(entry.uuid.clone()));
        }
        self.by_kind
            .entry(entry.kind.clone())
            .or_default()
            .insert(entry.seq, entry.uuid.clone());
        self.entries.insert(entry.uuid.clone(), entry);
    }

    pub(crate) fn since_start_ms(&self) -> f64 {
        self.now.mono.saturating_sub(self.started).as_secs_f64() * 1e3
    }

    /// Answers the get of a client that has its reference, now or once the container lives; of one
    /// that may have known the container before this server did.
    fn join(&mut self, client: &Id, id: &str, uuid: &Id, held_before: bool, known: bool) {
        let visit = self.since_start_ms();
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        entry.last_visit = visit;
        let unheard_of = !entry.announced && !entry.lived_before && entry.waiters.is_empty();
        let waiter = Waiter {
            client: client.clone(),
            request: id.to_owned(),
            held_before,
            again: known || entry.state != State::Waiting || !unheard_of,
            says_where: entry.on.is_some() && entry.waiters.is_empty(),
        };
        if let State::Live { agent } = &entry.state
            && self.agents.get(agent).is_some_and(|agent| !agent.suspected)
        {
            self.answer_get(uuid, &waiter);
            return;
        }
        let waits = entry.state == State::Waiting;
        entry.waiters.push(waiter);
        if let Some(flight) = self.flight_mut(client, id) {
            flight.waits_for = Some(uuid.clone());
        }
        if waits {
            self.place(uuid);
        }
    }

    pub(crate) fn answer_get(&mut self, uuid: &Id, waiter: &Waiter) {
        let rust = self.is_rust(&waiter.client);
        let Some(entry) = self.entries.get(uuid) else {
            return;
        };
        let agent = entry.agent().and_then(|agent| self.agents.get(agent));
        let Ok(payload) = serde_json::to_vec(&entry.got(agent, rust)) else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(&waiter.client) {
            session.done.note(waiter.request.clone(), uuid.clone());
        }
        self.respond(&waiter.client, &waiter.request, payload);
        // Who is told after the answer that it has ended forgets where it is.
        if !rust && (waiter.again || self.feed.is_to_be(EventKind::Removed, uuid)) {
            self.publish_again(&waiter.client, uuid);
        }
    }

    pub(crate) fn answer_waiters(&mut self, uuid: &Id) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        for waiter in std::mem::take(&mut entry.waiters) {
            self.answer_get(uuid, &waiter);
        }
    }

    /// Tells those who wait for a container that there will be none now. A get that fails leaves
    /// no reference.
    pub(crate) fn fail_waiters(&mut self, uuid: &Id, error: &ErrorPayload) {
        self.fail_those(uuid, error, |_| true);
    }

    pub(crate) fn fail_those(
        &mut self,
        uuid: &Id,
        error: &ErrorPayload,
        which: impl Fn(&Waiter) -> bool,
    ) {
        let Some(entry) = self.entries.get_mut(uuid) else {
            return;
        };
        let failed: Vec<Waiter> = entry.waiters.extract_if(.., |one| which(one)).collect();
        for waiter in failed {
            if !waiter.held_before {
                self.drop_reference(&waiter.client, uuid, true);
            }
            self.respond_error(&waiter.client, &waiter.request, error.clone());
        }
        self.mind_idle(uuid);
    }

    /// Tries the gets again that came while settling.
    pub(crate) fn retry_early_gets(&mut self) {
        for early in std::mem::take(&mut self.early_gets) {
            let bytes = bytes_of(&early.params.kind, &early.params.request);
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
            let flies = self
                .sessions
                .get(&early.client)
                .is_some_and(|session| session.in_flight.contains_key(&early.request));
            if !flies {
                continue;
            }
            match self.get(&early.client, &early.request, early.params) {
                Ok(Some(payload)) => self.respond(&early.client, &early.request, payload),
                Ok(None) => {}
                Err(error) => self.respond_error(&early.client, &early.request, error),
            }
        }
    }
}

/// What a container or a get that waits takes beside its texts, in bytes, about.
const OVERHEAD: usize = 256;

/// What a get takes in memory, in bytes.
pub(crate) fn bytes_of(kind: &str, request: &GetRequest) -> usize {
    let labels = request.labels.iter().flatten();
    let extra = request.extra.as_ref();
    OVERHEAD
        + kind.len()
        + request.uuid.as_ref().map_or(0, String::len)
        + labels.map(String::len).sum::<usize>()
        + extra.map_or(0, |extra| extra.text().len())
}

pub(crate) fn check_name(what: &str, name: &str) -> Result<(), ErrorPayload> {
    if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Ok(());
    }
    let message = format!("a {what} has 1 to {MAX_NAME_CHARS} characters");
    Err(ErrorPayload::new(ErrorCode::BadRequest, message))
}
