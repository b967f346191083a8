use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;

const LATENCY: Duration = Duration::from_millis(20);
const MOMENT: Duration = Duration::from_millis(200);
const SOON: Duration = Duration::from_secs(10);

/// A relay, and both ends of a connection through it.
async fn pair(latency: Duration) -> (Relay, TcpStream, TcpStream, TcpListener) {
    let program = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = program.local_addr().unwrap().to_string();
    let relay = Relay::far(&target, latency).await.unwrap();
    let peer = TcpStream::connect(relay.address()).await.unwrap();
    let (there, _) = program.accept().await.unwrap();
    (relay, peer, there, program)
}

async fn arrives(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"hello").await.unwrap();
    let mut read = [0; 5];
    timeout(SOON, to.read_exact(&mut read))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&read, b"hello");
}

async fn is_closed(stream: &mut TcpStream) {
    let ended = timeout(SOON, stream.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn what_is_stalled_arrives_later_and_the_other_way_is_open() {
    let (relay, mut peer, mut there, _program) = pair(Duration::ZERO).await;
    arrives(&mut peer, &mut there).await;
    relay.set(Cable {
        up: Flow::Stalled,
        ..Cable::WHOLE
    });
    arrives(&mut there, &mut peer).await;
    peer.write_all(b"later").await.unwrap();
    let mut read = [0; 5];
    assert!(timeout(MOMENT, there.read_exact(&mut read)).await.is_err());
    relay.set(Cable::WHOLE);
    timeout(SOON, there.read_exact(&mut read))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&read, b"later");
}

#[tokio::test]
async fn while_all_is_stalled_no_end_is_told_and_no_connection_comes_about() {
    let (relay, peer, mut there, program) = pair(Duration::ZERO).await;
    relay.set(Cable::STALLED);
    drop(peer);
    let mut peer = TcpStream::connect(relay.address()).await.unwrap();
    let mut read = [0; 8];
    let early = async {
        tokio::select! {
            _ = there.read(&mut read) => {}
            _ = program.accept() => {}
        }
    };
    assert!(timeout(MOMENT, early).await.is_err());
    relay.set(Cable::WHOLE);
    is_closed(&mut there).await;
    let (mut there, _) = timeout(SOON, program.accept()).await.unwrap().unwrap();
    arrives(&mut peer, &mut there).await;
}

#[tokio::test]
async fn a_connection_that_lost_something_ends_when_the_cable_is_mended() {
    let (relay, mut peer, mut there, program) = pair(Duration::ZERO).await;
    arrives(&mut peer, &mut there).await;
    relay.set(Cable::CUT);
    peer.write_all(b"never").await.unwrap();
    let mut read = [0; 5];
    assert!(timeout(MOMENT, there.read_exact(&mut read)).await.is_err());
    relay.set(Cable::WHOLE);
    is_closed(&mut peer).await;
    let mut peer = TcpStream::connect(relay.address()).await.unwrap();
    let (mut there, _) = timeout(SOON, program.accept()).await.unwrap().unwrap();
    arrives(&mut peer, &mut there).await;
}

#[tokio::test]
async fn who_is_refused_is_told_at_once() {
    let (relay, mut peer, _there, _program) = pair(Duration::ZERO).await;
    relay.set(Cable::REFUSED);
    for _ in 0..2 {
        is_closed(&mut peer).await;
        peer = TcpStream::connect(relay.address()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_cut_is_closed_and_others_may_come() {
    let (relay, mut peer, mut there, program) = pair(Duration::ZERO).await;
    arrives(&mut peer, &mut there).await;
    relay.cut();
    is_closed(&mut peer).await;
    is_closed(&mut there).await;
    let mut peer = TcpStream::connect(relay.address()).await.unwrap();
    let (mut there, _) = timeout(SOON, program.accept()).await.unwrap().unwrap();
    arrives(&mut there, &mut peer).await;
}

#[tokio::test]
async fn a_way_takes_as_long_as_it_is() {
    let (_relay, mut peer, mut there, _program) = pair(LATENCY).await;
    let began = Instant::now();
    arrives(&mut peer, &mut there).await;
    arrives(&mut there, &mut peer).await;
    assert!(began.elapsed() >= 2 * LATENCY, "{:?}", began.elapsed());
}

#[tokio::test]
async fn each_connection_is_made_anew() {
    let program = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = Arc::new(std::sync::Mutex::new(None));
    let asked = target.clone();
    let relay = Relay::to(Duration::ZERO, move || {
        let target = *asked.lock().unwrap();
        async move {
            let target = target.ok_or("it is nowhere")?;
            TcpStream::connect(target).await.map_err(|_| "it is gone")
        }
    });
    let relay = relay.await.unwrap();
    let mut peer = TcpStream::connect(relay.address()).await.unwrap();
    is_closed(&mut peer).await;
    *target.lock().unwrap() = Some(program.local_addr().unwrap());
    let mut peer = TcpStream::connect(relay.address()).await.unwrap();
    let (mut there, _) = timeout(SOON, program.accept()).await.unwrap().unwrap();
    arrives(&mut peer, &mut there).await;
}
