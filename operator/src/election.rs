//! Which of the operators of a network leads: who holds its Lease.
//!
//! The [`Elector`] decides, and is pure; the [`Campaign`] reads and writes the Lease for it.

mod campaign;
mod elector;
mod tenure;
#[cfg(test)]
mod tests;

use uuid::Uuid;

pub(crate) use self::campaign::{Campaign, Candidate, Leadership};
pub(crate) use self::elector::Terms;
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
