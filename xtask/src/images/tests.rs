use super::*;

#[test]
fn sizes_are_rounded_up() {
    assert_eq!(megabytes(MOST_BYTES), "25.0 MB");
    assert_eq!(megabytes(MOST_BYTES + 1), "25.1 MB");
}

/// The stage of images/Dockerfile that makes the same image.
fn stage(package: &Package, image: &ImageConfig) -> String {
    let program = &package.program;
    let label = |name| format!("{name}={:?}", image.labels[name]);
    let mut lines = vec![
        format!("FROM base AS {program}"),
        format!("COPY --chown=0:0 {program} /{program}"),
        format!(
            "LABEL {} \\\n      {}",
            label("org.opencontainers.image.title"),
            label("org.opencontainers.image.description")
        ),
    ];
    if !image.ports.is_empty() {
        let ports: Vec<String> = image.ports.iter().map(ToString::to_string).collect();
        lines.push(format!("EXPOSE {}", ports.join(" ")));
    }
    lines.push(format!("ENTRYPOINT {:?}", image.entrypoint));
    lines.join("\n")
}

#[tokio::test]
async fn the_dockerfile_makes_the_same_images() {
    let workspace = Workspace::find().await.unwrap();
    let dockerfile = fs::read_to_string(workspace.root.join("images/Dockerfile")).unwrap();
    let stages: Vec<&str> = dockerfile.trim_end().split("\n\n").skip(2).collect();
    let origin = Origin::of(&workspace).await.unwrap();
    let packages = package::find(&workspace, &NETWORK).await.unwrap();
    let expected: Vec<String> = packages
        .iter()
        .map(|package| stage(package, &package.image(&package.version, &origin)))
        .collect();
    assert_eq!(stages, expected);
    let user = ImageConfig::default().user;
    assert!(dockerfile.contains(&format!("USER {user}\n")));
}

#[test]
fn the_key_changes_with_the_reference_the_program_and_the_configuration() {
    let files = |bytes: &[u8]| vec![Entry::program("huly", bytes.to_vec())];
    let config = ImageConfig::default();
    let first = key("huly:1", &files(b"one"), &config);
    assert_eq!(key("huly:1", &files(b"one"), &config), first);
    assert_ne!(key("huly:2", &files(b"one"), &config), first);
    assert_ne!(key("huly:1", &files(b"two"), &config), first);
    let other = ImageConfig {
        ports: vec![1],
        ..config
    };
    assert_ne!(key("huly:1", &files(b"one"), &other), first);
}

/// The least that passes for a static program: a header that names no segments.
fn static_program() -> Vec<u8> {
    let mut program = vec![0; 64];
    let (sixty_four_bits, little_endian, version) = (2, 1, 1);
    program[..4].copy_from_slice(b"\x7fELF");
    program[4..7].copy_from_slice(&[sixty_four_bits, little_endian, version]);
    program
}

#[tokio::test]
async fn images_that_differ_when_made_again_are_named() {
    let workspace = Workspace::find().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (built, cached) = (folder.path().join("built"), folder.path().join("cached"));
    fs::create_dir(&built).unwrap();
    for program in ["huly", "huly-agent"] {
        fs::write(built.join(program), static_program()).unwrap();
    }
    let packages = ["huly", "huly-agent-stock"];
    let mut made = Made {
        images: Vec::new(),
        packages: package::find(&workspace, &packages).await.unwrap(),
        tag: Some("testing".to_owned()),
        origin: Origin::of(&workspace).await.unwrap(),
    };
    made.images = made.pack(&built, &cached).await.unwrap();
    let references: Vec<&str> = made.images.iter().map(|it| it.reference.as_str()).collect();
    assert_eq!(references, ["huly:testing", "huly-agent:testing"]);

    let again = folder.path().join("again");
    verify::compare(&workspace, &made, &built, &again)
        .await
        .unwrap();
    let mut other = static_program();
    other.push(0);
    fs::write(built.join("huly-agent"), other).unwrap();
    let error = verify::compare(&workspace, &made, &built, &again)
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("huly-agent (sha256:"), "{error}");
    assert!(!error.contains("huly ("), "{error}");

    made.origin = Origin::new(Some("abc 1767323045"), true, None).unwrap();
    let error = verify::compare(&workspace, &made, &built, &again)
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("abc-dirty (2026-01-02T03:04:05Z)"),
        "{error}"
    );
}

#[tokio::test]
async fn an_image_of_the_network_must_be_small() {
    let workspace = Workspace::find().await.unwrap();
    let packages = ["huly-network", "own-agent"];
    let packages = package::find(&workspace, &packages).await.unwrap();
    assert!(small_enough(&packages[0], MOST_BYTES).is_ok());
    let error = small_enough(&packages[0], MOST_BYTES + 1).unwrap_err();
    assert!(
        error.to_string().contains("huly-network has 25.1 MB"),
        "{error}"
    );
    assert!(small_enough(&packages[1], MOST_BYTES + 1).is_ok());
}
