//! What a registration is on the wire.

use huly_protocol::{AgentExt, AgentRegistration, ContainerRecord, Json};

/// Containers in one chunk of a registration.
const CHUNK: usize = 500;
/// Bytes of a registration beside its records, with some to spare.
const ENVELOPE: u64 = 256;

/// Without what an original server was not asked for.
pub(crate) fn plain(mut registration: AgentRegistration) -> AgentRegistration {
    registration.huly = None;
    for record in &mut registration.containers {
        record.huly = None;
    }
    registration
}

/// A registration in pieces that the server takes: records may carry large extras.
pub(crate) fn chunks(
    mut registration: AgentRegistration,
    message_bytes: u64,
) -> Vec<AgentRegistration> {
    let containers = std::mem::take(&mut registration.containers);
    let frame = size_of(&registration) + ENVELOPE;
    let mut parts: Vec<Vec<ContainerRecord>> = vec![Vec::new()];
    let mut bytes = frame;
    for record in containers {
        let size = size_of(&record) + 1;
        let fits = bytes + size <= message_bytes;
        match parts.last_mut() {
            Some(part) if part.is_empty() || (fits && part.len() < CHUNK) => {
                bytes += size;
                part.push(record);
            }
            _ => {
                bytes = frame + size;
                parts.push(vec![record]);
            }
        }
    }
    let count = parts.len();
    let whole = |containers| AgentRegistration {
        containers,
        ..registration.clone()
    };
    if count == 1 {
        return parts.into_iter().map(whole).collect();
    }
    let ext = registration.huly.clone().unwrap_or_default();
    let numbered = parts.into_iter().enumerate();
    numbered
        .map(|(number, part)| AgentRegistration {
            huly: Some(AgentExt {
                chunk: Some((
                    u32::try_from(number).unwrap_or(u32::MAX),
                    number + 1 == count,
                )),
                ..ext.clone()
            }),
            ..whole(part)
        })
        .collect()
}

fn size_of<T: serde::Serialize>(value: &T) -> u64 {
    Json::of(value).map_or(0, |json| json.text().len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(count: usize, extra: usize) -> AgentRegistration {
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
}
