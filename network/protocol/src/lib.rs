//! Frames, methods, records and errors of the Huly network protocol.
