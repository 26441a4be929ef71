//! The same work over every store that this build opens by URL, and between them.

use std::fs;

use rusqlite::{Connection, params};

use crate::support::{Home, chunk_file, chunk_names, random};

/// Every kind that keeps data on this machine, by URL.
fn urls(home: &Home) -> [String; 4] {
    ["file:a", "sqlite:b.db", "sled:c", "objects:d"].map(|url| {
        let (scheme, name) = url.split_once(':').unwrap();
        format!("{scheme}:{}", home.path(name).display())
    })
}

fn encrypted(home: &Home, url: &str) -> Vec<u8> {
    let data = random(500_000, 9);
    home.write("data", &data);
    home.ok(&["encrypt", "data", "--store", url, "--chunk-size", "64K", "-q", "--force"]);
    data
}

/// Another byte in the middle of a chunk in a SQLite store, as a bad disk would have it.
fn flip_in_sqlite(home: &Home, name: &str) {
    let db = Connection::open(home.path("b.db")).unwrap();
    let id: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&name[2 * i..2 * i + 2], 16).unwrap()).collect();
    let n: i64 = db.query_row("SELECT n FROM chunks WHERE id = ?1", [&id], |row| row.get(0)).unwrap();
    let mut data: Vec<u8> =
        db.query_row("SELECT data FROM bodies WHERE n = ?1", [n], |row| row.get(0)).unwrap();
    data[100] ^= 1;
    assert_eq!(db.execute("UPDATE bodies SET data = ?2 WHERE n = ?1", params![n, data]).unwrap(), 1);
}

fn flip_in_folder(home: &Home, name: &str) {
    let file = chunk_file(&home.path("a/chunks"), name);
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
}

#[test]
fn every_kind_keeps_a_file() {
    let home = Home::new();
    for url in urls(&home) {
        let data = encrypted(&home, &url);
        assert!(home.ok(&["cat", "data.selfenc", "--store", &url]).out == data, "{url}");
        home.ok(&["decrypt", "data.selfenc", "--store", &url, "-o", "back", "--force"]);
        assert!(home.read("back") == data, "{url}");
        assert_eq!(home.json(&["store", "stat", &url, "--json"])["chunks"], 8, "{url}");
        home.ok(&["store", "scrub", &url]);
        home.ok(&["verify", "data.selfenc", "--store", &url]);
        let again =
            home.json(&["encrypt", "data", "--store", &url, "--chunk-size", "64K", "--force", "--json"]);
        assert_eq!(again["bytes_stored"], 0, "{url}: {again}");
    }
}

#[test]
fn every_kind_is_copied_to_every_other() {
    let home = Home::new();
    let urls = urls(&home);
    let data = encrypted(&home, &urls[0]);
    for (i, url) in urls.iter().enumerate() {
        let next = &urls[(i + 1) % urls.len()];
        let copied = home.json(&["store", "copy", url, next, "--json"]);
        let expected = if i + 1 == urls.len() { 0 } else { 8 };
        assert_eq!(copied["copied"], expected, "{url} to {next}: {copied}");
        assert!(home.ok(&["cat", "data.selfenc", "--store", next]).out == data, "{next}");
    }
}

#[test]
fn a_copy_from_sqlite_resumes_and_verifies() {
    let home = Home::new();
    let [file, sqlite, ..] = urls(&home);
    let data = encrypted(&home, &sqlite);
    let copy = ["store", "copy", &sqlite, &file, "--json"];
    assert_eq!(home.json(&copy)["copied"], 8);
    let names = chunk_names(&home, &sqlite);
    for name in &names[..3] {
        fs::remove_file(chunk_file(&home.path("a/chunks"), name)).unwrap();
    }
    flip_in_folder(&home, &names[5]);
    let again = home.json(&copy);
    assert_eq!((&again["copied"], &again["present"], &again["healed"]), (&3.into(), &4.into(), &1.into()));
    assert!(home.ok(&["cat", "data.selfenc", "--store", &file]).out == data);

    flip_in_sqlite(&home, &names[6]);
    fs::remove_file(chunk_file(&home.path("a/chunks"), &names[6])).unwrap();
    let run = home.run(&copy);
    let json: serde_json::Value = serde_json::from_slice(&run.out).unwrap();
    assert_eq!((run.code, &json["damaged"][0]), (3, &names[6].as_str().into()), "{json}");
}

#[test]
fn a_mirror_of_sqlite_and_a_folder_heals_either() {
    let home = Home::new();
    let [file, sqlite, ..] = urls(&home);
    let replicas = [&sqlite, &file].map(|url| format!("[[mirror]]\nurl = \"{url}\"\n"));
    home.write("mirror.toml", replicas.concat());
    let mirror = format!("toml:{}", home.path("mirror.toml").display());
    let data = encrypted(&home, &mirror);
    let names = chunk_names(&home, &sqlite);
    assert_eq!(names, chunk_names(&home, &file));

    let read = ["cat", "data.selfenc", "--store", &mirror];
    flip_in_sqlite(&home, &names[1]);
    home.fails(3, &["verify", "data.selfenc", "--store", &sqlite]);
    assert!(home.ok(&read).out == data);
    home.ok(&["store", "scrub", &sqlite]);

    // The first replica answers before the second is asked, so the damage has to be in front.
    home.write("mirror.toml", [replicas[1].as_str(), &replicas[0]].concat());
    flip_in_folder(&home, &names[2]);
    home.fails(3, &["verify", "data.selfenc", "--store", &file]);
    assert!(home.ok(&read).out == data);
    home.ok(&["store", "scrub", &file]);
}

#[test]
fn what_is_no_store_is_left_alone() {
    let home = Home::new();
    home.write("text", "not a database, but somebody's only copy of something".repeat(100));
    let before = home.read("text");
    home.write("data", random(10_000, 1));
    for scheme in ["sqlite", "sled", "objects", "file"] {
        let url = format!("{scheme}:{}", home.path("text").display());
        let err = home.fails(2, &["encrypt", "data", "--store", &url]);
        assert!(err.contains("text") && err.contains("hint:"), "{scheme}: {err}");
        assert!(home.read("text") == before, "{scheme}");
    }
    assert_eq!(home.files(), ["data", "text"]);
}

#[test]
fn a_store_that_is_not_there_is_said_to_be_missing() {
    let home = Home::new();
    for url in urls(&home) {
        home.fails_with_hint(4, &["store", "list", &url], "there", "--store");
    }
    assert!(home.files().is_empty(), "{:?}", home.files());
}

#[test]
fn every_kind_takes_the_test_in_a_corner() {
    let home = Home::new();
    for url in urls(&home) {
        encrypted(&home, &url);
        let report = home.json(&["store", "test", &url, "--filter", "basic", "--json"]);
        assert!(report["rows"].as_array().is_some_and(|rows| rows.len() > 5), "{url}: {report}");
        home.ok(&["store", "bench", &url, "-q"]);
        home.ok(&["verify", "data.selfenc", "--store", &url]);
    }
    let left: Vec<_> = home.files().into_iter().filter(|name| name.contains("selfenc-test")).collect();
    assert!(left.is_empty(), "{left:?}");
}
