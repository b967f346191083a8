//! One simulation: the scenario of a seed, then calm, then nothing is wanted any more.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::laws::limits::under_way;
use crate::laws::{SAME, Violation};
use crate::program::{Program, Told};
use crate::sabotage::Sabotage;
use crate::scenario::Scenario;
use crate::story::Story;
use crate::world::World;

/// How long after the last fault everything is as it should be.
const CALM: Duration = Duration::from_secs(35);
/// After which clients ask for nothing more.
const BUSY: Duration = Duration::from_secs(15);
/// After which a TypeScript client that was told to try again does so.
const RETRY: Duration = Duration::from_millis(500);
/// How long it may take until for a moment nothing is under way.
const BREATH: Duration = Duration::from_secs(2);
/// How long after everything was let go nothing of it is left.
const EMPTY: Duration = Duration::from_secs(25);

/// How much of the story is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Nothing.
    Silent,
    /// What programs do.
    Deeds,
    /// Each message as well.
    Messages,
}

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// A hash of all that happened.
    pub hash: u64,
    /// Laws that were broken, each once.
    pub violations: Vec<Violation>,
    /// How often each law had something to judge; those that never had are absent.
    pub judged: BTreeMap<&'static str, u64>,
    /// Requests that containers began with.
    pub executed: usize,
    /// What the seed is made of, a line each; nothing where nothing is told.
    pub opening: Vec<String>,
    /// What happened, a line each.
    pub story: Vec<String>,
}

/// Simulates the scenario of a seed.
pub fn simulate(seed: u64, sabotage: Option<Sabotage>, telling: Telling) -> Outcome {
    let scenario = Scenario::new(seed);
    let story = Story::new(telling != Telling::Silent, telling == Telling::Messages);
    let opening = match telling {
        Telling::Silent => Vec::new(),
        Telling::Deeds | Telling::Messages => scenario.in_words(),
    };
    let mended = scenario.mended;
    let mut world = World::new(scenario, story, sabotage);
    world.run_until(mended);
    world.mend();
    world.run_until(mended + BUSY);
    world.tell_all(Told::Rest);
    world.run_until(mended + CALM);
    let mut end = world.work_off(mended + CALM);
    end = world.catch_breath(end);
    world.judge_calm();
    if world.scenario.operator_away.is_some() {
        world.start("operator");
        end += BUSY;
        world.run_until(end);
    }
    world.restarts = false;
    world.tell_all(Told::LetGo);
    world.dismiss_heirs();
    world.run_until(end + EMPTY);
    world.catch_breath(end + EMPTY);
    world.judge_end();
    world.outcome(opening)
}

/// Simulates a seed once more: what is wrong if not everything is as it was.
pub fn same_twice(seed: u64, hash: u64, sabotage: Option<Sabotage>) -> Option<Violation> {
    let again = simulate(seed, sabotage, Telling::Silent).hash;
    (again != hash).then(|| Violation {
        law: SAME,
        at: Duration::ZERO,
        what: format!("the hash of one run is {hash:016x}, that of the next {again:016x}"),
    })
}

impl World {
    fn tell_all(&mut self, what: Told) {
        let all: Vec<_> = self.running().map(|(id, _, _)| id).collect();
        for id in all {
            self.tell_program(id, what.clone());
        }
    }

    /// Runs on until TypeScript clients have their answers: their requests have no deadline, and of a
    /// container that is busy they ask again until it has room. The longest that may take is when
    /// they run one after another. Returns when it is done.
    fn work_off(&mut self, from: Duration) -> Duration {
        let each = Duration::from_millis(self.scenario.manners.work_ms) + RETRY;
        let latest = from + each * self.plain_requests();
        let mut end = from;
        while self.plain_requests() > 0 && end < latest {
            end += each;
            self.run_until(end);
        }
        end
    }

    /// Runs on until nothing is under way: some say what they want again and again, or register again
    /// on their own. Returns when that is so, or the time is over that it may take.
    fn catch_breath(&mut self, from: Duration) -> Duration {
        let mut end = from;
        while under_way(self).is_some() && end < from + BREATH {
            end += Duration::from_millis(20);
            self.run_until(end);
        }
        end
    }

    /// Requests to containers that TypeScript clients have no answer to.
    fn plain_requests(&self) -> u32 {
        let clients = self.running().filter_map(|(_, _, program)| match program {
            Program::PlainClient(client) => Some(client.requests() as u32),
            _ => None,
        });
        clients.sum()
    }

    /// Clients that came under the id of another release what that one held by leaving, and
    /// TypeScript clients what they do not know to be theirs.
    fn dismiss_heirs(&mut self) {
        let heirs = self.running().filter(|(_, process, program)| {
            process.heir || matches!(program, Program::PlainClient(_))
        });
        let heirs: Vec<_> = heirs.map(|(id, _, _)| id).collect();
        for id in heirs {
            self.tell_program(id, Told::Leave);
        }
    }

    fn outcome(mut self, opening: Vec<String>) -> Outcome {
        let violations = self.laws.take();
        Outcome {
            hash: self.story.hash(),
            violations,
            judged: self.laws.judged(),
            executed: self.ledger.asked.values().map(|a| a.executed.len()).sum(),
            opening,
            story: self.story.lines(),
        }
    }
}
