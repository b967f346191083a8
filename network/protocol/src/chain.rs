use std::fmt;
use std::sync::Arc;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::seq::array_struct;

/// The containers that wait for a call, each with the request in which it does (extension): the one
/// that calls last. On the wire an array of `[container uuid, number]`, whoever began first; the
/// number is the request's at the container's agent.
#[derive(Clone, Default)]
pub struct Chain {
    last: Option<Arc<Link>>,
}

struct Link {
    container: Arc<str>,
    request: u64,
    before: Chain,
    len: usize,
}

impl Chain {
    /// The most containers that wait for one call; a container is not asked for more.
    pub const MAX: usize = 64;

    /// The chain of what a container calls while it handles a request that came with this one.
    #[must_use]
    pub fn then(&self, container: Arc<str>, request: u64) -> Self {
        let link = Link {
            container,
            request,
            len: self.len() + 1,
            before: self.clone(),
        };
        Self {
            last: Some(Arc::new(link)),
        }
    }

    /// How many containers wait.
    pub fn len(&self) -> usize {
        self.last.as_ref().map_or(0, |link| link.len)
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Who waits and in which request, the one that calls first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut next = &self.last;
        std::iter::from_fn(move || {
            let link = next.as_ref()?;
            next = &link.before.last;
            Some((&*link.container, link.request))
        })
    }
}

/// The containers from the first to the one that calls: `a → b`.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(link) = &self.last else {
            return Ok(());
        };
        if !link.before.is_empty() {
            write!(f, "{} → ", link.before)?;
        }
        f.write_str(&link.container)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Chain {}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut links: Vec<_> = self.iter().collect();
        links.reverse();
        links.serialize(serializer)
    }
}

struct RawLink {
    container: String,
    request: u64,
}
array_struct!(RawLink, "[container, number]", [container, request], []);

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Links;
        impl<'de> Visitor<'de> for Links {
            type Value = Chain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {} of [container, number]", Chain::MAX)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut links: A) -> Result<Chain, A::Error> {
                let mut chain = Chain::default();
                while let Some(link) = links.next_element::<RawLink>()? {
                    if chain.len() == Chain::MAX {
                        return Err(A::Error::invalid_length(Chain::MAX + 1, &self));
                    }
                    chain = chain.then(Arc::from(link.container), link.request);
                }
                Ok(chain)
            }
        }
        deserializer.deserialize_seq(Links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(names: &[&str]) -> Chain {
        let numbered = names.iter().zip(1..);
        numbered.fold(Chain::default(), |chain, (name, number)| {
            chain.then(Arc::from(*name), number)
        })
    }

    #[test]
    fn it_is_written_from_its_beginning_and_read_again() {
        let written = serde_json::to_string(&chain(&["a", "b"])).unwrap();
        assert_eq!(written, r#"[["a",1],["b",2]]"#);
        let read: Chain = serde_json::from_str(&written).unwrap();
        assert_eq!(read, chain(&["a", "b"]));
        assert_eq!(read.to_string(), "a → b");
        assert_eq!(read.iter().collect::<Vec<_>>(), [("b", 2), ("a", 1)]);
        assert_ne!(read, chain(&["a", "c"]));
        assert_ne!(read, chain(&["a"]));
    }

    #[test]
    fn what_a_later_version_adds_to_a_link_is_ignored() {
        let read: Chain = serde_json::from_str(r#"[["a",1,"more"]]"#).unwrap();
        assert_eq!(read, chain(&["a"]));
    }

    #[test]
    fn it_is_bounded() {
        let links = |count: usize| format!("[{}]", vec![r#"["a",1]"#; count].join(","));
        let longest = serde_json::from_str::<Chain>(&links(Chain::MAX)).unwrap();
        assert_eq!(longest.len(), Chain::MAX);
        let error = serde_json::from_str::<Chain>(&links(Chain::MAX + 1)).unwrap_err();
        assert!(error.to_string().contains("at most 64"), "{error}");
    }
}
