//! What it says of kinds.

use huly_protocol::{Json, KindBarrier, KindSpec, method};
use huly_session::{Call, Input};
use serde::Serialize;

use super::{Context, OperatorProgram, TIMEOUT, Waits};

impl OperatorProgram {
    /// Says all specifications there are.
    pub(super) fn tell_kinds(&mut self, cx: &mut Context) {
        self.kinds_told = false;
        if !self.link.session().is_up() {
            return;
        }
        self.waits
            .retain(|_, waits| !matches!(waits, Waits::Kind { .. }));
        let kinds = self.specs.keys().cloned().collect();
        let specs: Vec<KindSpec> = self.specs.values().cloned().collect();
        for spec in specs {
            self.tell_kind(cx, method::SET_KIND, &spec, false);
        }
        self.tell_kind(cx, method::REMOVE_KINDS, &KindBarrier { kinds }, true);
    }

    fn tell_kind<T: Serialize>(
        &mut self,
        cx: &mut Context,
        name: &'static str,
        what: &T,
        last: bool,
    ) {
        let Ok(params) = Json::of(what) else { return };
        self.tokens += 1;
        self.waits.insert(self.tokens, Waits::Kind { last });
        let call = Call {
            timeout: Some(TIMEOUT),
            only_in: self.link.session().uuid().map(str::to_owned),
            ..Call::new(self.tokens, name, params)
        };
        self.input(cx, Input::Call(call));
    }
}
