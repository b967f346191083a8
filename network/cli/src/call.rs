//! get and request.

use huly_client::{Client, ContainerRef, Error, ErrorKind, Operation, RequestOptions};
use huly_protocol::Json;

use crate::args::{Args, Get, Output, Request};
use crate::list::authority;
use crate::output::{json, line, table};

pub(crate) async fn get(client: &Client, args: &Get, output: Output) -> anyhow::Result<()> {
    let mut get = client.get(args.kind.as_str());
    if let Some(uuid) = &args.uuid {
        get = get.uuid(uuid.as_str()).strict();
    }
    if !args.labels.is_empty() {
        get = get.labels(args.labels.iter().cloned());
    }
    if let Some(extra) = &args.extra {
        get = get.extra_json(extra.clone());
    }
    if args.new {
        get = get.new_container();
    }
    let container = get.await?;
    let placement = container.placement();
    match output {
        Output::Json => json(&serde_json::json!({
            "uuid": container.uuid(),
            "endpoint": container.endpoint(),
            "placement": placement,
        }))?,
        Output::Table | Output::Wide => {
            let placement = placement.unwrap_or_default();
            table(
                ["UUID", "KIND", "AGENT", "NODE", "ENDPOINT"],
                vec![[
                    container.uuid().to_owned(),
                    placement.kind,
                    placement.agent_id,
                    placement.node.unwrap_or_default(),
                    authority(&container.endpoint()),
                ]],
            );
        }
    }
    if args.hold {
        std::future::pending::<()>().await;
    }
    Ok(())
}

pub(crate) async fn request(client: &Client, args: &Request, all: &Args) -> anyhow::Result<()> {
    let data = args.data.clone().unwrap_or_else(Json::null);
    let (uuid, operation) = (args.uuid.as_str(), args.operation.as_str());
    let options = RequestOptions {
        timeout: Some(all.timeout),
        idempotent: args.idempotent,
    };
    let answer = if args.direct {
        let container = hold(client, uuid).await?;
        let connection = container.connect().await?;
        connection.request_with(operation, data, options).await?
    } else {
        client.request_json(uuid, operation, data, options).await?
    };
    match all.output {
        Output::Json => line(answer.text()),
        Output::Table | Output::Wide => json(&answer)?,
    }
    Ok(())
}

/// Takes a reference to a container that is there.
pub(crate) async fn hold(client: &Client, uuid: &str) -> anyhow::Result<ContainerRef> {
    let containers = client.containers(None).await?;
    let found = containers.into_iter().find(|found| found.uuid == uuid);
    let none = || {
        Error::new(
            ErrorKind::NoSuchContainer,
            format!("there is no container {uuid}"),
        )
        .of(Operation::Get)
    };
    let found = found.ok_or_else(none)?;
    Ok(client.get(found.kind).uuid(uuid).await?)
}
