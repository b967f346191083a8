//! Several electors and one Lease, in made time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::elector::{Effect, Elector, Input, NotRead, Record, Terms, Why, Write, WriteError};

const TERMS: Terms = Terms {
    duration: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    retry: Duration::from_secs(2),
};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How the API server treats one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Answers,
    /// Nothing arrives.
    Lost,
    /// What is written arrives, and the answer does not.
    AnswerLost,
}

struct Candidate {
    elector: Elector,
    reach: Reach,
    /// One that is stopped does not look at the time.
    runs: bool,
    /// Until when it leads.
    leads: Option<Duration>,
    told: Vec<Effect>,
}

#[derive(Default)]
struct World {
    now: Duration,
    lease: Option<Record>,
    versions: u64,
    created: i64,
    candidates: BTreeMap<&'static str, Candidate>,
    /// The numbers of all that ever led.
    numbers: Vec<u64>,
}

impl World {
    /// Candidates that have tried for a minute.
    fn of(names: &[&'static str]) -> Self {
        let mut world = Self {
            created: 1_780_000_000,
            ..Self::default()
        };
        for name in names {
            world.join(name);
        }
        world.pass(seconds(60));
        world
    }

    fn join(&mut self, name: &'static str) {
        let candidate = Candidate {
            elector: Elector::new(name, TERMS, self.now),
            reach: Reach::Answers,
            runs: true,
            leads: None,
            told: Vec::new(),
        };
        self.candidates.insert(name, candidate);
    }

    fn it(&mut self, name: &str) -> &mut Candidate {
        self.candidates.get_mut(name).unwrap()
    }

    fn leaders(&self) -> Vec<&'static str> {
        let leads = |it: &Candidate| it.leads.is_some_and(|until| self.now < until);
        let leading = self.candidates.iter().filter(|(_, it)| leads(it));
        leading.map(|(name, _)| *name).collect()
    }

    fn say(&mut self, name: &str, input: Input) {
        let now = self.now;
        let mut effects = self.it(name).elector.handle(now, input);
        while !effects.is_empty() {
            let mut answers = Vec::new();
            for effect in effects {
                self.it(name).told.push(effect.clone());
                answers.extend(self.carry_out(name, effect));
            }
            let answered = answers.into_iter();
            effects = answered
                .flat_map(|answer| self.it(name).elector.handle(now, answer))
                .collect();
        }
    }

    fn carry_out(&mut self, name: &str, effect: Effect) -> Option<Input> {
        let reach = self.it(name).reach;
        match effect {
            Effect::Read => Some(Input::Read(match reach {
                Reach::Answers => Ok(self.lease.clone()),
                Reach::Lost | Reach::AnswerLost => Err(NotRead),
            })),
            Effect::Write(write) => Some(Input::Written(match reach {
                Reach::Answers => self.write(write),
                Reach::Lost => Err(WriteError::Failed),
                Reach::AnswerLost => self.write(write).and(Err(WriteError::Failed)),
            })),
            Effect::Lead { number, until, .. } => {
                self.numbers.push(number);
                self.it(name).leads = Some(until);
                None
            }
            Effect::Prolong { until } => {
                self.it(name).leads = Some(until);
                None
            }
            Effect::Follow(_) => {
                self.it(name).leads = None;
                None
            }
            Effect::Left => None,
        }
    }

    fn write(&mut self, write: Write) -> Result<Record, WriteError> {
        let known = self.lease.as_ref().map(|record| record.version.clone());
        if known != write.follows {
            return Err(WriteError::Conflict);
        }
        self.versions += 1;
        let record = Record {
            version: self.versions.to_string(),
            created: self.lease.as_ref().map_or(self.created, |it| it.created),
            holder: write.holder,
            duration: Some(TERMS.duration),
            transitions: write.transitions,
            renewed: Some(i128::from(self.versions)),
        };
        self.lease = Some(record.clone());
        Ok(record)
    }

    /// Lets time pass, a tenth of a second at once, and looks that never two lead.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(100);
            let names: Vec<&'static str> = self.candidates.keys().copied().collect();
            for name in names {
                let candidate = &self.candidates[name];
                let due = candidate.elector.deadline();
                if candidate.runs && due.is_some_and(|due| due <= self.now) {
                    self.say(name, Input::Tick);
                }
                let leaders = self.leaders();
                assert!(leaders.len() <= 1, "{leaders:?} lead at {:?}", self.now);
            }
        }
        let rise = self.numbers.is_sorted_by(|before, after| before < after);
        assert!(rise, "{:?}", self.numbers);
    }

    /// The requests that a candidate has made.
    fn requests(&mut self, name: &str) -> usize {
        let told = self.it(name).told.iter();
        told.filter(|effect| matches!(effect, Effect::Read | Effect::Write(_)))
            .count()
    }
}

#[test]
fn one_leads_and_goes_on_leading() {
    let mut world = World::of(&["a", "b"]);
    assert_eq!(world.leaders(), ["a"]);
    world.pass(seconds(540));
    assert_eq!((world.leaders(), world.numbers.len()), (vec!["a"], 1));
    assert_eq!(world.it("b").elector.holder(), Some("a"));
    for name in ["a", "b"] {
        let requests = world.requests(name);
        assert!((295..=305).contains(&requests), "{name}: {requests}");
    }
}

#[test]
fn one_that_is_gone_is_followed_when_its_lease_is_over() {
    let mut world = World::of(&["a", "b"]);
    world.it("a").runs = false;
    world.pass(seconds(12));
    assert_eq!(world.numbers.len(), 1, "not before");
    world.pass(seconds(5));
    assert_eq!(world.leaders(), ["b"]);
}

#[test]
fn one_that_was_stopped_leads_no_more_when_it_goes_on() {
    let mut world = World::of(&["a", "b"]);
    world.it("a").runs = false;
    world.pass(seconds(30));
    assert_eq!(world.leaders(), ["b"]);
    world.it("a").runs = true;
    world.pass(seconds(1));
    let over = Effect::Follow(Why::NotRenewed);
    assert!(world.it("a").told.contains(&over));
    world.pass(seconds(60));
    assert_eq!(world.leaders(), ["b"]);
}

#[test]
fn one_that_does_not_reach_the_api_server_stops_before_another_begins() {
    for reach in [Reach::Lost, Reach::AnswerLost] {
        let mut world = World::of(&["a", "b"]);
        world.it("a").reach = reach;
        world.pass(seconds(11));
        assert!(
            world.leaders().is_empty(),
            "{reach:?}: its deadline is over"
        );
        world.pass(seconds(30));
        assert_eq!(world.leaders(), ["b"], "{reach:?}");
        world.it("a").reach = Reach::Answers;
        world.pass(seconds(60));
        assert_eq!(world.leaders(), ["b"]);
    }
}

#[test]
fn an_api_server_that_is_away_for_a_moment_changes_nothing() {
    let mut world = World::of(&["a", "b"]);
    for reach in [Reach::AnswerLost, Reach::Answers] {
        for name in ["a", "b"] {
            world.it(name).reach = reach;
        }
        world.pass(seconds(6));
    }
    world.pass(seconds(60));
    assert_eq!((world.leaders(), world.numbers.len()), (vec!["a"], 1));
}

#[test]
fn one_that_leaves_gives_the_lease_free() {
    let mut world = World::of(&["a", "b"]);
    world.say("a", Input::Leave);
    assert_eq!(world.it("a").told.last(), Some(&Effect::Left));
    world.candidates.remove("a");
    world.pass(seconds(2));
    assert_eq!(world.leaders(), ["b"]);
    world.say("b", Input::Leave);
    world.candidates.remove("b");
    assert_eq!(world.lease.as_ref().unwrap().holder, None);
    world.join("a");
    world.pass(seconds(1));
    assert_eq!(world.leaders(), ["a"]);
}

#[test]
fn one_that_leaves_while_it_waits_for_an_answer_gives_the_lease_free_after_it() {
    let mut world = World::of(&["a"]);
    world.now += seconds(2);
    let now = world.now;
    let asked = world.it("a").elector.handle(now, Input::Tick);
    let [Effect::Write(renewal)] = &asked[..] else {
        panic!("no renewal: {asked:?}");
    };
    assert!(world.it("a").elector.handle(now, Input::Leave).is_empty());
    let written = world.write(renewal.clone());
    world.say("a", Input::Written(written));
    assert_eq!(world.lease.as_ref().unwrap().holder, None);
    assert_eq!(world.it("a").told.last(), Some(&Effect::Left));
}

#[test]
fn one_that_follows_leaves_the_lease_alone() {
    let mut world = World::of(&["a", "b"]);
    world.say("b", Input::Leave);
    assert_eq!(world.it("b").told.last(), Some(&Effect::Left));
    world.candidates.remove("b");
    world.pass(seconds(60));
    assert_eq!((world.leaders(), world.numbers.len()), (vec!["a"], 1));
}

#[test]
fn one_that_comes_again_under_its_identity_leads_at_once_by_a_higher_number() {
    let mut world = World::of(&["a", "b"]);
    world.join("a");
    world.pass(seconds(1));
    assert_eq!((world.leaders(), world.numbers.len()), (vec!["a"], 2));
}

#[test]
fn a_lease_that_is_deleted_is_made_anew_with_a_higher_number() {
    let mut world = World::of(&["a", "b"]);
    for _ in 0..3 {
        let leader = world.leaders()[0];
        world.say(leader, Input::Leave);
        world.join(leader);
        world.pass(seconds(60));
    }
    world.lease = None;
    world.created += 1;
    world.pass(seconds(60));
    assert_eq!(world.leaders().len(), 1);
    assert_eq!(world.lease.as_ref().unwrap().transitions, 0);
}

#[test]
fn one_whose_lease_was_taken_by_hand_follows() {
    let mut world = World::of(&["a"]);
    let lease = world.lease.as_mut().unwrap();
    lease.holder = Some("somebody".into());
    lease.version = "by hand".into();
    world.pass(seconds(3));
    assert!(world.it("a").told.contains(&Effect::Follow(Why::Taken)));
    world.pass(seconds(20));
    assert_eq!(world.leaders(), ["a"], "somebody does not renew it");
}

#[test]
fn one_that_the_server_supersedes_lets_others_try() {
    let mut world = World::of(&["a", "b"]);
    world.say("a", Input::Superseded);
    assert!(world.leaders().is_empty());
    world.pass(seconds(3));
    assert_eq!(world.leaders(), ["b"]);
    world.say("b", Input::Superseded);
    world.pass(seconds(3));
    assert!(world.leaders().is_empty(), "neither tries for a while");
    world.pass(seconds(20));
    assert_eq!(world.leaders().len(), 1);
}

#[test]
fn an_answer_that_comes_too_late_makes_no_leader() {
    let mut elector = Elector::new("a", TERMS, Duration::ZERO);
    assert_eq!(elector.handle(Duration::ZERO, Input::Tick), [Effect::Read]);
    let asked = elector.handle(Duration::ZERO, Input::Read(Ok(None)));
    assert!(matches!(asked[..], [Effect::Write(_)]), "{asked:?}");
    let record = Record {
        version: "1".into(),
        created: 1,
        holder: Some("a".into()),
        duration: Some(TERMS.duration),
        transitions: 0,
        renewed: None,
    };
    let late = elector.handle(seconds(11), Input::Written(Ok(record)));
    assert_eq!(late, [Effect::Read]);
}

#[test]
fn a_leader_that_nobody_answers_stops_in_time_while_it_waits() {
    let mut world = World::of(&["a"]);
    let now = world.now + seconds(2);
    let until = world.it("a").leads.unwrap();
    let asked = world.it("a").elector.handle(now, Input::Tick);
    assert!(matches!(asked[..], [Effect::Write(_)]), "{asked:?}");
    assert_eq!(world.it("a").elector.deadline(), Some(until));
    let over = world.it("a").elector.handle(until, Input::Tick);
    assert_eq!(over, [Effect::Follow(Why::NotRenewed)]);
}
