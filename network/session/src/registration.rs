//! What an agent's registration is on the wire: for an original server, and in chunks that a server
//! of ours takes.

mod registrar;

use huly_protocol::{AgentRegistration, ContainerRecord, Json};

pub use registrar::{Registrar, RegistrarEffect, RegistrarError, RegistrarInput};

/// Containers in one chunk of a registration.
const CHUNK: usize = 500;
/// Bytes of a registration beside its records, with some to spare.
const ENVELOPE: u64 = 256;

/// Without what an original server was not asked for.
pub fn plain(mut registration: AgentRegistration) -> AgentRegistration {
    registration.huly = None;
    for record in &mut registration.containers {
        record.huly = None;
    }
    registration
}

/// A registration in pieces that the server takes: records may carry large extras.
pub fn chunks(mut registration: AgentRegistration, message_bytes: u64) -> Vec<AgentRegistration> {
    let living = std::mem::take(&mut registration.containers);
    let stopping = registration.huly.as_mut();
    let stopping = stopping.map(|ext| std::mem::take(&mut ext.stopping));
    let frame = size_of(&registration) + ENVELOPE;
    let mut parts = vec![Part::default()];
    let mut bytes = frame;
    let living = living.into_iter().map(|record| (record, true));
    let stopping = stopping.into_iter().flatten().map(|record| (record, false));
    for (record, lives) in living.chain(stopping) {
        let size = size_of(&record) + 1;
        let fits = bytes + size <= message_bytes;
        match parts.last_mut() {
            Some(part) if part.len() == 0 || (fits && part.len() < CHUNK) => {
                bytes += size;
                part.push(record, lives);
            }
            _ => {
                bytes = frame + size;
                let mut part = Part::default();
                part.push(record, lives);
                parts.push(part);
            }
        }
    }
    let count = parts.len();
    let numbered = parts.into_iter().enumerate();
    numbered
        .map(|(number, part)| part.of(&registration, number, count))
        .collect()
}

/// The records of one chunk.
#[derive(Default)]
struct Part {
    living: Vec<ContainerRecord>,
    stopping: Vec<ContainerRecord>,
}

impl Part {
    fn len(&self) -> usize {
        self.living.len() + self.stopping.len()
    }

    fn push(&mut self, record: ContainerRecord, lives: bool) {
        let list = match lives {
            true => &mut self.living,
            false => &mut self.stopping,
        };
        list.push(record);
    }

    /// The chunk of that number; one whole, if there is no other.
    fn of(
        self,
        registration: &AgentRegistration,
        number: usize,
        count: usize,
    ) -> AgentRegistration {
        let mut registration = registration.clone();
        registration.containers = self.living;
        if count > 1 {
            let last = number + 1 == count;
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            registration.huly.get_or_insert_default().chunk = Some((number, last));
        }
        if let Some(ext) = &mut registration.huly {
            ext.stopping = self.stopping;
        }
        registration
    }
}

fn size_of<T: serde::Serialize>(value: &T) -> u64 {
    Json::of(value).map_or(0, |json| json.text().len() as u64)
}

#[cfg(test)]
mod tests {
    use huly_protocol::AgentExt;

    use super::*;

    pub(super) fn registration(count: usize, extra: usize) -> AgentRegistration {
        let record = |number: usize| ContainerRecord {
            agent_id: "a".into(),
            uuid: format!("c-{number}"),
            kind: "echo".into(),
            endpoint: String::new(),
            last_visit: 0.0,
            extra: Json::of(&"x".repeat(extra)).ok(),
            labels: None,
            huly: None,
        };
        AgentRegistration {
            uuid: "a".into(),
            containers: (0..count).map(record).collect(),
            kinds: vec!["echo".into()],
            endpoint: None,
            huly: None,
        }
    }

    #[test]
    fn a_registration_is_cut_by_number_and_by_size() {
        // Containers, bytes of each extra, what the server takes, chunks.
        let cases = [
            (0, 0, 1 << 20, 1),
            (500, 0, 1 << 20, 1),
            (1_001, 0, 1 << 20, 3),
        ];
        for (count, extra, limit, expected) in cases {
            let parts = chunks(registration(count, extra), limit);
            assert_eq!(parts.len(), expected, "{count}");
        }
        let parts = chunks(registration(30, 1_000), 10_000);
        assert!(parts.iter().all(|part| size_of(part) <= 10_000));
        let numbers: Vec<_> = parts
            .iter()
            .map(|part| part.huly.as_ref().and_then(|ext| ext.chunk))
            .collect();
        let last = numbers.len() - 1;
        for (number, chunk) in numbers.into_iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            assert_eq!(chunk, Some((number, number as usize == last)));
        }
        let all: usize = parts.iter().map(|part| part.containers.len()).sum();
        assert_eq!(all, 30);
    }

    #[test]
    fn what_is_being_ended_is_cut_like_the_rest() {
        let mut whole = registration(10, 1_000);
        whole.huly = Some(AgentExt {
            stopping: registration(20, 1_000).containers,
            draining: true,
            ..AgentExt::default()
        });
        let parts = chunks(whole.clone(), 10_000);
        assert!(parts.iter().all(|part| size_of(part) <= 10_000));
        let exts = || parts.iter().map(|part| part.huly.as_ref().unwrap());
        assert!(exts().all(|ext| ext.draining));
        assert_eq!(exts().map(|ext| ext.stopping.len()).sum::<usize>(), 20);
        let all: usize = parts.iter().map(|part| part.containers.len()).sum();
        assert_eq!(all, 10);
        let one = chunks(whole.clone(), 1 << 20);
        assert_eq!(one, [whole]);
    }
}
