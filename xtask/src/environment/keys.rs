//! Keys, certificates and tokens of one environment, made anew for each.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rand::Rng;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use crate::files::write_private;

/// Whom every API server knows: a user, its groups, the name of its kubeconfig.
const USERS: [(&str, &str, &str); 3] = [
    ("admin", "system:masters", "admin"),
    ("system:kube-controller-manager", "", "controller-manager"),
    (OPERATOR_USER, "", "operator"),
];

/// The user that operators are: it may do what is bound to it, and nothing else.
pub(crate) const OPERATOR_USER: &str = "huly-operator";

/// Whom one with nodes knows beyond these.
const USERS_WITH_NODES: [(&str, &str, &str); 3] = [
    ("system:kube-scheduler", "", "scheduler"),
    ("system:kube-proxy", "", "proxy"),
    (COREDNS, "", "coredns"),
];

/// CoreDNS as the API server knows it.
pub(crate) const COREDNS: &str = "coredns";

/// The names that clients reach the API server by.
const SERVER_NAMES: [&str; 6] = [
    "127.0.0.1",
    "10.96.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

/// Where the files are.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// The keys in an environment's folder.
    pub(crate) fn at(environment: &Path) -> Self {
        Self {
            folder: environment.join("keys"),
        }
    }

    /// The certificate that the API server's is signed with.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    pub(crate) fn server_certificate(&self) -> PathBuf {
        self.folder.join("apiserver.crt")
    }

    pub(crate) fn server_key(&self) -> PathBuf {
        self.folder.join("apiserver.key")
    }

    /// What service account tokens are signed with.
    pub(crate) fn service_account_key(&self) -> PathBuf {
        self.folder.join("service-account.key")
    }

    /// What service account tokens are checked with.
    pub(crate) fn service_account_public_key(&self) -> PathBuf {
        self.folder.join("service-account.pub")
    }

    /// The API server's users and their tokens.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.join("tokens.csv")
    }

    /// What the operator shows the network server to be let in as the operator.
    pub(crate) fn control_secret(&self) -> PathBuf {
        self.folder.join("control-secret")
    }

    /// Full access to the cluster.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.with_file_name("kubeconfig")
    }

    pub(crate) fn controller_manager_kubeconfig(&self) -> PathBuf {
        self.kubeconfig("controller-manager")
    }

    /// What an operator gets to.
    pub(crate) fn operator_kubeconfig(&self) -> PathBuf {
        self.kubeconfig("operator")
    }

    pub(crate) fn scheduler_kubeconfig(&self) -> PathBuf {
        self.kubeconfig("scheduler")
    }

    pub(crate) fn proxy_kubeconfig(&self) -> PathBuf {
        self.kubeconfig("proxy")
    }

    pub(crate) fn coredns_kubeconfig(&self) -> PathBuf {
        self.kubeconfig("coredns")
    }

    pub(crate) fn node_kubeconfig(&self, node: &str) -> PathBuf {
        self.kubeconfig(node)
    }

    fn kubeconfig(&self, name: &str) -> PathBuf {
        if name == "admin" {
            return self.admin_kubeconfig();
        }
        self.folder.join(format!("{name}.kubeconfig"))
    }

    /// What the API server shows kubelets, which take it for an administrator.
    pub(crate) fn kubelet_client_certificate(&self) -> PathBuf {
        self.folder.join("kubelet-client.crt")
    }

    pub(crate) fn kubelet_client_key(&self) -> PathBuf {
        self.folder.join("kubelet-client.key")
    }

    /// Makes all of them, for an API server at `https://HOST:PORT` and its nodes.
    pub(crate) fn make(&self, host: Ipv4Addr, port: u16, nodes: &[String]) -> Result<()> {
        self.make_certificates(host)
            .context("cannot make the control plane's certificates")?;
        let service_account = KeyPair::generate().context("cannot make a key")?;
        write_private(
            &self.service_account_key(),
            &service_account.serialize_pem(),
        )?;
        write_private(
            &self.service_account_public_key(),
            &service_account.public_key_pem(),
        )?;
        write_private(&self.control_secret(), &random_token())?;

        let with_nodes = if nodes.is_empty() {
            [].as_slice()
        } else {
            &USERS_WITH_NODES
        };
        let users = USERS
            .iter()
            .chain(with_nodes)
            .map(|(user, groups, name)| ((*user).to_owned(), *groups, *name));
        let of_nodes = nodes
            .iter()
            .map(|node| (format!("system:node:{node}"), "system:nodes", node.as_str()));
        let mut rows = String::new();
        for (user, groups, name) in users.chain(of_nodes) {
            let token = random_token();
            writeln!(rows, "{token},{user},{user},\"{groups}\"")?;
            let server = format!("https://{host}:{port}");
            let text = kubeconfig(&self.authority(), &server, &user, &token)?;
            write_private(&self.kubeconfig(name), &text)?;
        }
        write_private(&self.tokens(), &rows)
    }

    fn make_certificates(&self, host: Ipv4Addr) -> Result<()> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name = named("huly-network-local");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let certificate = authority.self_signed(&authority_key)?;
        write_private(&self.authority(), &certificate.pem())?;

        let issuer = Issuer::new(authority, authority_key);
        let mut names = SERVER_NAMES.map(str::to_owned).to_vec();
        if !host.is_loopback() {
            names.push(host.to_string());
        }
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name = named("kube-apiserver");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate()?;
        let certificate = server.signed_by(&server_key, &issuer)?;
        write_private(&self.server_certificate(), &certificate.pem())?;
        write_private(&self.server_key(), &server_key.serialize_pem())?;

        let mut client = CertificateParams::default();
        client.distinguished_name = named("kube-apiserver");
        client
            .distinguished_name
            .push(DnType::OrganizationName, "system:masters");
        client.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client_key = KeyPair::generate()?;
        let certificate = client.signed_by(&client_key, &issuer)?;
        write_private(&self.kubelet_client_certificate(), &certificate.pem())?;
        write_private(&self.kubelet_client_key(), &client_key.serialize_pem())
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn random_token() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kubeconfig(authority: &Path, server: &str, user: &str, token: &str) -> Result<String> {
    let name = "huly-network-local";
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": name,
            "cluster": {
                "server": server,
                "certificate-authority": authority,
            },
        }],
        "users": [{ "name": user, "user": { "token": token } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": user } }],
        "current-context": name,
    });
    serde_yaml_ng::to_string(&config).context("cannot write a kubeconfig")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_environment_has_secrets_of_its_own() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [first, second] = folders.each_ref().map(|folder| {
            let keys = Keys::at(folder.path());
            keys.make(Ipv4Addr::LOCALHOST, 6443, &[]).unwrap();
            keys
        });
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        for file in [
            Keys::tokens,
            Keys::control_secret,
            Keys::server_key,
            Keys::service_account_key,
        ] {
            assert_ne!(read(file(&first)), read(file(&second)));
        }
        assert!(read(first.service_account_public_key()).contains("BEGIN PUBLIC KEY"));
    }

    #[test]
    fn a_kubeconfig_holds_a_token_that_the_api_server_knows() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::at(folder.path());
        keys.make(Ipv4Addr::LOCALHOST, 6443, &[]).unwrap();
        let text = std::fs::read_to_string(keys.admin_kubeconfig()).unwrap();
        let config: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
        assert_eq!(
            config["clusters"][0]["cluster"]["server"],
            "https://127.0.0.1:6443"
        );
        let token = config["users"][0]["user"]["token"].as_str().unwrap();
        let tokens = std::fs::read_to_string(keys.tokens()).unwrap();
        let row = tokens.lines().find(|row| row.starts_with(token)).unwrap();
        assert!(row.ends_with("admin,admin,\"system:masters\""), "{row}");
    }

    #[test]
    fn every_node_is_a_user_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::at(folder.path());
        let nodes = ["node-1", "node-2"].map(str::to_owned);
        keys.make(Ipv4Addr::new(10, 128, 0, 1), 6443, &nodes)
            .unwrap();
        let tokens = std::fs::read_to_string(keys.tokens()).unwrap();
        for node in nodes {
            let text = std::fs::read_to_string(keys.node_kubeconfig(&node)).unwrap();
            let config: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
            assert_eq!(
                config["clusters"][0]["cluster"]["server"],
                "https://10.128.0.1:6443"
            );
            let token = config["users"][0]["user"]["token"].as_str().unwrap();
            let row = tokens.lines().find(|row| row.starts_with(token)).unwrap();
            let user = format!("system:node:{node}");
            assert!(
                row.ends_with(&format!("{user},{user},\"system:nodes\"")),
                "{row}"
            );
        }
    }
}
