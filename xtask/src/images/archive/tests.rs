use std::io::Read;
use std::path::PathBuf;

use super::*;

fn config() -> ImageConfig {
    ImageConfig {
        entrypoint: vec!["/huly".to_owned(), "agents".to_owned()],
        ports: vec![3737, 9090],
        labels: BTreeMap::from([(
            "org.opencontainers.image.title".to_owned(),
            "huly".to_owned(),
        )]),
        created: "2026-01-02T03:04:05Z".parse().unwrap(),
        ..ImageConfig::default()
    }
}

fn files() -> Vec<Entry> {
    vec![
        Entry::program("huly", b"a program".to_vec()),
        Entry {
            path: "etc/huly/name".to_owned(),
            mode: 0o644,
            bytes: b"default".to_vec(),
        },
    ]
}

/// A tar's entries: path, kind, mode, uid, gid, mtime and what is in it.
type Found = (PathBuf, EntryType, u32, u64, u64, u64, Vec<u8>);

fn entries(tar: &[u8]) -> Vec<Found> {
    tar::Archive::new(tar)
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let header = entry.header();
            (
                entry.path().unwrap().into_owned(),
                header.entry_type(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.mtime().unwrap(),
                bytes,
            )
        })
        .collect()
}

fn written(files: &[Entry], config: &ImageConfig) -> (Digest, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("below/huly.tar");
    let id = write(&path, "huly:1.2.3", files, config).unwrap();
    (id, fs::read(path).unwrap())
}

#[test]
fn the_archive_holds_what_its_manifest_names() {
    let (id, archive) = written(&files(), &config());
    let found: BTreeMap<String, Vec<u8>> = entries(&archive)
        .into_iter()
        .map(|(path, .., bytes)| (path.to_str().unwrap().to_owned(), bytes))
        .collect();
    assert_eq!(found.len(), 3);

    let manifest: Value = serde_json::from_slice(&found["manifest.json"]).unwrap();
    assert_eq!(manifest.as_array().unwrap().len(), 1);
    assert_eq!(manifest[0]["RepoTags"], json!(["huly:1.2.3"]));
    let configuration = &found[manifest[0]["Config"].as_str().unwrap()];
    assert_eq!(Digest::of(configuration), id);
    let layer = &found[manifest[0]["Layers"][0].as_str().unwrap()];

    let configuration: Value = serde_json::from_slice(configuration).unwrap();
    assert_eq!(
        configuration["rootfs"],
        json!({ "type": "layers", "diff_ids": [Digest::of(layer).to_string()] })
    );
    assert_eq!(configuration["created"], "2026-01-02T03:04:05Z");
    assert_eq!(
        configuration["config"],
        json!({
            "User": "65532:65532",
            "ExposedPorts": { "3737/tcp": {}, "9090/tcp": {} },
            "Env": ["PATH=/"],
            "Entrypoint": ["/huly", "agents"],
            "WorkingDir": "/",
            "Labels": { "org.opencontainers.image.title": "huly" },
        })
    );
}

#[test]
fn the_layer_holds_the_files_and_their_folders_owned_by_root() {
    let created = config().created;
    let time = created.as_second().cast_unsigned();
    let found = entries(&layer(&files(), created).unwrap());
    let folder = |path: &str| {
        let kind = EntryType::Directory;
        (PathBuf::from(path), kind, 0o755, 0, 0, time, Vec::new())
    };
    let file = |path: &str, mode, bytes: &[u8]| {
        let kind = EntryType::Regular;
        (PathBuf::from(path), kind, mode, 0, 0, time, bytes.to_vec())
    };
    assert_eq!(
        found,
        [
            folder("etc/"),
            folder("etc/huly/"),
            file("etc/huly/name", 0o644, b"default"),
            file("huly", 0o755, b"a program"),
        ]
    );
}

#[test]
fn the_same_files_in_any_order_make_the_same_bytes() {
    let mut backwards = files();
    backwards.reverse();
    assert_eq!(written(&files(), &config()), written(&backwards, &config()));
}

#[test]
fn the_id_changes_with_the_files_and_with_the_configuration() {
    let (id, _) = written(&files(), &config());
    let mut other_file = files();
    other_file[0].bytes.push(b'!');
    assert_ne!(written(&other_file, &config()).0, id);
    let mut other_mode = files();
    other_mode[0].mode = 0o700;
    assert_ne!(written(&other_mode, &config()).0, id);
    let other_user = ImageConfig {
        user: "0:0".to_owned(),
        ..config()
    };
    assert_ne!(written(&files(), &other_user).0, id);
}

#[test]
fn paths_that_leave_the_image_or_are_there_twice_are_refused() {
    for path in ["/huly", "../huly", "a/../huly", "a//b", ""] {
        let file = Entry::program(path, Vec::new());
        let error = layer(&[file], Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains("plain path"), "{path}: {error}");
    }
    for (first, second) in [("huly", "huly"), ("huly", "huly/agent")] {
        let files = [first, second].map(|path| Entry::program(path, Vec::new()));
        assert!(layer(&files, Timestamp::UNIX_EPOCH).is_err(), "{second}");
    }
}

#[test]
fn a_file_name_longer_than_the_header_holds_comes_back() {
    let long = format!("{}/{}", "folder".repeat(30), "name".repeat(40));
    let file = Entry::program(long.clone(), b"there".to_vec());
    let found = entries(&layer(&[file], Timestamp::UNIX_EPOCH).unwrap());
    assert_eq!(found[1].0, PathBuf::from(long));
}
