//! Peers that do not read, on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says so by a panic"
)]

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use huly_protocol::{Frame, Op};
use huly_router::{Came, Limits, Router};
use tokio::time::timeout;
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

/// Far above what anything here should take.
const LONG: Duration = Duration::from_secs(60);

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn limits() -> Limits {
    Limits {
        peer_bytes: 32 * MIB,
        all_bytes: 64 * MIB,
        slow_bytes: 16 * MIB,
        write_timeout: LONG,
        ..Limits::default()
    }
}

async fn router(limits: Limits) -> Router {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Router::bind(listener, limits).await.unwrap()
}

/// What comes next that is anything.
async fn came(router: &mut Router) -> Came {
    let next = async {
        loop {
            if let Some(came) = router.next().await.unwrap() {
                return came;
            }
        }
    };
    timeout(LONG, next).await.expect("nothing came")
}

async fn say(dealer: &mut DealerSocket, op: Op) {
    let parts = Frame::new(op, "id", "").encode().to_vec();
    let message = ZmqMessage::try_from(parts).unwrap();
    dealer.send(message).await.unwrap();
}

/// A peer that has said something, and its connection's name.
async fn peer(router: &mut Router) -> (DealerSocket, Bytes) {
    let mut dealer = DealerSocket::new();
    dealer.connect(router.endpoint()).await.unwrap();
    say(&mut dealer, Op::Ping).await;
    match came(router).await {
        Came::Message { conn, frame } => {
            assert_eq!(frame.unwrap().op, Op::Ping);
            (dealer, conn)
        }
        other => panic!("{other:?}"),
    }
}

fn event(number: usize, bytes: usize) -> Frame {
    Frame::new(Op::Event, number.to_string(), vec![b'x'; bytes])
}

/// The next message that a peer reads, while the router goes on: its number.
async fn read(dealer: &mut DealerSocket, router: &mut Router) -> String {
    let read = async {
        loop {
            tokio::select! {
                message = dealer.recv() => {
                    let id = message.unwrap().into_vec().swap_remove(1);
                    return String::from_utf8(id.to_vec()).unwrap();
                }
                came = router.next() => {
                    let came = came.unwrap();
                    assert!(matches!(came, None | Some(Came::Slow { .. })), "{came:?}");
                }
            }
        }
    };
    timeout(LONG, read).await.expect("nothing to read")
}

#[tokio::test]
async fn what_waits_is_sent_in_order() {
    let mut router = router(limits()).await;
    let (mut dealer, conn) = peer(&mut router).await;
    // Far more than the crate is given at once.
    for number in 0..10_000 {
        router.send(&conn, event(number, KIB));
    }
    for number in 0..10_000 {
        assert_eq!(read(&mut dealer, &mut router).await, number.to_string());
    }
}

#[tokio::test]
async fn one_that_does_not_read_is_cut_and_comes_back() {
    let mut router = router(limits()).await;
    let (mut deaf, conn) = peer(&mut router).await;
    let (mut other, well) = peer(&mut router).await;
    let mut sent = 0;
    let mut slow = Vec::new();
    loop {
        router.send(&conn, event(sent, 64 * KIB));
        sent += 1;
        router.send(&well, event(sent, 16));
        // Nobody waits for it.
        assert_eq!(
            read_all(&mut other, &mut router, &mut slow).await,
            sent.to_string()
        );
        if slow.iter().any(|came| matches!(came, Came::Cut { .. })) {
            break;
        }
    }
    let told = slow.iter().map(|came| match came {
        Came::Slow { conn, slow } => (conn.clone(), Some(*slow)),
        Came::Cut { conn } => (conn.clone(), None),
        other => panic!("{other:?}"),
    });
    let expected = [(conn.clone(), Some(true)), (conn.clone(), None)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    // What is sent now is lost; a hello is not heard, for its answer would be lost too.
    router.send(&conn, event(1_000_000, 16));
    say(&mut deaf, Op::Hello).await;
    say(&mut deaf, Op::Ping).await;
    let heard = came(&mut router).await;
    assert!(matches!(heard, Came::Message { frame: Ok(frame), .. } if frame.op == Op::Ping));
    // Once it has read what was on its way, it is sent to and heard again.
    let mut last = 0;
    loop {
        tokio::select! {
            message = deaf.recv() => {
                let id = message.unwrap().into_vec().swap_remove(1);
                let number: usize = std::str::from_utf8(&id).unwrap().parse().unwrap();
                if number == 2_000_000 {
                    break;
                }
                assert_eq!(number, last);
                last += 1;
            }
            came = router.next() => {
                let mended = matches!(came, Ok(Some(Came::Slow { slow: false, .. })));
                if mended {
                    router.send(&conn, event(2_000_000, 16));
                }
            }
        }
    }
    assert!(last < sent, "nothing was dropped");
    say(&mut deaf, Op::Hello).await;
    let heard = came(&mut router).await;
    assert!(matches!(heard, Came::Message { frame: Ok(frame), .. } if frame.op == Op::Hello));
}

/// As `read`; what the router tells meanwhile is kept.
async fn read_all(dealer: &mut DealerSocket, router: &mut Router, told: &mut Vec<Came>) -> String {
    loop {
        tokio::select! {
            biased;
            came = router.next() => told.extend(came.unwrap()),
            message = dealer.recv() => {
                let id = message.unwrap().into_vec().swap_remove(1);
                return String::from_utf8(id.to_vec()).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn more_messages_than_the_crate_takes_hold_nobody_up() {
    let mut router = router(Limits {
        peer_bytes: 512 * MIB,
        all_bytes: 512 * MIB,
        ..limits()
    })
    .await;
    let (_deaf, conn) = peer(&mut router).await;
    let (mut other, well) = peer(&mut router).await;
    for number in 0..500 {
        for _ in 0..1_000 {
            router.send(&conn, event(number, 16));
        }
        router.send(&well, event(number, 16));
        assert_eq!(read(&mut other, &mut router).await, number.to_string());
    }
}

#[tokio::test]
async fn who_awaits_room_is_told_once_when_little_waits() {
    let mut router = router(limits()).await;
    let (mut dealer, conn) = peer(&mut router).await;
    router.send(&conn, event(0, 16));
    router.await_room(&conn);
    let told = came(&mut router).await;
    assert!(matches!(told, Came::Room { conn: roomy } if roomy == conn));
    // More than is little and the kernel takes.
    for number in 1..300 {
        router.send(&conn, event(number, 64 * KIB));
    }
    router.await_room(&conn);
    let (mut read, mut told) = (0, Vec::new());
    while read < 300 {
        tokio::select! {
            biased;
            came = router.next() => {
                let room = matches!(came.unwrap(), Some(Came::Room { .. }));
                told.extend(room.then_some(read));
            }
            message = dealer.recv() => {
                message.unwrap();
                read += 1;
            }
        }
    }
    let &[when] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(when > 100, "after {when} were read");
}

#[tokio::test]
async fn many_share_a_budget() {
    let limits = limits();
    let mut router = router(limits.clone()).await;
    let mut deaf = Vec::new();
    for _ in 0..8 {
        deaf.push(peer(&mut router).await);
    }
    let mut cut = 0;
    // Each alone keeps to its own budget, with what the kernel takes on the way.
    for number in 0..480 {
        for (_, conn) in &deaf {
            router.send(conn, event(number, 64 * KIB));
            assert!(limits.shared.bytes() <= limits.all_bytes + 65 * KIB);
        }
        tokio::task::yield_now().await;
        while let Some(came) = router.next_beside().now_or_never() {
            cut += usize::from(matches!(came, Ok(Some(Came::Cut { .. }))));
        }
    }
    assert!(cut > 0);
}
