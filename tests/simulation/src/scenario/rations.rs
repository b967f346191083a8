//! Kinds of which each agent has only so many containers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Step;
use super::breadth::Breadth;
use crate::random::Random;

/// Drawn from numbers of its own, so that what the rest of a scenario is does not depend on it.
const OWN: u64 = 0x9a_7103_0000;

/// In how many of the scenarios that may have such kinds, in percent.
const OFTEN: u64 = 40;

/// How many containers of a kind an agent has at most, of kinds that say so.
pub(crate) type Rations = BTreeMap<String, u32>;

impl Breadth {
    /// Some kinds have few places at each agent, from the beginning to the end; those have
    /// specifications.
    pub(super) fn ration(
        &mut self,
        seed: u64,
        kinds: &[String],
        steps: &mut [(Duration, Step)],
    ) -> Rations {
        let mut random = Random::new(seed ^ OWN);
        let mut rations = Rations::new();
        if !random.percent(OFTEN) {
            return rations;
        }
        for kind in kinds {
            let (some, most) = (random.percent(70), random.of(1..4) as u32);
            if some {
                rations.insert(kind.clone(), most);
            }
        }
        for (kind, most) in &rations {
            self.always(kind, steps, |spec| spec.max_per_agent = Some(*most));
        }
        rations
    }
}
