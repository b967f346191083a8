//! Which of the operators of a network leads: who holds its Lease.
//!
//! The elector (`huly-election`) decides, and is pure; the campaign reads and writes the Lease for it.

mod campaign;
mod tenure;

use uuid::Uuid;

pub(crate) use huly_election::Terms;

pub(crate) use self::campaign::{Campaign, Candidate, Leadership};
pub(crate) use self::tenure::Tenure;

/// The name of the Lease of a network's operators.
pub(crate) fn lease_name(network: &str) -> String {
    // With what goes before it, it is a name of an object then.
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let plain = network.bytes().all(is_plain) && !network.ends_with('-') && network.len() <= 200;
    match plain && !network.is_empty() {
        true => format!("huly-operator-{network}"),
        false => {
            let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, network.as_bytes());
            format!("huly-operator-{uuid}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::lease_name;

    #[test]
    fn every_network_has_a_lease_of_its_own() {
        assert_eq!(lease_name("default"), "huly-operator-default");
        let odd = ["Default", "a b", "", "a-", "ä", "a.b", &"x".repeat(253)];
        let names = odd.map(lease_name);
        for name in &names {
            let allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            assert!(name.len() <= 253 && name.bytes().all(allowed), "{name}");
        }
        assert_eq!(BTreeSet::from(names).len(), odd.len());
    }
}
