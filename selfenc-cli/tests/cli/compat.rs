//! Data of self_encryption through the command: folders that its releases wrote, and folders as they would.

use std::fs;
use std::path::{Path, PathBuf};

use selfenc::compat::{DataMap, Engine, Generation};
use selfenc::store::OpenMode;
use selfenc::{EncryptionConfig, FsConfig};

use crate::support::{Home, chunk_names, random};

const FLAT: &str = "file:old?layout=flat";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/self_encryption")
}

/// What the vectors are of.
fn input(name: &str) -> Vec<u8> {
    match &name[4..] {
        "t3" => b"abc".to_vec(),
        "t3072" => (0..3072u32).map(|i| i.to_le_bytes()[0]).collect(),
        "t10k" => b"Hello, World!".repeat(1000),
        other => panic!("{other}"),
    }
}

const VECTORS: [&str; 6] = ["o34_t3", "o34_t3072", "o34_t10k", "o36_t3", "o36_t3072", "o36_t10k"];

/// The folder as the original left it, its map beside it.
fn with_vector(name: &str) -> Home {
    let home = Home::new();
    fs::create_dir(home.path("old")).unwrap();
    for entry in fs::read_dir(vectors().join(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap();
        let to = if file == "DATAMAP" { home.path("map") } else { home.path("old").join(file) };
        fs::copy(&path, to).unwrap();
    }
    home
}

/// Everything in a folder of chunks.
fn folder(home: &Home, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(home.path(name))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn what_the_original_wrote_is_read_as_it_is() {
    for name in VECTORS {
        let (home, data) = (with_vector(name), input(name));
        let before = folder(&home, "old");
        // The layout is told, or recognised.
        for store in [FLAT, "file:old"] {
            home.ok(&["decrypt", "map", "--store", store, "-o", "back", "--force"]);
            assert!(home.read("back") == data, "{name}");
            assert!(
                home.ok(&["cat", "map", "--store", store, "--range", "1..3"]).out == data[1..3],
                "{name}"
            );
            let verified = home.json(&["verify", "map", "--store", store, "--json"]);
            assert_eq!((&verified["bytes"], &verified["chunks"]), (&data.len().into(), &3.into()), "{name}");
        }
        let info = home.json(&["info", "map", "--json"]);
        assert_eq!((&info["format"], &info["bytes"]), (&"self_encryption".into(), &data.len().into()));
        assert!(info["suite"].is_null(), "the map does not say it");
        let info = home.json(&["info", "map", "--store", FLAT, "--json"]);
        assert_eq!(info["suite"], if name.contains("34") { "se1" } else { "se2" });
        let chunks = String::from_utf8(home.ok(&["info", "map", "--chunks"]).out).unwrap();
        for chunk in DataMap::from_bytes(&home.read("map")).unwrap().infos() {
            assert!(chunks.contains(&chunk.dst_hash.to_string()), "{chunks}");
            let secret: String = chunk.src_hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!chunks.contains(&secret), "{chunks}");
        }
        assert!(folder(&home, "old") == before, "{name}: the folder is as it was");
    }
}

#[test]
fn what_is_written_is_the_folder_that_the_original_writes() {
    for name in VECTORS {
        let (theirs, home) = (with_vector(name), Home::new());
        home.write("data", input(name));
        let suite = if name.contains("34") { "se1" } else { "se2" };
        home.ok(&["encrypt", "data", "--suite", suite, "--store", FLAT, "-o", "map"]);
        assert!(folder(&home, "old") == folder(&theirs, "old"), "{name}");
        assert!(home.read("map") == theirs.read("map"), "{name}");
        assert!(!home.group_secret().exists(), "no secret is made for what has none");
    }
}

#[test]
fn any_largest_chunk_and_standard_streams() {
    let home = Home::new();
    let data = random(200_000, 1);
    home.write("data", &data);
    for suite in ["se1", "se2"] {
        for size in ["113", "1000", "64K", "1M"] {
            let map = home.piped(
                &[
                    "encrypt",
                    "-",
                    "--suite",
                    suite,
                    "--chunk-size",
                    size,
                    "--store",
                    "file:chunks",
                    "-o",
                    "-",
                ],
                &data,
            );
            home.write("map", &map.out);
            home.ok(&["decrypt", "map", "--store", "file:chunks", "-o", "back", "--force"]);
            assert!(home.read("back") == data, "{suite} {size}");
        }
    }
}

#[test]
fn a_map_as_json_is_read_too() {
    let home = with_vector("o36_t10k");
    let json = DataMap::from_bytes(&home.read("map")).unwrap().to_secret_json();
    home.write("map.json", json.as_bytes());
    assert!(home.ok(&["cat", "map.json", "--store", FLAT]).out == input("o36_t10k"));
    let piped = home.piped(&["cat", "-", "--store", FLAT], json.as_bytes());
    assert!(piped.out == input("o36_t10k"));
}

#[test]
fn conversion_keeps_the_data_and_leaves_the_old_alone() {
    for name in VECTORS {
        let (home, data) = (with_vector(name), input(name));
        let before = folder(&home, "old");
        let said = home.json(&[
            "convert",
            "map",
            "--store",
            FLAT,
            "--to-store",
            "file:new",
            "-o",
            "new.selfenc",
            "--json",
        ]);
        assert_eq!(said["bytes_in"], data.len());
        assert!(
            folder(&home, "old") == before
                && home.read("map") == fs::read(vectors().join(name).join("DATAMAP")).unwrap()
        );
        assert!(home.ok(&["cat", "new.selfenc", "--store", "file:new"]).out == data, "{name}");
        let (right, wrong) = if name.contains("34") { ("se1", "se2") } else { ("se2", "se1") };
        let from =
            |from| ["convert", "map", "--from", from, "--store", FLAT, "--to-store", "file:new", "--force"];
        home.ok(&from(right));
        home.fails_with_hint(2, &from(wrong), &format!("is of {right}, not of {wrong}"), "--from");
    }
    // Into a name, sealed.
    let home = with_vector("o34_t10k");
    home.ok(&["keygen", "-o", "key"]);
    let to = ["convert", "map", "--store", FLAT, "--to-store", "file:new", "--private"];
    home.ok(&[&to[..], &["--name", "old-file", "--key-file", "key"]].concat());
    let cat = ["cat", "--name", "old-file", "--key-file", "key", "--store", "file:new"];
    assert!(home.ok(&cat).out == input("o34_t10k"));
}

/// The original's command could not verify, could not decrypt in a stream, and took no notice of `--json`; its chunks
/// had no bytes to store, and the length it told was that of what was encrypted.
#[test]
fn defect_12_the_command_does_what_it_says() {
    let name = "o36_t10k";
    let (home, data) = (with_vector(name), input(name));
    let told = home.json(&["info", "map", "--store", FLAT, "--json"]);
    assert_eq!((told["bytes"].as_u64(), told["chunks"].as_u64()), (Some(data.len() as u64), Some(3)));
    let verified = home.json(&["verify", "map", "--store", FLAT, "--json"]);
    assert_eq!(verified["bytes"], data.len());
    assert!(home.ok(&["decrypt", "map", "--store", FLAT, "-o", "-"]).out == data, "as a stream");
    home.ok(&["decrypt", "map", "--store", FLAT, "-o", "back"]);
    assert!(home.read("back") == data);
    home.write("data", &data);
    home.ok(&["encrypt", "data", "--suite", "se2", "--store", "file:again?layout=flat", "-o", "again.map"]);
    assert!(folder(&home, "again") == folder(&home, "old"), "chunks have their bytes");
}

/// The original's map lies open, and everybody who has a file has its chunks.
#[test]
fn defect_13_what_is_converted_can_be_sealed_and_is_keyed() {
    let name = "o34_t10k";
    let (home, data) = (with_vector(name), input(name));
    home.ok(&["keygen", "-o", "key"]);
    let convert = |to: &'static str, more: &[&'static str]| {
        home.ok(&[&["convert", "map", "--store", FLAT, "--to-store", to][..], more].concat());
    };
    convert("file:keyed", &["-o", "sealed", "--key-file", "key"]);
    convert("file:open", &["-o", "public.selfenc", "--public"]);
    home.fails_with_hint(1, &["cat", "sealed", "--store", "file:keyed"], "is sealed", "--key-file");
    let cat = ["cat", "sealed", "--store", "file:keyed", "--key-file", "key"];
    assert!(home.ok(&cat).out == data);

    let names = |store| chunk_names(&home, store).into_iter().collect::<std::collections::BTreeSet<_>>();
    let (keyed, open) = (names("file:keyed"), names("file:open"));
    assert!(!keyed.is_empty() && !open.is_empty() && keyed.is_disjoint(&open), "no chunk is everybody's");
}

#[test]
fn a_conversion_of_damaged_data_writes_no_map() {
    let home = with_vector("o34_t10k");
    let map = DataMap::from_bytes(&home.read("map")).unwrap();
    let chunk = home.path("old").join(map.infos()[1].dst_hash.to_string());
    let mut bytes = fs::read(&chunk).unwrap();
    bytes[3] ^= 1;
    fs::write(&chunk, &bytes).unwrap();
    let convert =
        ["convert", "map", "--store", FLAT, "--to-store", "file:new", "-o", "new.selfenc", "--public"];
    home.fails_with_hint(3, &convert, "is corrupt", "");
    assert!(!home.path("new.selfenc").exists());
    let err = home.run(&["verify", "map", "--store", FLAT]);
    assert_eq!(err.code, 3, "{}", err.err);
    fs::remove_file(&chunk).unwrap();
    home.fails_with_hint(3, &convert, "not in the store", "");
}

/// As a release writes beyond its limit: the map in the middle does not say that it is one.
#[test]
fn nested_maps_are_repaired_on_request() {
    let home = Home::new();
    let data = random(100_000, 3);
    let nested = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = FsConfig::new(home.path("old")).open(OpenMode::Create).await.unwrap();
        let store = std::sync::Arc::new(store);
        let native = selfenc::Engine::new(EncryptionConfig::new()).unwrap();
        let engine = Engine::new(&native, Generation::One).with_max_chunk_size(1024).unwrap();
        let root = engine.write(store.clone(), &data[..]).await.unwrap().root;
        engine.write(store, &root.to_secret_bytes()[..]).await.unwrap().map
    });
    home.write("map", &*nested.to_secret_bytes());
    let cat = ["cat", "map", "--store", "file:old"];
    assert!(home.ok(&cat).out != data, "what the original gives");
    let run = home.ok(&[&cat[..], &["--repair-nested"]].concat());
    assert!(run.out == data && run.err.contains("one level repaired"), "{}", run.err);
    let convert = [
        "convert",
        "map",
        "--store",
        "file:old",
        "--to-store",
        "file:new",
        "-o",
        "new.selfenc",
        "--repair-nested",
    ];
    home.ok(&convert);
    assert!(home.ok(&["cat", "new.selfenc", "--store", "file:new"]).out == data);
    home.ok(&["decrypt", "map", "--store", "file:old", "--repair-nested", "-o", "back"]);
    home.ok(&["verify", "map", "--store", "file:old", "--repair-nested"]);
}

#[test]
fn what_the_formats_do_not_have_is_said() {
    let home = Home::new();
    home.write("data", random(5000, 1));
    home.write("tiny", "ab");
    home.ok(&["keygen", "-o", "key"]);
    let encrypt =
        |more: &[&'static str]| [&["encrypt", "data", "--suite", "se2", "--store", FLAT][..], more].concat();
    home.fails_with_hint(2, &encrypt(&["--private"]), "se2 has no secrets", "selfenc's own");
    home.fails_with_hint(2, &encrypt(&["--secret-file", "key"]), "se2 has no secrets", "selfenc's own");
    home.fails_with_hint(2, &encrypt(&["--cdc", "16K,64K,256K"]), "by size alone", "--chunk-size");
    home.fails_with_hint(2, &encrypt(&["--compress", "none"]), "one way alone", "--compress");
    home.fails_with_hint(2, &encrypt(&["--key-file", "key"]), "cannot be sealed", "as a file");
    home.fails_with_hint(2, &encrypt(&["--chunk-size", "112"]), "113", "ranges");
    home.fails_with_hint(2, &encrypt(&["--chunk-size", "63M", "--memory", "1M"]), "too small", "--memory");
    home.fails_with_hint(
        1,
        &["encrypt", "tiny", "--suite", "se1", "--store", FLAT],
        "too short",
        "any length",
    );
    assert!(home.fails(2, &["encrypt", "data", "--suite", "se3"]).contains("se1 and se2"));
    assert!(!home.path("old").exists(), "what is refused makes no store");
    assert!(home.files().iter().all(|name| !name.contains("selfenc")), "{:?}", home.files());
    home.ok(&["encrypt", "data", "--store", "file:own"]);
    home.fails_with_hint(
        2,
        &["convert", "data.selfenc", "--store", "file:own", "--to-store", "file:new"],
        "nothing to convert",
        "copy",
    );
    home.ok(&["encrypt", "data", "--store", "file:own", "--key-file", "key", "-o", "sealed"]);
    home.fails_with_hint(
        2,
        &["convert", "sealed", "--store", "file:own", "--to-store", "file:new"],
        "nothing to convert",
        "copy",
    );
    home.fails_with_hint(
        2,
        &["cat", "data.selfenc", "--store", "file:own", "--repair-nested"],
        "never nested",
        "leave out",
    );
    home.fails_with_hint(
        1,
        &["convert", "data", "--store", "file:own", "--to-store", "file:new"],
        "not a selfenc data map",
        "",
    );
    home.ok(&["encrypt", "data", "--suite", "se2", "--store", FLAT, "-o", "map"]);
    home.fails_with_hint(
        2,
        &["convert", "map", "--store", FLAT, "--to-store", FLAT, "--public"],
        "are the same",
        "--to-store",
    );
    // Half the memory is for what is read, and what is said to be enough for both is.
    let convert =
        ["convert", "map", "--store", FLAT, "--to-store", "file:new", "-o", "new.selfenc", "--memory"];
    let needed = home.fails(2, &[&convert[..], &["9M"]].concat());
    let size = needed.split("give --memory ").nth(1).unwrap().split(' ').next().unwrap();
    home.ok(&[&convert[..], &[size]].concat());
    // A flat folder has no names to publish under.
    let named = ["encrypt", "data", "--store", FLAT, "--public", "--name", "x", "--key-file", "key"];
    assert!(home.fails(1, &named).contains("no roots"));
}
