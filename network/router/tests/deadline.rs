//! The write deadline, on real sockets: peers that take little of what they are sent, or nothing.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says so by a panic"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use huly_protocol::{Frame, Op};
use huly_router::{Came, Limits, Router};
use socket2::{Domain, Socket, Type};
use tokio::time::timeout;

/// Far above what anything here should take.
const LONG: Duration = Duration::from_secs(60);

const DEADLINE: Duration = Duration::from_millis(500);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A DEALER that takes what the test wants it to, byte by byte: the kernel keeps little for it.
struct Raw(TcpStream);

impl Raw {
    fn connect(endpoint: &str) -> Self {
        let address: SocketAddr = endpoint.trim_start_matches("tcp://").parse().unwrap();
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(64 * KIB).unwrap();
        socket.connect(&address.into()).unwrap();
        let mut raw = Self(socket.into());
        let mut greeting = [0; 64];
        greeting[0] = 0xff;
        greeting[9] = 0x7f;
        greeting[10] = 3;
        greeting[12..16].copy_from_slice(b"NULL");
        raw.0.write_all(&greeting).unwrap();
        raw.0.read_exact(&mut greeting).unwrap();
        let ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER";
        raw.0
            .write_all(&[4, u8::try_from(ready.len()).unwrap()])
            .unwrap();
        raw.0.write_all(ready).unwrap();
        let mut head = [0; 2];
        raw.0.read_exact(&mut head).unwrap();
        raw.take(usize::from(head[1]));
        raw
    }

    fn ping(&mut self) {
        self.0.write_all(b"\x01\x015\x01\0\0\0").unwrap();
    }

    fn take(&mut self, bytes: usize) {
        let mut taken = vec![0; bytes];
        self.0.read_exact(&mut taken).unwrap();
    }
}

async fn router() -> Router {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits {
        write_timeout: DEADLINE,
        ..Limits::default()
    };
    Router::bind(listener, limits).await.unwrap()
}

/// What comes next that is anything, but for what says that much waits.
async fn came(router: &mut Router) -> Came {
    let next = async {
        loop {
            match router.next().await.unwrap() {
                None | Some(Came::Slow { .. }) => {}
                Some(came) => return came,
            }
        }
    };
    timeout(LONG, next).await.expect("nothing came")
}

/// A peer that has said something, and its connection's name.
async fn peer(router: &mut Router) -> (Raw, Bytes) {
    let endpoint = router.endpoint().to_owned();
    let mut raw = tokio::task::spawn_blocking(move || Raw::connect(&endpoint))
        .await
        .unwrap();
    raw.ping();
    match came(router).await {
        Came::Message { conn, .. } => (raw, conn),
        other => panic!("{other:?}"),
    }
}

fn event(bytes: usize) -> Frame {
    Frame::new(Op::Event, "", vec![b'x'; bytes])
}

#[tokio::test]
async fn one_that_takes_large_messages_slowly_is_not_cut() {
    let mut router = router().await;
    let (mut raw, conn) = peer(&mut router).await;
    // More than the kernel takes at once.
    let (large, count) = (4 * MIB, 5);
    for _ in 0..count {
        router.send(&conn, event(large));
    }
    let begun = Instant::now();
    // Each message takes longer than the deadline, each step a small part of it.
    let mut reading = tokio::task::spawn_blocking(move || {
        for _ in 0..count * large / (64 * KIB) {
            raw.take(64 * KIB);
            std::thread::sleep(Duration::from_millis(15));
        }
        raw.ping();
        raw
    });
    tokio::select! {
        came = came(&mut router) => {
            let ping = matches!(&came, Came::Message { frame: Ok(frame), .. } if frame.op == Op::Ping);
            assert!(ping, "{came:?} after {:?}", begun.elapsed());
        }
        read = &mut reading => {
            read.unwrap();
        }
    }
    assert!(begun.elapsed() > 6 * DEADLINE);
}

#[tokio::test]
async fn one_for_which_little_waits_is_closed_after_the_deadline_and_not_before() {
    let mut router = router().await;
    let (_deaf, conn) = peer(&mut router).await;
    let begun = Instant::now();
    router.send(&conn, event(MIB / 2));
    let told = came(&mut router).await;
    let took = begun.elapsed();
    assert!(matches!(&told, Came::Closed { conn: closed } if *closed == conn));
    assert!(took >= DEADLINE, "after {took:?}");
}

#[tokio::test]
async fn one_for_which_much_waits_is_cut_after_the_deadline_and_not_before() {
    let mut router = router().await;
    let (_deaf, conn) = peer(&mut router).await;
    let begun = Instant::now();
    for _ in 0..30 {
        router.send(&conn, event(MIB));
    }
    let told = came(&mut router).await;
    let took = begun.elapsed();
    assert!(matches!(&told, Came::Cut { conn: cut } if *cut == conn));
    assert!(took >= DEADLINE, "after {took:?}");
    let told = came(&mut router).await;
    assert!(matches!(told, Came::Closed { conn: closed } if closed == conn));
}
