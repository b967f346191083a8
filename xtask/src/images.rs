//! Container images (OCI), packed without Docker.

#[allow(dead_code, reason = "the command that packs comes next")]
pub(crate) mod archive;
