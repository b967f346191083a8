//! Clients are cut off from the network server, but not from agents.

use std::fs;

use anyhow::Result;
use huly_tests::{Cable, Flow, Layout, Partition, SOON, scenario};
use serde_json::json;

#[tokio::test]
async fn direct_connections_go_on_and_the_rest_is_right_when_it_is_mended() -> Result<()> {
    scenario(Layout::agents(2).loaded(), async |test| {
        // Longer than a busy machine takes to notice that somebody was given up.
        let short = json!({"lifecycle": {"idleTimeoutSeconds": 3}});
        let kind = test.cluster.kind("counter", short).await?;
        let namespace = test.cluster.namespace("partition").await?;
        let claimed = test.counter(&namespace, &kind, "claimed", 5).await?;
        let secret = fs::read_to_string(&test.network.control_secret)?;
        let mut partition = Partition::begin(&test.network.address, &test.live, "claimed").await?;
        partition.with_durable(&secret).await?;
        let at_the_server = Cable {
            up: Flow::Lost,
            ..Cable::WHOLE
        };
        let at_the_clients = Cable {
            down: Flow::Lost,
            ..Cable::WHOLE
        };
        partition.unheard("nothing arrives", Cable::CUT).await?;
        let what = "nothing arrives at the server";
        partition.unheard(what, at_the_server).await?;
        partition.unheard("all is stalled", Cable::STALLED).await?;
        let what = "nothing arrives at the clients";
        partition.unheard(what, at_the_clients).await?;
        partition.unheard("all are refused", Cable::REFUSED).await?;
        partition.end().await?;
        claimed.is_unwritten(&test.cluster).await?;
        // Who is on the server's side notices nothing.
        test.end_load(SOON).await?.nothing_restarted()
    })
    .await
}
