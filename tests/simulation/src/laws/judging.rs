//! Laws are looked at, each when it is due.

use huly_protocol::method;

use super::verdict::Verdict;
use super::{Check, LAWS, Law, ServerView, Violation, limits};
use crate::ledger::News;
use crate::program::Program;
use crate::world::{ProcessId, World};

impl World {
    pub(crate) fn judge_news(&mut self, news: &[News]) {
        for law in LAWS {
            if let Check::News(check) = law.check {
                for one in news {
                    let verdict = check(self, one);
                    self.judged(law, verdict);
                }
            }
        }
    }

    /// Looks at what a program keeps after its step.
    pub(crate) fn judge_step(&mut self, id: ProcessId) {
        for law in LAWS {
            if let Check::Step(check) = law.check
                && let Some(program) = &self.process(id).program
            {
                let verdict = check(self, program).map(|verdict| {
                    verdict.map_err(|what| format!("{} keeps {what}", self.process(id).name))
                });
                self.judged(law, verdict);
            }
        }
    }

    /// Looks at what holds after each event.
    pub(crate) fn judge_event(&mut self) {
        for law in LAWS {
            if let Check::Event(check) = law.check {
                let verdict = check(self);
                self.judged(law, verdict);
            }
        }
    }

    pub(crate) fn judge_time(&mut self) {
        for law in LAWS {
            if let Check::Time(check) = law.check {
                let verdict = check(self);
                self.judged(law, verdict);
            }
        }
    }

    /// Looks at what holds once it is calm.
    pub(crate) fn judge_calm(&mut self) {
        let view = self.server_view();
        let had = view.as_ref().and_then(|view| limits::left(self, view));
        self.laws.had = had.is_some();
        for law in LAWS {
            if let Check::Calm(check) = law.check {
                let verdict = self.by_view(view.as_ref(), check);
                self.judged(law, verdict);
            }
        }
    }

    /// Looks at what holds once everything was let go.
    pub(crate) fn judge_end(&mut self) {
        let view = self.server_view();
        for law in LAWS {
            if let Check::End(check) = law.check {
                let verdict = self.by_view(view.as_ref(), check);
                self.judged(law, verdict);
            }
        }
    }

    /// Where nothing is wrong any more there is a server.
    fn by_view(
        &self,
        view: Option<&ServerView>,
        check: fn(&World, &ServerView) -> Verdict,
    ) -> Verdict {
        match view {
            Some(view) => check(self, view),
            None => Some(Err("there is no server to be asked".to_owned())),
        }
    }

    fn judged(&mut self, law: &Law, verdict: Verdict) {
        let Some(verdict) = verdict else { return };
        *self.laws.judged.entry(law.name).or_default() += 1;
        let Err(what) = verdict else { return };
        if self.laws.names.insert(law.name) {
            let (at, name) = (self.now, law.name);
            self.story
                .tell(at, "LAW", || format!("{name} is broken: {what}"));
            self.laws.broken.push(Violation {
                law: name,
                at,
                what,
            });
        }
    }

    fn server_view(&mut self) -> Option<ServerView> {
        let id = self.at("server")?;
        self.with_program(id, |program, cx| match program {
            Program::Server(server) => Some(ServerView {
                snapshot: server.snapshot(),
                agents: server.list(cx, method::LIST_AGENTS),
                containers: server.list(cx, method::LIST_CONTAINERS),
            }),
            _ => None,
        })?
    }
}
