//! What every program of the Huly network shares: logging, metrics and health over HTTP, shutdown signals.
