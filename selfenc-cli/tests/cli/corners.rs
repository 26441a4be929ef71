//! `store test` and `store bench` on a live store: they tell the truth, and leave it as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Home, random};

/// Every path below `dir`, and the bytes of the files.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path, bytes);
    }
    found
}

/// A store with chunks and a published name; its URL, and everything in it.
fn live(home: &Home) -> (String, BTreeMap<PathBuf, Vec<u8>>) {
    home.write("data", random(300_000, 1));
    home.ok(&["keygen", "-o", "key"]);
    let url = format!("file:{}", home.path("chunks").display());
    home.ok(&["encrypt", "data", "--store", &url, "--chunk-size", "64K", "--name", "n", "--key-file", "key"]);
    let before = everything(&home.path("chunks"));
    assert!(before.len() > 256 + 5);
    (url, before)
}

#[test]
fn a_test_tells_how_the_store_did_and_leaves_it_as_it_was() {
    let home = Home::new();
    let (url, before) = live(&home);
    let run = home.ok(&["store", "test", &url, "--filter", "roots::a"]);
    let out = String::from_utf8(run.out).unwrap();
    assert!(out.contains("durability OnPut") && out.contains("\nok: ") && out.contains(" 0 failed"), "{out}");
    assert!(out.contains("selfenc-test-"), "{out}");
    assert_eq!(run.err, "");
    assert_eq!(everything(&home.path("chunks")), before);

    let report = home.json(&["store", "test", &url, "--filter", "durability", "--seed", "7", "--json"]);
    assert_eq!((&report["seed"], &report["scale"]), (&7.into(), &"quick".into()));
    let rows = report["rows"].as_array().unwrap();
    let of = |case: &str| rows.iter().find(|row| row["case"] == case).unwrap()["status"].clone();
    assert!(rows.iter().all(|row| row["case"].as_str().unwrap().contains("durability")), "{rows:?}");
    assert_eq!(of("durability::reopen_without_flush"), "passed");
    assert_eq!(of("durability::second_open"), "passed");
    assert_eq!(everything(&home.path("chunks")), before);
}

#[test]
fn the_default_store_a_mere_folder_and_memory_can_be_tested() {
    let home = Home::new();
    home.fails_with_hint(4, &["store", "test"], "no default store", "by its URL");
    home.write("data", random(10_000, 2));
    home.ok(&["encrypt", "data", "-q"]);
    home.ok(&["store", "test", "--filter", "basic::put_then_get"]);
    fs::create_dir(home.path("empty")).unwrap();
    home.ok(&["store", "test", "file:empty", "--filter", "basic::put_then_get"]);
    assert_eq!(everything(&home.path("empty")).len(), 0);
    let out = home.ok(&["store", "test", "memory:", "--filter", "durability"]).out;
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("gone with its last handle") && out.contains("no hook `second`"), "{out}");
}

#[test]
fn what_cannot_be_tested_is_said_and_nothing_is_made() {
    let home = Home::new();
    for command in ["test", "bench"] {
        home.fails_with_hint(4, &["store", command, "file:nowhere"], "make it", "check the URL");
        home.fails_with_hint(2, &["store", command, "file:"], "'file:' names no path", "file:");
        home.fails_with_hint(2, &["store", command, "file:x%00"], "NUL", "file:");
        home.fails_with_hint(2, &["store", command, "toml:x"], "a toml: store has no corner", "own URLs");
        home.fails_with_hint(2, &["store", command, "gopher:x"], "this build has", "file:");
        home.fails_with_hint(2, &["store", command, "file:.?colour=red"], "'colour'", "file:");
    }
    home.fails_with_hint(2, &["store", "test", "file:.", "--filter", "no such"], "no case", "basic, size");
    home.fails(2, &["store", "test", "file:.", "--full", "--soak"]);
    home.fails_with_hint(2, &["store", "bench", "file:.", "--size", "73M", "--count", "1"], "73", "the most");
    for (case, hint) in [
        (&["list::many_pages"][..], "--full or --soak"),
        (&["id::hundred_thousand_ids", "--full"], "give --soak"),
        (&["errors::fault_table"], "give another --filter"),
    ] {
        // Standard output has the report.
        home.fails_with_hint(
            2,
            &[&["store", "test", "memory:", "--filter"], case].concat(),
            "could be tried",
            hint,
        );
    }
    home.ok(&["store", "test", "memory:", "--filter", "durability::flush_covers_other_tasks"]);
    for bad in
        [["--count", "0"], ["--count", "10000001"], ["--in-flight", "0"], ["--size", "0"], ["--size", "2G"]]
    {
        home.fails(2, &[&["store", "bench", "memory:"][..], &bad].concat());
    }
    assert_eq!(home.files(), [""; 0]);
}

#[test]
fn a_bench_measures_each_operation_and_leaves_the_store_as_it_was() {
    let home = Home::new();
    let (url, before) = live(&home);
    let bench = ["store", "bench", &url, "--size", "10000", "--count", "40", "--in-flight", "4"];
    let json = home.json(&[&bench[..], &["--json"]].concat());
    let round = &json["rounds"][0];
    assert_eq!((&round["chunks"], &json["in_flight"]), (&40.into(), &4.into()));
    let ops = round["ops"].as_array().unwrap();
    let names: Vec<_> = ops.iter().map(|op| op["op"].as_str().unwrap()).collect();
    assert_eq!(names, ["put", "put again", "get", "stat", "list", "delete"]);
    for op in ops {
        let of = |key: &str| op[key].as_f64().unwrap();
        assert!(of("ops_per_s") > 0.0 && of("median_ms") > 0.0 && of("p99_ms") >= of("median_ms"), "{op}");
        let moved = of("ops_per_s") * 10_000.0 / f64::from(1 << 20);
        assert!(op["mib_per_s"].as_f64().is_none_or(|speed| (speed - moved).abs() < moved / 1000.0), "{op}");
    }
    let out = String::from_utf8(home.ok(&bench).out).unwrap();
    assert!(out.contains("40 chunks of") && out.contains("p99") && out.contains("put again"), "{out}");
    assert_eq!(everything(&home.path("chunks")), before);
}

#[cfg(unix)]
mod unix {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::interrupted::{signal, wait_until};
    use crate::support::finish;

    /// Files longer than 64 KiB cannot be written: a store on such a system is a bad one.
    #[test]
    fn failed_cases_are_told_by_the_exit_code_and_cleaned_up_after() {
        let home = Home::new();
        let (url, before) = live(&home);
        let selfenc = env!("CARGO_BIN_EXE_selfenc");
        // Blocks are of 512 bytes or of 1024, as the shell likes.
        let script =
            format!("trap '' XFSZ; ulimit -f 64; exec {selfenc} store test {url} --filter size::boundary");
        let json = finish(&mut home.command_of("sh".as_ref(), &["-c", &format!("{script} --json --full")]));
        assert!(json.err.contains("--seed 1 --full --filter size::boundary"), "{}", json.err);
        let run = finish(&mut home.command_of("sh".as_ref(), &["-c", &script]));
        let out = String::from_utf8(run.out).unwrap();
        assert_eq!(run.code, 5, "{out}{}", run.err);
        assert!(out.contains("\nFAILED:") && out.contains("size::boundary_sizes: breaks"), "{out}");
        let last = run.err.lines().last().unwrap();
        assert!(
            run.err.contains("1 of 1 case failed") && last.contains("--seed 1 --filter size::"),
            "{}",
            run.err
        );
        assert!(last.ends_with("; the suite needs about 200 MiB free"), "{last}");
        assert_eq!(everything(&home.path("chunks")), before);
    }

    fn has_chunks(dir: &Path) -> bool {
        let corner = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let mut corners = corner.filter(|path| path.to_string_lossy().contains("selfenc-test-"));
        let count = |shard: PathBuf| fs::read_dir(shard).map_or(0, Iterator::count);
        corners.any(|corner| (0..=255).any(|shard| count(corner.join(format!("chunks/{shard:02x}"))) > 0))
    }

    #[test]
    fn an_interrupted_run_leaves_the_store_as_it_was() {
        let home = Home::new();
        let (url, before) = live(&home);
        let bench = ["store", "bench", &url, "--size", "4K", "--count", "1000000"];
        for (args, name, code) in [
            (&["store", "test", &url][..], "-INT", 130),
            (&["store", "test", &url, "--json"], "-TERM", 143),
            (&bench, "-INT", 130),
            (&bench, "-HUP", 129),
        ] {
            let mut command = home.command(args);
            let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            wait_until("storing", || has_chunks(&home.path("chunks")));
            signal(&child, name);
            let start = Instant::now();
            let output = child.wait_with_output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert!(start.elapsed() < Duration::from_secs(60), "{args:?}");
            assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
            assert_eq!(err.lines().count(), 1, "{args:?}: {err}");
            assert_eq!(everything(&home.path("chunks")), before, "{args:?}");
        }
    }

    #[test]
    fn cleaning_up_is_given_up_at_a_later_signal_only() {
        let home = Home::new();
        fs::create_dir(home.path("disk")).unwrap();
        let mut command =
            home.command(&["store", "bench", "file:disk", "--size", "4K", "--count", "1000000"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("storing", || has_chunks(&home.path("disk")));
        let corner = fs::read_dir(home.path("disk")).unwrap().next().unwrap().unwrap().path();
        // As a network file system names what somebody still has open: it is waited for.
        fs::write(corner.join("tmp/.nfs01"), "").unwrap();
        let start = Instant::now();
        signal(&child, "-INT");
        // Well within the second after the first in which it is the same wish.
        std::thread::sleep(Duration::from_millis(200));
        signal(&child, "-INT");
        wait_until("cleaning up", || !has_chunks(&home.path("disk")));
        std::thread::sleep(Duration::from_millis(1500).saturating_sub(start.elapsed()));
        signal(&child, "-HUP");
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none(), "it was given up too soon");
        // On a busy machine the first may have been heard late, and the second after it is not over.
        wait_until("the end", || {
            signal(&child, "-TERM");
            std::thread::sleep(Duration::from_millis(300));
            child.try_wait().unwrap().is_some()
        });
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{err}");
        let name = corner.file_name().unwrap().to_str().unwrap();
        assert!(err.contains(&format!("interrupted; file:disk/{name} may be left")), "{err}");
        assert_eq!(err.matches("nterrupt").count() + err.matches("terminated").count(), 1, "{err}");
        assert!(corner.join("tmp/.nfs01").exists());
    }

    #[test]
    fn what_cannot_be_removed_is_named() {
        let home = Home::new();
        fs::create_dir(home.path("disk")).unwrap();
        let mut command =
            home.command(&["store", "bench", "file:disk", "--size", "4K", "--count", "1000000"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("storing", || has_chunks(&home.path("disk")));
        let corner = fs::read_dir(home.path("disk")).unwrap().next().unwrap().unwrap().path();
        fs::write(corner.join("thesis.txt"), "mine").unwrap();
        signal(&child, "-INT");
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{err}");
        let name = corner.file_name().unwrap().to_str().unwrap();
        assert!(err.contains("interrupted") && err.contains(&format!("{name}/thesis.txt")), "{err}");
        assert!(err.lines().last().unwrap().contains("remove it by hand"), "{err}");
        assert_eq!(fs::read(corner.join("thesis.txt")).unwrap(), b"mine");
    }
}
