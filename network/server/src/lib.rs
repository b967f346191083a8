//! The network server of the Huly network.
