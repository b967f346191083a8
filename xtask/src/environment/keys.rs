//! Keys, certificates and tokens of one environment, made anew for each.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rand::Rng;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use crate::files::write_private;

/// Whom the API server knows: a user, its groups.
const USERS: [(&str, &str); 3] = [
    ("admin", "system:masters"),
    ("system:kube-controller-manager", ""),
    (OPERATOR_USER, ""),
];

/// The user that operators are: it may do what is bound to it, and nothing else.
pub(crate) const OPERATOR_USER: &str = "huly-operator";

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
        self.folder.join("controller-manager.kubeconfig")
    }

    /// What an operator gets to.
    pub(crate) fn operator_kubeconfig(&self) -> PathBuf {
        self.folder.join("operator.kubeconfig")
    }

    /// Makes all of them, for an API server at `https://127.0.0.1:PORT`.
    pub(crate) fn make(&self, port: u16) -> Result<()> {
        self.make_certificates()
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

        let users = USERS.map(|(user, groups)| (user, groups, random_token()));
        let rows: String = users
            .iter()
            .map(|(user, groups, token)| format!("{token},{user},{user},\"{groups}\"\n"))
            .collect();
        write_private(&self.tokens(), &rows)?;
        let [admin, controller_manager, operator] = users;
        let kubeconfigs = [
            (self.admin_kubeconfig(), admin),
            (self.controller_manager_kubeconfig(), controller_manager),
            (self.operator_kubeconfig(), operator),
        ];
        for (path, (user, _, token)) in kubeconfigs {
            write_private(&path, &kubeconfig(&self.authority(), port, user, &token)?)?;
        }
        Ok(())
    }

    fn make_certificates(&self) -> Result<()> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name = named("huly-network-local");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let certificate = authority.self_signed(&authority_key)?;
        write_private(&self.authority(), &certificate.pem())?;

        let issuer = Issuer::new(authority, authority_key);
        let mut server = CertificateParams::new(SERVER_NAMES.map(str::to_owned))?;
        server.distinguished_name = named("kube-apiserver");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate()?;
        let certificate = server.signed_by(&server_key, &issuer)?;
        write_private(&self.server_certificate(), &certificate.pem())?;
        write_private(&self.server_key(), &server_key.serialize_pem())
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

fn kubeconfig(authority: &Path, port: u16, user: &str, token: &str) -> Result<String> {
    let name = "huly-network-local";
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": name,
            "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
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
            keys.make(6443).unwrap();
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
        keys.make(6443).unwrap();
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
}
