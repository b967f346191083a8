use serde::{Deserialize, Serialize};

/// Which life of a uuid a container is: the later placement has the higher epoch.
///
/// On the wire `[term, n]`. The term is the start of the network server that placed it, in
/// milliseconds since 1970; `n` counts its placements. Epochs are ordered: the higher one wins,
/// whenever it registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Epoch {
    /// When the placing server started, in ms since 1970, raised where another server's is known.
    pub term: u64,
    /// The number of the placement within the term, from 1.
    pub n: u64,
}

impl From<(u64, u64)> for Epoch {
    fn from((term, n): (u64, u64)) -> Self {
        Self { term, n }
    }
}

impl From<Epoch> for (u64, u64) {
    fn from(epoch: Epoch) -> Self {
        (epoch.term, epoch.n)
    }
}
