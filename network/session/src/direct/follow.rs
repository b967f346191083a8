//! A connection follows its container from agent to agent.

use std::time::Duration;

use huly_protocol::Epoch;

use super::{DirectWay, Setback};
use crate::references::Location;

/// Between two attempts to have a container's events sent.
const RETRY: Duration = Duration::from_millis(250);

/// What happened.
#[derive(Debug)]
pub enum FollowInput {
    /// The container may be somewhere else.
    Moved(Box<Location>),
    /// What came of an attempt.
    Begun {
        /// Which.
        attempt: u64,
        /// Whether the container's events come now.
        result: Result<(), Setback>,
    },
    /// The time of [`Follower::next_wake`] has come.
    Wake,
}

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowEffect {
    /// Requests do not go directly any more; what was begun is given up.
    Close,
    /// Have the container's events sent from there.
    Begin {
        /// To be repeated.
        attempt: u64,
        /// Where.
        way: DirectWay,
    },
    /// Requests may go directly.
    Open,
    /// The container takes no direct connection where it is.
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is no way there.
    Nowhere,
    Begins,
    Waits {
        until: Duration,
    },
    Open,
    Refused,
}

/// One connection's follower. It is pure: what comes in and what goes out are values.
#[derive(Debug)]
pub struct Follower {
    at: Location,
    attempt: u64,
    stage: Stage,
}

impl Follower {
    /// One that begins where the container is now.
    pub fn new(at: Location, out: &mut Vec<FollowEffect>) -> Self {
        let mut follower = Self {
            at,
            attempt: 0,
            stage: Stage::Nowhere,
        };
        follower.begin(out);
        follower
    }

    /// Takes one input and appends what follows from it. `now` never goes back.
    pub fn handle(&mut self, now: Duration, input: FollowInput, out: &mut Vec<FollowEffect>) {
        match input {
            FollowInput::Moved(at) => {
                let same = at.endpoint == self.at.endpoint && at.gone == self.at.gone;
                self.at = *at;
                if !same {
                    out.push(FollowEffect::Close);
                    self.begin(out);
                }
            }
            FollowInput::Begun { attempt, result } => {
                if attempt != self.attempt || self.stage != Stage::Begins {
                    return; // It was given up.
                }
                match result {
                    Ok(()) => {
                        self.stage = Stage::Open;
                        out.push(FollowEffect::Open);
                    }
                    Err(Setback::Refused) => {
                        self.stage = Stage::Refused;
                        out.push(FollowEffect::Refuse);
                    }
                    Err(_) => self.stage = Stage::Waits { until: now + RETRY },
                }
            }
            FollowInput::Wake => {
                if self.next_wake().is_some_and(|at| at <= now) {
                    self.begin(out);
                }
            }
        }
    }

    /// When to come back with [`FollowInput::Wake`] at the latest.
    pub fn next_wake(&self) -> Option<Duration> {
        match self.stage {
            Stage::Waits { until } => Some(until),
            _ => None,
        }
    }

    /// Whether the container's events come from where it is, as far as is known.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// To which life of the container it leads: one that its client has heard of, though it may know of
    /// a later one already.
    pub fn life(&self) -> Option<Epoch> {
        self.at.epoch()
    }

    fn begin(&mut self, out: &mut Vec<FollowEffect>) {
        self.attempt += 1;
        match DirectWay::to(&self.at) {
            Some(way) => {
                self.stage = Stage::Begins;
                let attempt = self.attempt;
                out.push(FollowEffect::Begin { attempt, way });
            }
            None => self.stage = Stage::Nowhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(kind: u8, agent: &str) -> Location {
        let endpoint =
            format!(r#"{{"kind":{kind},"host":"{agent}","port":1,"agentId":"{agent}"}}"#);
        Location {
            endpoint,
            ..Location::default()
        }
    }

    fn begin(attempt: u64, agent: &str) -> FollowEffect {
        let way = DirectWay {
            authority: format!("{agent}:1"),
            own: None,
        };
        FollowEffect::Begin { attempt, way }
    }

    fn begun(attempt: u64, result: Result<(), Setback>) -> FollowInput {
        FollowInput::Begun { attempt, result }
    }

    fn moved(kind: u8, agent: &str) -> FollowInput {
        FollowInput::Moved(Box::new(at(kind, agent)))
    }

    struct Rig(Follower);

    impl Rig {
        fn input(&mut self, ms: u64, input: FollowInput) -> Vec<FollowEffect> {
            let mut out = Vec::new();
            self.0.handle(Duration::from_millis(ms), input, &mut out);
            out
        }
    }

    fn rig(location: Location) -> (Rig, Vec<FollowEffect>) {
        let mut out = Vec::new();
        let follower = Follower::new(location, &mut out);
        (Rig(follower), out)
    }

    #[test]
    fn it_follows_to_another_agent_and_takes_no_late_answer_of_the_former() {
        let (mut rig, first) = rig(at(0, "a"));
        assert_eq!(first, [begin(1, "a")]);
        let effects = rig.input(0, moved(0, "b"));
        assert_eq!(effects, [FollowEffect::Close, begin(2, "b")]);
        assert_eq!(rig.input(1, begun(1, Ok(()))), []);
        assert!(!rig.0.is_open());
        assert_eq!(rig.input(2, begun(2, Ok(()))), [FollowEffect::Open]);
        // The same place, told again.
        assert_eq!(rig.input(3, moved(0, "b")), []);
        assert!(rig.0.is_open());
        let gone = Location {
            gone: true,
            ..at(0, "b")
        };
        let lost = rig.input(4, FollowInput::Moved(Box::new(gone)));
        assert_eq!(lost, [FollowEffect::Close]);
        assert!(!rig.0.is_open());
        let back = rig.input(5, moved(0, "b"));
        assert_eq!(back, [FollowEffect::Close, begin(4, "b")]);
    }

    #[test]
    fn it_names_the_life_that_it_leads_to() {
        let life = |n| Epoch { term: 1, n };
        let in_life = |n: u64| Location {
            endpoint: format!(r#"{{"kind":0,"host":"a","port":1,"agentId":"a","epoch":[1,{n}]}}"#),
            ..Location::default()
        };
        let (mut rig, _) = rig(in_life(1));
        rig.input(0, begun(1, Ok(())));
        assert_eq!(rig.0.life(), Some(life(1)));
        rig.input(1, FollowInput::Moved(Box::new(in_life(2))));
        assert_eq!((rig.0.life(), rig.0.is_open()), (Some(life(2)), false));
    }

    #[test]
    fn what_failed_is_tried_again_unless_it_is_refused() {
        let (mut rig, _) = rig(at(0, "a"));
        assert_eq!(rig.input(10, begun(1, Err(Setback::NotThere))), []);
        assert_eq!(rig.0.next_wake(), Some(Duration::from_millis(260)));
        assert_eq!(rig.input(259, FollowInput::Wake), []);
        assert_eq!(rig.input(260, FollowInput::Wake), [begin(2, "a")]);
        assert_eq!(rig.0.next_wake(), None);
        let refused = rig.input(300, begun(2, Err(Setback::Refused)));
        assert_eq!(refused, [FollowEffect::Refuse]);
        assert_eq!(rig.0.next_wake(), None);
        // Where it goes next it may be taken.
        let effects = rig.input(400, moved(0, "b"));
        assert_eq!(effects, [FollowEffect::Close, begin(3, "b")]);
    }

    #[test]
    fn there_is_no_way_to_a_container_without_connections() {
        let (mut rig, first) = rig(at(2, "a"));
        assert_eq!(first, []);
        let own = rig.input(0, moved(1, "a"));
        let way = DirectWay {
            authority: "a:1".to_owned(),
            own: Some(at(1, "a").endpoint),
        };
        let begin = FollowEffect::Begin { attempt: 2, way };
        assert_eq!(own, [FollowEffect::Close, begin]);
    }
}
