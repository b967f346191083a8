//! Where clients are told to reach an agent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::Context;

use crate::options::{AgentOptions, HostPort};

/// What clients are told to connect to.
pub(crate) fn advertise(options: &AgentOptions, listens: SocketAddr) -> anyhow::Result<HostPort> {
    if let Some(advertise) = &options.advertise {
        return Ok(advertise.clone());
    }
    let host = match listens.ip() {
        ip if !ip.is_unspecified() => ip,
        ip => reaching(&options.network, ip).with_context(|| {
            format!(
                "cannot find out from which address --network {} is reached; say --advertise",
                options.network
            )
        })?,
    };
    Ok(HostPort {
        host: host.to_string(),
        port: listens.port(),
    })
}

/// The local address from which a peer is reached: the system's routes say it, nothing is sent. The
/// IPv6 wildcard listens on IPv4 as well.
fn reaching(peer: &HostPort, any: IpAddr) -> std::io::Result<IpAddr> {
    let from = |any: IpAddr| {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((peer.host.as_str(), peer.port))?;
        // Of an IPv4 peer, IPv6 sockets tell an address that wraps the real one.
        Ok(socket.local_addr()?.ip().to_canonical())
    };
    from(any).or_else(|error| match any {
        IpAddr::V6(_) => from(Ipv4Addr::UNSPECIFIED.into()),
        IpAddr::V4(_) => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advertised(listen: &str, say: impl FnOnce(&mut AgentOptions)) -> anyhow::Result<String> {
        let mut options = AgentOptions::local("127.0.0.1:3737").unwrap();
        say(&mut options);
        advertise(&options, listen.parse()?).map(|host| host.to_string())
    }

    #[test]
    fn what_is_advertised_can_be_reached() {
        assert_eq!(
            advertised("192.0.2.1:4000", |_| {}).unwrap(),
            "192.0.2.1:4000"
        );
        // Of a wildcard the address from which the server is reached.
        for wildcard in ["0.0.0.0:4000", "[::]:4000"] {
            assert_eq!(advertised(wildcard, |_| {}).unwrap(), "127.0.0.1:4000");
        }
        let told = |options: &mut AgentOptions| {
            options.advertise = Some("agents.example:1".parse().unwrap());
        };
        assert_eq!(
            advertised("0.0.0.0:4000", told).unwrap(),
            "agents.example:1"
        );
    }

    #[test]
    fn a_server_that_is_not_reached_from_there_is_named() {
        let nowhere = |options: &mut AgentOptions| {
            options.network = "[::1]:1".parse().unwrap();
        };
        let error = advertised("0.0.0.0:4000", nowhere).unwrap_err().to_string();
        assert!(
            error.contains("--network") && error.contains("--advertise"),
            "{error}"
        );
    }
}
