use std::io::{ErrorKind, Write};

use serde::Serialize;

/// Writes documents as one stream of YAML.
///
/// # Errors
/// When one cannot be written as YAML, or the output cannot be written to.
pub(crate) fn write_documents<T: Serialize>(
    mut out: impl Write,
    documents: &[T],
) -> anyhow::Result<()> {
    let mut text = String::new();
    for document in documents {
        text.push_str("---\n");
        text.push_str(&serde_yaml_ng::to_string(document)?);
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_two_documents_and_always_the_same() {
        let print = || {
            let mut out = Vec::new();
            write_documents(&mut out, &huly_operator_api::crds().unwrap()).unwrap();
            String::from_utf8(out).unwrap()
        };
        let printed = print();
        assert_eq!(printed.matches("---\n").count(), 2);
        assert!(printed.contains("name: containerkinds.network.huly.io"));
        assert!(printed.contains("name: containerclaims.network.huly.io"));
        assert_eq!(printed, print());
    }
}
