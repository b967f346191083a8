//! A cluster's place on this machine: taken before anything is made, given up when all is gone.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Result;

use super::groups::Groups;
use super::links;
use super::plan::{Plan, bridge, space_prefix};
use super::seen;
use super::slot::Slots;
use crate::environment::Environment;
use crate::report::show;

impl Environment {
    /// Takes a place on this machine for a cluster with nodes and makes its bridge, before the
    /// control plane is started, which then answers there.
    ///
    /// # Errors
    /// When there is no place, or the bridge cannot be made.
    pub(crate) async fn prepare_nodes(&mut self, count: u8) -> Result<()> {
        seen(&self.folder)?;
        let slots = Slots::of_this_machine();
        for slot in slots.abandoned() {
            end_slot(slot).await?;
            clear_slot(&slots, slot).await?;
        }
        let slot = slots.claim(&self.folder, &links::in_use().await?).await?;
        let plan = Plan { slot, count };
        self.state.nodes = Some(plan);
        self.state.write(&self.folder)?;
        let names: Vec<String> = plan.nodes().into_iter().map(|node| node.name).collect();
        self.keys
            .make(plan.host(), self.ports().apiserver, &names)?;
        if links::is_filtered() {
            show(
                "note: this machine's firewall sees what passes between nodes. If they do not \
                 reach each other: sysctl net.bridge.bridge-nf-call-iptables=0",
            );
        }
        links::make_bridge(plan).await
    }

    /// Where the control plane answers.
    pub(crate) fn host(&self) -> Ipv4Addr {
        self.plan().map_or(Ipv4Addr::LOCALHOST, Plan::host)
    }
}

/// The names of the environments in a folder that have places, though their own folders may be
/// gone.
pub(crate) fn placed(environments: &Path) -> BTreeSet<String> {
    Slots::of_this_machine().owners(environments)
}

/// The places of an environment on this machine: one, or none.
pub(crate) fn slots_of(environment: &Path) -> Vec<u8> {
    Slots::of_this_machine().of(environment)
}

/// Ends the nodes of an environment, whether or not this run or its state knows of them.
pub(crate) async fn end(environment: &Path) -> Result<()> {
    for slot in slots_of(environment) {
        end_slot(slot).await?;
    }
    Ok(())
}

/// Gives an environment's place up, after its processes have ended.
pub(crate) async fn clear(environment: &Path) -> Result<()> {
    let slots = Slots::of_this_machine();
    for slot in slots.of(environment) {
        // A node that was just being started may have come up since.
        end_slot(slot).await?;
        clear_slot(&slots, slot).await?;
    }
    Ok(())
}

/// Whether an interface or a control group of this name is another environment's.
pub(crate) fn is_of_another(name: &str, environment: &Path) -> bool {
    let mut slots = Slots::of_this_machine().of_others(environment).into_iter();
    slots.any(|slot| {
        let rest = name.strip_prefix(&bridge(slot));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['n', '-']))
    })
}

async fn end_slot(slot: u8) -> Result<()> {
    let groups = Groups::of_this_machine()?;
    for space in groups.spaces(&space_prefix(slot)) {
        groups.clear(&space).await?;
    }
    Ok(())
}

async fn clear_slot(slots: &Slots, slot: u8) -> Result<()> {
    links::remove(slot).await?;
    slots.release(slot).await
}
