//! Custom resource types of the Huly network operator.
