//! What a look at the world comes to.

/// Nothing where there was nothing to judge; else whether it was right, or what is wrong.
pub(crate) type Verdict = Option<Result<(), String>>;

/// There was something to judge, and this is what is wrong with it, if anything is.
pub(super) fn always(wrong: Option<String>) -> Verdict {
    Some(wrong.map_or(Ok(()), Err))
}

/// There was something to judge.
pub(super) fn unless(wrong: bool, what: impl FnOnce() -> String) -> Verdict {
    always(wrong.then(what))
}

/// What is wrong counts in any case; that nothing is, only where there was something to judge.
pub(super) fn where_any(something: bool, wrong: Option<String>) -> Verdict {
    match wrong {
        Some(what) => Some(Err(what)),
        None => something.then_some(Ok(())),
    }
}

/// The first of several that is wrong; right if there is one, and none of them is wrong.
pub(super) fn each(all: impl Iterator<Item = Verdict>) -> Verdict {
    let mut judged = None;
    for verdict in all.flatten() {
        if verdict.is_err() {
            return Some(verdict);
        }
        judged = Some(verdict);
    }
    judged
}
