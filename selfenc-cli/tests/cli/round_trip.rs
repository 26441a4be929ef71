use crate::support::{Home, random};

#[test]
fn every_suite_chunker_and_codec_brings_the_file_back() {
    let home = Home::new();
    let mut data = random(300_000, 1);
    data.extend(b"the same words over and over. ".repeat(10_000));
    home.write("data", &data);
    for suite in ["sha3-aes256cbc", "0x10", "blake3-chacha20poly1305", "0x11"] {
        for cut in [&["--chunk-size", "64K"][..], &["--cdc", "16K,64K,256K"], &[]] {
            for codec in ["zstd:3", "brotli:4", "none"] {
                let mut args = vec!["encrypt", "data", "--force", "--suite", suite, "--compress", codec];
                args.extend(cut);
                home.ok(&args);
                home.ok(&["decrypt", "data.selfenc", "-o", "back", "--force"]);
                assert!(home.read("back") == data, "{args:?}");
            }
        }
    }
}

#[test]
fn every_scope_brings_the_file_back() {
    let home = Home::new();
    let data = random(200_000, 2);
    home.write("data", &data);
    home.ok(&["keygen", "-o", "team"]);
    for scope in [&["--public"][..], &["--private"], &["--secret-file", "team"], &[]] {
        let args = [&["encrypt", "data", "--force", "--chunk-size", "16K"], scope].concat();
        home.ok(&args);
        // Reading needs no secret: the map is enough.
        std::fs::remove_file(home.group_secret()).ok();
        assert!(home.ok(&["cat", "data.selfenc"]).out == data, "{args:?}");
    }
}

#[test]
fn sizes_around_the_edges() {
    let home = Home::new();
    for len in [0, 1, 2, 4095, 4096, 4097, 8191, 8192, 8193, 24_576, 24_577] {
        let data = random(len, 3);
        home.write("data", &data);
        home.ok(&["encrypt", "data", "--force", "--chunk-size", "8K", "-q"]);
        home.ok(&["decrypt", "data.selfenc", "-o", "back", "--force", "-q"]);
        assert!(home.read("back") == data, "{len}");
        let info = home.json(&["info", "data.selfenc", "--json"]);
        assert_eq!(info["bytes"], len);
        assert_eq!(info["inline"], len <= 4096, "{len}");
    }
}

#[test]
fn standard_input_and_output() {
    let home = Home::new();
    let data = random(3_000_000, 4);
    home.piped(&["encrypt", "-", "-o", "map"], &data);
    assert!(home.ok(&["decrypt", "map", "-o", "-"]).out == data);
    assert!(home.ok(&["cat", "map"]).out == data);

    // A map may travel through a pipe as well.
    let map = home.piped(&["encrypt", "-", "-o", "-"], &data).out;
    assert!(map == home.read("map"), "the same input gives the same map");
    assert!(home.piped(&["decrypt", "-", "-o", "-"], &map).out == data);
    assert!(home.piped(&["verify", "-"], &map).err.contains("standard input"));
}

#[test]
fn a_range_is_exactly_those_bytes() {
    let home = Home::new();
    let data = random(1_000_000, 5);
    home.write("data", &data);
    home.ok(&["encrypt", "data", "--chunk-size", "64K"]);
    let cat = |range: &str| home.ok(&["cat", "data.selfenc", "--range", range]).out;
    assert!(cat("100..200") == data[100..200]);
    assert!(cat("65535..65537") == data[65_535..65_537]);
    assert!(cat("64K..512K") == data[65_536..524_288]);
    assert!(cat("999999..") == data[999_999..]);
    assert!(cat("..1") == data[..1]);
    assert!(cat("..") == data);
    assert!(cat("5..5").is_empty());
    assert!(cat("1M..2M").is_empty(), "beyond the end there is nothing");
    assert!(cat("999990..2M") == data[999_990..]);
    home.fails(2, &["cat", "data.selfenc", "--range", "5..2"]);
}

#[test]
fn a_map_with_pages_reads_and_lists() {
    let home = Home::new();
    let data = random(700 * 1024, 6);
    home.write("data", &data);
    let url = format!("file:{}", home.path("chunks").display());
    home.ok(&["encrypt", "data", "--chunk-size", "1K", "--compress", "none", "--store", &url]);
    assert!(home.ok(&["cat", "data.selfenc", "--store", &url]).out == data);

    let verified = home.json(&["verify", "data.selfenc", "--store", &url, "--json"]);
    assert_eq!((&verified["bytes"], &verified["chunks"]), (&data.len().into(), &700.into()));
    assert_eq!(verified["damaged"], serde_json::json!([]));

    let info = String::from_utf8(home.ok(&["info", "data.selfenc", "--chunks"]).out).unwrap();
    assert!(info.contains("2 pages at level 1") && info.contains("map pages"), "{info}");
    let lines = home.ok(&["info", "data.selfenc", "--chunks", "--store", &url, "--json"]).out;
    let lines: Vec<serde_json::Value> =
        String::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 701, "the map, and each chunk");
    assert!(
        lines[1..].iter().enumerate().all(|(i, line)| line["offset"] == i * 1024 && line["kind"] == "chunk")
    );
}

#[test]
fn a_small_budget_is_enough_for_a_large_file() {
    let home = Home::new();
    let data = random(20 << 20, 7);
    home.write("data", &data);
    home.ok(&["encrypt", "data", "--memory", "9M", "--threads", "2"]);
    home.ok(&["decrypt", "data.selfenc", "-o", "back", "--memory", "9M", "--threads", "1"]);
    assert!(home.read("back") == data);
}
