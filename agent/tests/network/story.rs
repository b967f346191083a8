//! One story, told twice.

use super::*;

/// Three agents and two clients through a kill, a restart of the server and a cut.
async fn story(seed: u64) -> Vec<String> {
    let network = Network::builder().seed(seed).traced().build();
    let mut agents = Vec::new();
    for id in ["a1", "a2", "a3"] {
        agents.push(network.agent(id, kinds()).await.unwrap());
    }
    let clients = [network.client("c1"), network.client("c2")];
    let mut counters = Vec::new();
    for (number, client) in clients.iter().cycle().take(12).enumerate() {
        let uuid = format!("u{}", number % 9);
        counters.push(client.get("counter").uuid(uuid).await.unwrap());
    }
    let mut connections = Vec::new();
    for counter in &counters {
        connections.push(counter.connect().await.unwrap());
    }
    // What is held arrives at one moment over both ways.
    network.cut("a1");
    let asked = counters
        .iter()
        .zip(&connections)
        .map(|(counter, connection)| async {
            let data = &5;
            tokio::join!(
                counter.request::<_, ()>("sleep", data),
                connection.request::<_, ()>("sleep", data),
                counter.request::<_, u64>("increment", data),
                connection.request::<_, u64>("increment", data),
            )
        });
    let healing = async {
        network.advance(300 * MS).await;
        network.heal("a1");
    };
    futures::future::join(futures::future::join_all(asked), healing).await;
    for turn in 0..4 {
        match turn {
            0 => agents.remove(1).kill(),
            1 => network.restart_server(),
            2 => network.cut("a3"),
            _ => network.heal("a3"),
        }
        // At the same moment over the server and past it.
        let asked = counters
            .iter()
            .zip(&connections)
            .map(|(counter, connection)| async {
                let slept = tokio::join!(
                    counter.request::<_, ()>("sleep", &10),
                    connection.request::<_, ()>("sleep", &10)
                );
                let counted = tokio::join!(
                    counter.request::<_, u64>("increment", &()),
                    connection.request::<_, u64>("increment", &())
                );
                (slept.0.is_ok(), counted.1.ok())
            });
        futures::future::join_all(asked).await;
        network.advance(500 * MS).await;
    }
    drop(connections);
    drop(counters);
    network.advance(10 * SECOND).await;
    network.trace()
}

#[test]
fn two_runs_of_one_story_are_the_same() {
    let run = |seed| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(story(seed))
    };
    let first = run(7);
    assert!(first.len() > 500, "{}", first.len());
    for _ in 0..5 {
        let again = run(7);
        let differs = first.iter().zip(&again).find(|(one, other)| one != other);
        assert_eq!(differs, None);
        assert_eq!(first.len(), again.len());
    }
}
