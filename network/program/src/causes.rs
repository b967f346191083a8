use std::error::Error;

/// An error with what caused it, unless its own text says that already: a connection that fails is
/// of little use without the reason.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    for cause in causes.map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_causes;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Step(&'static str, #[source] Option<Box<Step>>);

    #[test]
    fn each_cause_is_said_once() {
        let deepest = Step("unknown issuer", None);
        let repeats = Step("cannot connect", Some(Box::new(deepest)));
        let error = Step("cannot connect to it", Some(Box::new(repeats)));
        assert_eq!(with_causes(&error), "cannot connect to it: unknown issuer");
    }
}
