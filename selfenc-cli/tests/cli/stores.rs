use std::fs;

use crate::support::{Home, chunk_file, chunk_names, random};

fn encrypted(home: &Home, seed: u64) -> (String, Vec<u8>) {
    let data = random(500_000, seed);
    home.write("data", &data);
    let url = format!("file:{}", home.path("chunks").display());
    home.ok(&["encrypt", "data", "--store", &url, "--chunk-size", "64K", "-q"]);
    (url, data)
}

#[test]
fn list_and_stat_agree() {
    let home = Home::new();
    let (url, _) = encrypted(&home, 1);
    let names = chunk_names(&home, &url);
    assert_eq!(names.len(), 8);
    assert!(names.is_sorted());
    let stat = home.json(&["store", "stat", &url, "--json"]);
    let lines = String::from_utf8(home.ok(&["store", "list", &url, "--json"]).out).unwrap();
    let listed: u64 = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["len"].as_u64().unwrap())
        .sum();
    assert_eq!((&stat["chunks"], &stat["bytes"]), (&8.into(), &listed.into()));
    assert_eq!(stat["roots"], true);
    let text = String::from_utf8(home.ok(&["store", "stat", &url]).out).unwrap();
    assert!(text.contains("chunks      8,") && text.contains("durable     on put"), "{text}");

    let one = home.json(&["store", "stat", &url, &names[0], "--json"]);
    assert_eq!(one["id"], names[0].as_str());
    home.fails_with_hint(3, &["store", "stat", &url, &"0".repeat(64)], "is not in", "check");
    home.fails(2, &["store", "stat", &url, "abc"]);
}

#[test]
fn without_url_the_default_store_is_meant() {
    let home = Home::new();
    home.fails_with_hint(4, &["store", "list"], "no default store", "--store");
    home.write("data", random(10_000, 2));
    home.ok(&["encrypt", "data", "-q"]);
    assert_eq!(home.json(&["store", "stat", "--json"])["chunks"], 1);
    let name = String::from_utf8(home.ok(&["store", "list"]).out).unwrap()[..64].to_owned();
    assert_eq!(home.json(&["store", "stat", &name, "--json"])["id"], name.as_str());
}

#[test]
fn scrub_finds_a_flipped_byte_without_any_key() {
    let home = Home::new();
    let (url, _) = encrypted(&home, 3);
    home.ok(&["encrypt", "data", "--store", &url, "--suite", "0x11", "--public", "--force", "-q"]);
    fs::remove_file(home.group_secret()).unwrap();
    fs::remove_file(home.path("data.selfenc")).unwrap();
    let clean = home.json(&["store", "scrub", &url, "--json"]);
    assert_eq!((&clean["chunks"], &clean["damaged"]), (&9.into(), &serde_json::json!([])));
    assert!(home.ok(&["store", "scrub", &url]).err.contains("9 chunks"));

    let names = chunk_names(&home, &url);
    for (name, at) in [(&names[2], 0), (&names[5], 4000)] {
        let file = chunk_file(&home.path("chunks"), name);
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    let run = home.run(&["store", "scrub", &url]);
    assert_eq!(run.code, 3, "{}", run.err);
    let out = String::from_utf8(run.out).unwrap();
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.contains(&names[2]) && out.contains(&names[5]), "{out}");
    assert!(run.err.contains("2 of 9 chunks"), "{}", run.err);
    let run = home.run(&["store", "scrub", &url, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&run.out).unwrap();
    assert_eq!((run.code, json["damaged"].as_array().map(Vec::len)), (3, Some(2)));
}

#[test]
fn verify_names_every_damaged_chunk() {
    let home = Home::new();
    let (url, _) = encrypted(&home, 5);
    let names = chunk_names(&home, &url);
    fs::write(chunk_file(&home.path("chunks"), &names[1]), "cut short").unwrap();
    fs::remove_file(chunk_file(&home.path("chunks"), &names[3])).unwrap();
    let verify = ["verify", "data.selfenc", "--store", &url];
    let run = home.run(&verify);
    let out = String::from_utf8(run.out).unwrap();
    assert_eq!((run.code, out.lines().count()), (3, 2), "{out} {}", run.err);
    assert!(out.contains(&format!("{} damaged", names[1])) && out.contains(&format!("{} missing", names[3])));
    assert!(run.err.contains("damaged or missing: 2 chunks") && run.err.contains("hint:"), "{}", run.err);
    let run = home.run(&[&verify[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&run.out).unwrap();
    assert_eq!((run.code, json["damaged"].as_array().map(Vec::len)), (3, Some(2)));
}

#[test]
fn a_damaged_chunk_is_named_and_nothing_is_written() {
    let home = Home::new();
    let (url, _) = encrypted(&home, 4);
    let info = String::from_utf8(home.ok(&["info", "data.selfenc", "--chunks", "--json"]).out).unwrap();
    let third: serde_json::Value = serde_json::from_str(info.lines().nth(3).unwrap()).unwrap();
    let name = third["name"].as_str().unwrap();
    let file = chunk_file(&home.path("chunks"), name);
    let good = fs::read(&file).unwrap();

    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 0x80;
    for (damage, word) in
        [(Some(&bad[..]), "corrupt"), (Some(&good[..100]), "corrupt"), (None, "not in the store")]
    {
        match damage {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let err = home.fails(3, &["decrypt", "data.selfenc", "-o", "back", "--store", &url]);
        assert!(err.contains(&name[..8]) && err.contains(word), "want '{word}': {err}");
        home.fails(3, &["verify", "data.selfenc", "--store", &url]);
        assert_eq!(home.files(), ["chunks", "data", "data.selfenc"]);
        let before = home.ok(&["cat", "data.selfenc", "--store", &url, "--range", "..64K"]).out;
        assert!(before == home.read("data")[..65_536], "what is not damaged still reads");
    }
    // A missing chunk comes back by encrypting again, and so does a truncated one.
    home.ok(&["encrypt", "data", "--store", &url, "--chunk-size", "64K", "--force"]);
    home.ok(&["verify", "data.selfenc", "--store", &url]);
}

#[test]
fn a_copy_is_whole_and_goes_on_where_it_stopped() {
    let home = Home::new();
    let (url, data) = encrypted(&home, 5);
    let target = format!("file:{}", home.path("second").display());
    let first = home.json(&["store", "copy", &url, &target, "--json"]);
    assert_eq!((&first["copied"], &first["present"]), (&8.into(), &0.into()));
    assert_eq!(chunk_names(&home, &url), chunk_names(&home, &target));
    assert!(home.ok(&["cat", "data.selfenc", "--store", &target]).out == data);

    let names = chunk_names(&home, &target);
    fs::remove_file(chunk_file(&home.path("second"), &names[0])).unwrap();
    fs::write(chunk_file(&home.path("second"), &names[1]), "cut short").unwrap();
    let again = home.json(&["store", "copy", &url, &target, "--json"]);
    assert_eq!((&again["copied"], &again["present"]), (&2.into(), &6.into()));
    home.ok(&["store", "scrub", &target]);
    let told = home.ok(&["store", "copy", &url, &target]).err;
    assert!(told.contains("0 chunks") && told.contains("8 were there already"), "{told}");
}

/// Changes a byte of the chunk's file, whose length stays.
fn flip(home: &Home, folder: &str, name: &str) {
    let file = chunk_file(&home.path(folder), name);
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
}

#[test]
fn a_copy_replaces_what_is_damaged_in_the_target() {
    let home = Home::new();
    let (url, _) = encrypted(&home, 7);
    let target = format!("file:{}", home.path("second").display());
    home.ok(&["store", "copy", &url, &target]);
    let names = chunk_names(&home, &url);
    flip(&home, "second", &names[3]);
    let trusting = home.json(&["store", "copy", &url, &target, "--no-verify", "--json"]);
    assert_eq!((&trusting["healed"], &trusting["present"]), (&0.into(), &8.into()));
    let told = home.ok(&["store", "copy", &url, &target]).err;
    assert!(told.contains("7 were there already, 1 damaged"), "{told}");
    home.ok(&["store", "scrub", &target]);
}

#[test]
fn a_copy_names_what_is_damaged_in_the_source_and_copies_the_rest() {
    let home = Home::new();
    let (url, _) = encrypted(&home, 8);
    let target = format!("file:{}", home.path("second").display());
    let names = chunk_names(&home, &url);
    flip(&home, "chunks", &names[0]);
    let copy = ["store", "copy", &url, &target];
    let run = home.run(&copy);
    let out = String::from_utf8(run.out).unwrap();
    assert_eq!((run.code, out.lines().count()), (3, 1), "{out} {}", run.err);
    assert!(out.starts_with(&format!("{} damaged", names[0])), "{out}");
    assert!(run.err.contains("1 chunk in") && run.err.contains("hint:"), "{}", run.err);
    assert_eq!(chunk_names(&home, &target), names[1..]);
    home.ok(&["store", "scrub", &target]);
    let run = home.run(&[&copy[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&run.out).unwrap();
    assert_eq!((run.code, &json["damaged"][0], &json["present"]), (3, &names[0].as_str().into(), &7.into()));
}
