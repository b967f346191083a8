use std::fmt;

use serde::{Deserialize, Serialize};

/// A control secret: a text that is not shown, compared in a time that does not depend on where two
/// differ.
#[derive(Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let differences = |(a, b): (u8, u8)| a ^ b;
        self.0.len() == other.0.len()
            && self
                .0
                .bytes()
                .zip(other.0.bytes())
                .map(differences)
                .fold(0, |all, byte| all | byte)
                == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_compared_and_not_shown() {
        let secret = Secret::from("open sesame");
        assert_eq!(format!("{secret:?}"), "***");
        for (said, same) in [
            ("open sesame", true),
            ("open sesamE", false),
            ("Open sesame", false),
            ("open sesame ", false),
            ("", false),
        ] {
            assert_eq!(secret == Secret::from(said), same, "{said:?}");
        }
    }
}
