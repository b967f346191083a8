//! Tenants: every customer has a workspace of its own, found by its label.
#![allow(clippy::print_stdout, reason = "the program shows what it does")]

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Error, Result};
use clap::Parser;
use huly_agent::{
    AgentHandle, AgentOptions, Call, Container, ContainerContext, ContainerError, HostPort, Json,
    Kinds, answer,
};
use huly_client::{Client, ContainerRef};
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// The network server
    #[arg(long, env = "HULY_NETWORK", default_value = "127.0.0.1:3737")]
    network: HostPort,
}

struct Workspace {
    tenant: String,
    users: Mutex<BTreeSet<String>>,
    documents: Mutex<Vec<String>>,
}

impl Workspace {
    /// The first get of a workspace says whose it is.
    async fn new(context: ContainerContext) -> Result<Self, ContainerError> {
        let tenant = context.read_extra::<String>()?;
        Ok(Self {
            tenant: tenant.ok_or_else(|| ContainerError::new("whose workspace is it?"))?,
            users: Mutex::default(),
            documents: Mutex::default(),
        })
    }
}

impl Container for Workspace {
    async fn request(&self, call: Call) -> Result<Json, ContainerError> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let mut documents = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match call.operation.as_str() {
            "add-user" => answer(&users.insert(call.read()?)),
            "add-document" => {
                documents.push(call.read()?);
                answer(&documents.len())
            }
            "show" => answer(&json!({
                "tenant": self.tenant,
                "users": *users,
                "documents": *documents,
            })),
            _ => Err(call.unknown(&["add-user", "add-document", "show"])),
        }
    }
}

/// The workspace of a tenant, wherever it lives; a new one if there is none.
async fn workspace(client: &Client, tenant: &str) -> Result<ContainerRef> {
    let label = format!("tenant={tenant}");
    Ok(client
        .get("workspace")
        .labels([label])
        .extra(tenant)
        .await?)
}

async fn show(workspace: &ContainerRef) -> Result<()> {
    let shown: Value = workspace.request("show", &()).await?;
    println!("{shown}");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let network = Arguments::parse().network.to_string();
    let kinds = Kinds::new().serve("workspace", Workspace::new);
    let options = AgentOptions::local(&network).map_err(Error::msg)?;
    let agent = AgentHandle::start(options, kinds)?;
    agent.ready_within(Duration::from_secs(10)).await?;
    let client = Client::builder(&network).build();

    let acme = workspace(&client, "acme").await?;
    let _: bool = acme.request("add-user", "Ada").await?;
    let _: bool = acme.request("add-user", "Grace").await?;
    let _: usize = acme.request("add-document", "Report").await?;
    let globex = workspace(&client, "globex").await?;
    let _: bool = globex.request("add-user", "Edsger").await?;
    show(&acme).await?;
    show(&globex).await?;

    // Another client that asks for the same label gets the same container.
    let other = Client::builder(&network).build();
    let same = workspace(&other, "acme").await?;
    println!("the same workspace: {}", same.uuid() == acme.uuid());

    // Labels show who is who in the network.
    let mut labels = Vec::new();
    for record in client.containers(Some("workspace")).await? {
        labels.extend(record.labels.unwrap_or_default());
    }
    labels.sort();
    println!("workspaces: {}", labels.join(", "));

    other.close().await;
    client.close().await;
    agent.leave().await
}
