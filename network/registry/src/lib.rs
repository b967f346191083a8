//! Who lives where and why: the pure core of the network server.
