use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

/// Listens at an address that a flag names.
///
/// # Errors
/// When it cannot: the error names the flag, and says what to do where the port is taken.
pub fn listen(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => ", where another program listens (port 0 takes a free one)",
            _ => "",
        };
        let what = format!("cannot listen on {flag} {address}{hint}");
        anyhow::Error::from(error).context(what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_said_with_the_flag_and_what_to_do() {
        let taken = listen("--listen", ([127, 0, 0, 1], 0).into()).unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen("--listen", address).unwrap_err().to_string();
        let said = format!("cannot listen on --listen {address}, where another program listens");
        assert!(error.starts_with(&said), "{error}");
        assert!(error.contains("port 0"), "{error}");
    }
}
