//! The operator of the Huly network.
