//! The API server as the user of a test's own network sees it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::eventually::eventually;
use crate::history::History;
use crate::object::Object;
use crate::settings::variable;

/// Kinds, claims and namespaces under names of the test's own; deleted at its end.
pub struct Cluster {
    client: Client,
    /// What the names of everything that is not in a namespace begin with.
    prefix: String,
    network: String,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    namespaces: Vec<String>,
    kinds: Vec<String>,
}

impl Cluster {
    pub(crate) async fn connect(prefix: &str, network: &str) -> Result<Self> {
        let path = variable("HULY_TEST_KUBECONFIG")?;
        let kubeconfig = Kubeconfig::read_from(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
            prefix: prefix.to_owned(),
            network: network.to_owned(),
            made: Mutex::default(),
        })
    }

    /// The same, for another task: what is made with it is not deleted at the end, unless it is in a
    /// namespace that is.
    pub(crate) fn again(&self) -> Self {
        Self {
            client: self.client(),
            prefix: self.prefix.clone(),
            network: self.network.clone(),
            made: Mutex::default(),
        }
    }

    /// A client of the API server.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// What the kinds and claims that are made with it call their network: `networkName`.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The ContainerKinds.
    pub fn kinds(&self) -> Api<DynamicObject> {
        Api::all_with(self.client(), &resource("ContainerKind", "containerkinds"))
    }

    /// The ContainerClaims of a namespace.
    pub fn claims(&self, namespace: &str) -> Api<DynamicObject> {
        let resource = resource("ContainerClaim", "containerclaims");
        Api::namespaced_with(self.client(), namespace, &resource)
    }

    /// Makes a namespace; its name begins with the test's.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn namespace(&self, name: &str) -> Result<String> {
        self.labelled_namespace(name, &json!({})).await
    }

    /// Makes a namespace with labels.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn labelled_namespace(&self, name: &str, labels: &Value) -> Result<String> {
        let name = format!("{}-{name}", self.prefix);
        let namespace =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
        let api: Api<Namespace> = Api::all(self.client());
        api.create(&PostParams::default(), &namespace).await?;
        self.note(|made| made.namespaces.push(name.clone()));
        Ok(name)
    }

    /// Gives a namespace these labels.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn label_namespace(&self, name: &str, labels: &Value) -> Result<()> {
        let api: Api<Namespace> = Api::all(self.client());
        let change = Patch::Merge(json!({"metadata": {"labels": labels}}));
        api.patch(name, &PatchParams::default(), &change).await?;
        Ok(())
    }

    /// Makes a ContainerKind of the test's network for a kind of the wire, and says its name.
    /// `spec` adds to its spec.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn kind(&self, kind: &str, spec: Value) -> Result<String> {
        self.kind_named(kind, kind, spec).await
    }

    /// As [`Cluster::kind`], the object's name ending in `name`.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn kind_named(&self, name: &str, kind: &str, spec: Value) -> Result<String> {
        let name = self.kind_name(name);
        let base = json!({"networkName": self.network, "kindName": kind});
        self.create_kind(&name, merged(base, spec)).await?;
        Ok(name)
    }

    /// The name that a ContainerKind of the test has.
    pub fn kind_name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Makes a ContainerKind with exactly this spec.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create_kind(&self, name: &str, spec: Value) -> Result<DynamicObject> {
        let resource = resource("ContainerKind", "containerkinds");
        let object = DynamicObject::new(name, &resource).data(json!({"spec": spec}));
        let made = self.kinds().create(&PostParams::default(), &object).await?;
        self.note(|made| made.kinds.push(name.to_owned()));
        Ok(made)
    }

    /// Makes a ContainerClaim of the test's network, watched from before it is there.
    /// `spec` adds to its spec.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn claim(
        &self,
        namespace: &str,
        name: &str,
        container_kind: &str,
        spec: Value,
    ) -> Result<History> {
        let base = json!({"networkName": self.network, "containerKindName": container_kind});
        let mut history = History::of(self.claims(namespace), name).await?;
        self.create_claim(namespace, name, merged(base, spec))
            .await?;
        history.made_now();
        Ok(history)
    }

    /// Makes a ContainerClaim with exactly this spec.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create_claim(
        &self,
        namespace: &str,
        name: &str,
        spec: Value,
    ) -> Result<DynamicObject> {
        let resource = resource("ContainerClaim", "containerclaims");
        let object = DynamicObject::new(name, &resource).data(json!({"spec": spec}));
        let claims = self.claims(namespace);
        Ok(claims.create(&PostParams::default(), &object).await?)
    }

    /// Watches a ContainerKind.
    ///
    /// # Errors
    /// When the API server does not list.
    pub async fn watch_kind(&self, name: &str) -> Result<History> {
        History::of(self.kinds(), name).await
    }

    /// Merges a change into an object.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn change(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        change: Value,
    ) -> Result<DynamicObject> {
        Ok(api
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await?)
    }

    /// Deletes an object and waits until it is gone.
    ///
    /// # Errors
    /// When it was not there, or is still there after 10 s.
    pub async fn delete(&self, api: &Api<DynamicObject>, name: &str) -> Result<Instant> {
        api.delete(name, &DeleteParams::default()).await?;
        let deleted = Instant::now();
        eventually(
            Duration::from_secs(10),
            &format!("{name} is deleted"),
            async || match api.get_opt(name).await? {
                None => Ok(()),
                Some(_) => bail!("it is still there"),
            },
        )
        .await?;
        Ok(deleted)
    }

    /// The Events about an object, as `REASON: note`, oldest first.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn events(&self, namespace: &str, about: &DynamicObject) -> Result<Vec<String>> {
        let api: Api<Event> = Api::namespaced(self.client(), namespace);
        let mut events = api.list(&ListParams::default()).await?.items;
        events.retain(|event| {
            let regarding = event.regarding.as_ref();
            regarding.and_then(|object| object.uid.as_deref()) == Some(about.uid())
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        Ok(events
            .into_iter()
            .map(|event| {
                format!(
                    "{}: {}",
                    event.reason.unwrap_or_default(),
                    event.note.unwrap_or_default()
                )
            })
            .collect())
    }

    /// Deletes what was made, without waiting for it to be gone.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        let made = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *made)
        };
        let namespaces: Api<Namespace> = Api::all(self.client());
        let delete = DeleteParams::default();
        for name in &made.namespaces {
            // Its claims first: a namespace's content goes in its own time.
            let claims = self.claims(name);
            match claims
                .delete_collection(&delete, &ListParams::default())
                .await
            {
                // A cluster without the definitions has none.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                deleted => drop(deleted?),
            }
            namespaces.delete(name, &delete).await?;
        }
        for name in &made.kinds {
            match self.kinds().delete(name, &delete).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                deleted => drop(deleted?),
            }
        }
        Ok(())
    }

    fn note(&self, note: impl FnOnce(&mut Made)) {
        note(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Waits until an object made now is younger than `object`: Kubernetes notes whole seconds.
///
/// # Errors
/// When `object` was not made by an API server.
pub async fn after_its_second(object: &DynamicObject) -> Result<()> {
    let made = object.metadata.creation_timestamp.as_ref();
    let made = made
        .context("an object without a creation time")?
        .0
        .as_second();
    let next = UNIX_EPOCH + Duration::from_secs(u64::try_from(made)? + 1);
    if let Ok(left) = next.duration_since(SystemTime::now()) {
        tokio::time::sleep(left).await;
    }
    Ok(())
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk("network.huly.io", "v1alpha1", kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}

/// An object with the members of another added.
fn merged(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}
