//! No secret reaches the log, whatever its level, nor any message.

use std::fmt::Write;

use crate::support::{Home, random};

/// The spellings in which a careless print would give 32 bytes away.
fn spellings(secret: &[u8]) -> Vec<String> {
    let hex = secret.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    });
    let list = format!("{secret:?}");
    let spaced = secret.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    // Eight bytes are enough to be sure, and also find what is cut short.
    vec![
        hex[..16].to_owned(),
        hex[..16].to_uppercase(),
        list[1..].split(", ").take(8).collect::<Vec<_>>().join(", "),
        spaced[..23].to_owned(),
        secret[..8].escape_ascii().to_string(),
    ]
}

fn bytes_of(hex: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(hex).unwrap().trim();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

#[test]
fn nothing_secret_is_logged_at_any_level() {
    let home = Home::new();
    let data = random(200_000, 1);
    home.write("data", &data);
    home.write("small", &data[1000..1100]);
    home.ok(&["keygen", "-o", "key"]);

    let mut said = String::new();
    for args in [
        &["encrypt", "data", "--chunk-size", "64K"][..],
        &["encrypt", "small"],
        &["encrypt", "data", "--name", "n", "--key-file", "key"],
        &["decrypt", "data.selfenc", "-o", "back"],
        &["cat", "--name", "n", "--key-file", "key", "--range", "0..0"],
        &["verify", "data.selfenc", "--json"],
        &["info", "data.selfenc", "--chunks"],
        &["info", "small.selfenc", "--json"],
        &["info", "--name", "n", "--key-file", "key", "--chunks"],
        &["cat", "data.selfenc", "--key-file", "key"],
        &["store", "scrub"],
        &["rm-name", "n"],
    ] {
        let output = home.command(args).env("RUST_LOG", "trace").output().unwrap();
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
    }

    assert!(said.contains("TRACE selfenc_core"), "nothing was logged, so nothing was shown");

    // From docs/format.md: 35 bytes of header, then entries of end, stored, name, key and content hash.
    let map = home.read("data.selfenc");
    let entries: Vec<_> = map[35..map.len() - 32].chunks_exact(108).collect();
    assert_eq!(entries.len(), 4);
    let names: Vec<_> = entries.iter().map(|entry| spellings(&entry[12..44])[0].clone()).collect();
    assert!(names.iter().all(|name| said.contains(name)), "the offsets are right: names are no secret");
    let mut secrets = vec![
        ("the group secret", bytes_of(&std::fs::read(home.group_secret()).unwrap())),
        ("the key", bytes_of(&home.read("key"))),
        ("inline data", home.read("small")[..32].to_vec()),
        ("plaintext", data[..32].to_vec()),
    ];
    for entry in entries {
        secrets.push(("a chunk key", entry[44..76].to_vec()));
        secrets.push(("a content hash", entry[76..108].to_vec()));
    }
    for (what, secret) in secrets {
        for spelling in spellings(&secret) {
            assert!(!said.contains(&spelling), "{what} was said as {spelling}");
        }
    }
}

#[test]
fn a_log_is_written_where_one_is_asked_for() {
    let home = Home::new();
    home.write("data", random(10_000, 2));
    let plain = home.ok(&["encrypt", "data", "--json"]);
    assert_eq!(plain.err.lines().count(), 1, "the group secret, and no log: {}", plain.err);
    let args = ["encrypt", "data", "--force", "--json"];
    let output = home.command(&args).env("RUST_LOG", "selfenc_core=debug").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("DEBUG selfenc_core") && !err.contains("TRACE"), "{err}");
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
}
