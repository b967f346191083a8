//! What the scenario does to the world.

use std::time::Duration;

use super::{Event, ProcessId, World};
use crate::laws::served;
use crate::program::{Came, Told};
use crate::scenario::Step;

/// The place that stands for all that have to get over a pause of the server.
pub(crate) const SERVERS_PAUSE: &str = "the server's pause";

/// How long a program that ended is away at most until it is started again, in ms.
const RESTART_MS: u64 = 1_500;

/// How much of each pause a server may not notice: how seldom it looks, and how late it may be.
const UNNOTICED: Duration = Duration::from_millis(350);

impl World {
    pub(super) fn step(&mut self, step: Step) {
        self.note_disturbance(&step);
        let now = self.now;
        self.story.tell(now, "——", || step.to_string());
        self.take(step);
        self.note_copies();
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Start(place) => self.start(&place),
            Step::Crash { place, silent } => {
                if let Some(id) = self.at(&place) {
                    self.crash(id, silent);
                }
            }
            Step::Cut(place) => {
                if let Some(id) = self.at(&place) {
                    for wire in self.wires_of(id) {
                        self.cut_wire(wire);
                    }
                }
            }
            Step::Pause(place) => {
                if let Some(id) = self.at(&place) {
                    self.pause(id);
                }
            }
            Step::Thaw(place) => {
                if let Some(id) = self.at(&place) {
                    self.thaw(id);
                }
            }
            Step::Isolate(place) => {
                self.isolated.insert(place);
            }
            Step::Join(place) => {
                self.isolated.remove(&place);
                self.unblock();
            }
            Step::Part(place) => {
                self.parted.insert(place);
            }
            Step::Meet(place) => {
                self.parted.remove(&place);
                self.unblock();
            }
            Step::LoseApi(place) => {
                self.without_api.insert(place);
            }
            Step::FindApi(place) => {
                self.without_api.remove(&place);
            }
            Step::Slow { place, ms } => {
                self.slow.insert(place, ms);
            }
            Step::Read { place, pace } => self.set_pace(&place, pace),
            Step::SetClock { place, ms } => {
                if let Some(clock) = self.clocks.get_mut(&place) {
                    clock.step_ms += ms;
                }
            }
            Step::Clog(place) => self.clog(&place),
            Step::LoseContainer(place) => self.tell_place(&place, Told::LoseContainer),
            Step::Leave(place) => self.tell_place(&place, Told::Leave),
            Step::Double { stay } => self.double(&stay),
            Step::Single => self.single(),
            Step::SetKind(spec) => {
                self.specs.insert(spec.kind.clone(), *spec);
                self.tell_kinds();
            }
            Step::DeleteKind(kind) => {
                self.specs.remove(&kind);
                self.tell_kinds();
            }
        }
    }

    /// The copies from which one goes on.
    fn note_copies(&mut self) {
        let uuids = self.ledger.accepting.keys();
        let copies = uuids.map(|uuid| (uuid.clone(), self.ledger.accepting(uuid)));
        self.laws.before = copies.collect();
    }

    /// By when what happens is got over.
    fn note_bounds(&mut self, step: &Step) {
        let served_by = self.now + served::after(step, &self.scenario);
        let told_by = self.now + served::told_after(step, &self.scenario);
        self.served_by = self.served_by.max(served_by);
        self.told_by = self.told_by.max(told_by);
    }

    /// Whom it concerns; the empty place stands for all, but not for what the server's pause does.
    fn note_disturbance(&mut self, step: &Step) {
        self.note_bounds(step);
        let is_restart = matches!(step, Step::Start(_) | Step::Crash { .. });
        match step.disturbs() {
            Some("server") if is_restart => {}
            // A pause of its own is for itself to get over.
            Some("server") if matches!(step, Step::Pause(_) | Step::Thaw(_)) => {
                self.disturbed.insert(SERVERS_PAUSE.to_owned(), self.now);
            }
            Some("server") => {
                self.disturbed.insert(String::new(), self.now);
                self.disturbed.insert("server".to_owned(), self.now);
            }
            Some(place) => {
                self.disturbed.insert(place.to_owned(), self.now);
            }
            None => {}
        }
    }

    fn tell_kinds(&mut self) {
        for place in self.scenario.operators() {
            self.tell_place(&place, Told::Kinds(self.specs.clone()));
        }
    }

    fn tell_place(&mut self, place: &str, what: Told) {
        if let Some(id) = self.at(place) {
            self.tell_program(id, what);
        }
    }

    /// A process ends without a word.
    fn crash(&mut self, id: ProcessId, silent: bool) {
        self.abandon_wires(id, silent);
        self.end(id);
    }

    pub(super) fn end(&mut self, id: ProcessId) {
        self.abandon_wires(id, false);
        let process = &mut self.processes[id.0 as usize];
        let is_present = self.present.get(&process.place) == Some(&id);
        process.outlived = (!is_present).then_some(self.now);
        if let Some(program) = process.program.take() {
            process.left = program.leaves();
            process.left_calls = program.unseen_calls();
            process.ended = Some(self.now);
        }
        process.paused = false;
        process.backlog.clear();
        process.wake = None;
        self.ledger.died(self.now, id);
        self.ledger.lose_durable(self.at("server"));
    }

    /// A program that ended is started again by whoever looks after it.
    pub(super) fn start_later(&mut self, id: ProcessId) {
        let place = self.process(id).place.clone();
        if self.restarts && self.present.get(&place) == Some(&id) {
            let at = self.now + self.random.millis(100..RESTART_MS);
            self.disturbed.insert(place.clone(), at);
            self.plan(at, Event::Step(Step::Start(place)));
        }
    }

    fn pause(&mut self, id: ProcessId) {
        let process = &mut self.processes[id.0 as usize];
        if !std::mem::replace(&mut process.paused, true) {
            process.pauses.push((self.now, Duration::MAX));
        }
    }

    fn thaw(&mut self, id: ProcessId) {
        let process = &mut self.processes[id.0 as usize];
        if !std::mem::take(&mut process.paused) {
            return;
        }
        process.awake_since = self.now;
        if let Some((_, until)) = process.pauses.last_mut() {
            *until = self.now;
        }
        let backlog = std::mem::take(&mut process.backlog);
        // Most programs look at messages before the time.
        let time_first = self.random.percent(30);
        if time_first {
            self.give(id, Came::Wake);
        }
        for came in backlog {
            self.give(id, came);
        }
        self.give(id, Came::Wake);
    }

    /// The server gives a connection up, as its peer does not read.
    fn clog(&mut self, place: &str) {
        let (Some(id), Some(server)) = (self.at(place), self.at("server")) else {
            return;
        };
        for wire in self.wires_of(id) {
            if self.wires_of(server).contains(&wire) {
                self.give(server, Came::Clogged { wire });
            }
        }
    }

    /// Another server takes the place of the present one, which is cut off from all but some, and
    /// goes on for those.
    fn double(&mut self, stay: &[String]) {
        let Some(old) = self.at("server") else {
            return;
        };
        for place in stay {
            self.routes.insert(place.clone(), old);
        }
        self.start_another("server");
        for wire in self.wires_of(old) {
            let kept = stay.iter().any(|place| {
                self.at(place)
                    .is_some_and(|id| self.wires_of(id).contains(&wire))
            });
            if !kept {
                self.cut_wire(wire);
            }
        }
    }

    /// The old server is not reached any more.
    fn single(&mut self) {
        let routes = std::mem::take(&mut self.routes);
        let olds: std::collections::BTreeSet<ProcessId> = routes.into_values().collect();
        for old in olds {
            for wire in self.wires_of(old) {
                self.cut_wire(wire);
            }
        }
    }

    /// What happens as everything is mended.
    fn all_that_is_mended(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for place in self.scenario.places() {
            let id = self.at(&place);
            if id.is_none() {
                steps.push(Step::Start(place.clone()));
            }
            if id.is_some_and(|id| self.process(id).paused) {
                steps.push(Step::Thaw(place.clone()));
            }
            if self.isolated.contains(&place) || self.parted.contains(&place) {
                steps.push(Step::Join(place.clone()));
            }
            if self.slow.contains_key(&place) {
                let place = place.clone();
                steps.push(Step::Slow { place, ms: 0 });
            }
            if self.paces.contains_key(&place) {
                steps.push(Step::Read { place, pace: None });
            }
        }
        let servers = self.running().filter(|(_, of, _)| of.place == "server");
        if !self.routes.is_empty() || servers.count() > 1 {
            steps.push(Step::Single);
        }
        if self.wires.values().any(|wire| wire.cut) {
            steps.push(Step::Join(String::new()));
        }
        steps
    }

    /// Nothing is wrong any more: everybody is there and reaches everybody.
    pub(crate) fn mend(&mut self) {
        for step in self.all_that_is_mended() {
            self.note_disturbance(&step);
        }
        self.single();
        self.isolated.clear();
        self.parted.clear();
        self.without_api.clear();
        self.slow.clear();
        for place in std::mem::take(&mut self.paces).into_keys() {
            self.set_pace(&place, None);
        }
        self.unblock();
        self.notice_cuts();
        let present = self.at("server");
        let old: Vec<ProcessId> = self
            .running()
            .filter(|(id, process, _)| process.place == "server" && Some(*id) != present)
            .map(|(id, _, _)| id)
            .collect();
        for id in old {
            self.crash(id, false);
        }
        for place in self.scenario.places() {
            if let Some(id) = self.at(&place) {
                self.thaw(id);
            }
            if place != "operator" || self.scenario.operator_away.is_none() {
                self.start(&place);
            }
        }
        self.note_copies();
        let now = self.now;
        self.story
            .tell(now, "——", || "everything is mended".to_owned());
    }

    /// For how long a process has run since then, but for pauses that are too short to be noticed.
    pub(crate) fn ran_since(&self, id: ProcessId, since: Duration) -> Duration {
        let pauses = self.process(id).pauses.iter();
        let noticed = pauses.map(|(from, until)| {
            let pause = (*until).min(self.now).saturating_sub((*from).max(since));
            self.scenario.times.at_best(pause).saturating_sub(UNNOTICED)
        });
        let noticed: Duration = noticed.sum();
        self.now.saturating_sub(since).saturating_sub(noticed)
    }

    /// Since when nothing has happened to a place.
    pub(crate) fn calm_for(&self, place: &str) -> Duration {
        let since = self.disturbed.get(place).copied().unwrap_or_default();
        self.now.saturating_sub(since)
    }
}
