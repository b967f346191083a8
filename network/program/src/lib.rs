//! What every program of the Huly network shares: logging, metrics and health over HTTP, and the
//! end by a signal.

mod causes;
mod end;
mod http;
mod listen;
mod log;
mod signal;

pub use causes::with_causes;
pub use end::finish;
pub use http::{HttpServer, Probe, serve_http};
pub use listen::listen;
pub use log::{LogArgs, LogFormat, init_tracing};
pub use signal::{Shutdown, shutdown_signal};

pub use futures::future::BoxFuture;
