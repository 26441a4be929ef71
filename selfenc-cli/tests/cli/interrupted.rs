//! Runs that end before their time leave no half file.
#![cfg(unix)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Home, random};

pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits until `done`, or fails after a minute.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not happen");
        sleep(Duration::from_millis(1));
    }
}

fn part_of(home: &Home) -> Option<u64> {
    let part = home.files().into_iter().find(|name| name.ends_with(".part"))?;
    fs::metadata(home.path(&part)).ok().map(|meta| meta.len())
}

#[test]
fn an_interrupted_encryption_leaves_no_map() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let home = Home::new();
        let mut command =
            home.command(&["encrypt", "-", "-o", "map", "--chunk-size", "64K", "--compress", "none"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Standard input stays open, so that the run can only end by the signal.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&random(1 << 20, 1)).unwrap();
        wait_until("storing", || {
            home.run(&["store", "stat", "--json"]).out.windows(11).any(|w| w == b"\"chunks\":16")
        });
        assert!(part_of(&home).is_some(), "the map's temporary file is made first");
        signal(&child, name);
        let start = Instant::now();
        let status = child.wait().unwrap();
        assert!(start.elapsed() < Duration::from_secs(60));
        assert_eq!((status.code(), status.signal()), (Some(code), None));
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(err.lines().filter(|line| line.starts_with("selfenc: ")).count(), 1, "{err}");
        assert_eq!(home.files(), [""; 0]);
        home.ok(&["store", "scrub"]);
        drop(stdin);
    }
}

#[test]
fn an_interrupted_decryption_leaves_no_file() {
    let home = Home::new();
    let data = random(96 << 20, 2);
    home.write("data", &data);
    home.ok(&["encrypt", "data", "--compress", "none", "--suite", "0x11"]);
    for _ in 0..20 {
        home.write("data", "the old file");
        let mut command = home.command(&["decrypt", "data.selfenc", "--force", "--threads", "1"]);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut has_ended = false;
        wait_until("writing", || {
            has_ended = child.try_wait().unwrap().is_some();
            has_ended || part_of(&home).is_some_and(|len| len > 0)
        });
        if !has_ended {
            signal(&child, "-TERM");
        }
        let code = child.wait().unwrap().code();
        assert_eq!(home.files(), ["data", "data.selfenc"], "{code:?}");
        // If the whole file is there, the signal came too late to interrupt anything.
        if home.read("data") != data {
            assert_eq!(code, Some(143));
            assert!(home.read("data") == b"the old file", "half a file");
            return;
        }
    }
    panic!("no run was interrupted");
}

#[test]
fn a_reader_that_leaves_early_is_no_accident() {
    let home = Home::new();
    home.write("data", random(4 << 20, 3));
    home.ok(&["encrypt", "data", "-q"]);
    for args in [&["cat", "data.selfenc"][..], &["decrypt", "data.selfenc", "-o", "-"]] {
        let mut child = home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        assert_eq!(output.status.code(), Some(141), "{args:?}");
    }
}

#[test]
fn a_closed_output_is_no_panic() {
    let home = Home::new();
    home.write("data", random(100_000, 4));
    home.ok(&["encrypt", "data", "-q"]);
    for args in
        ["cat data.selfenc", "info data.selfenc", "store list", "--help", "completions bash", "names --json"]
    {
        for close in [">&-", "2>&-", "<&- >&- 2>&-"] {
            let script = format!("exec {} {args} {close}", env!("CARGO_BIN_EXE_selfenc"));
            let status =
                home.command_of("sh".as_ref(), &["-c", &script]).stdout(Stdio::null()).status().unwrap();
            assert!(matches!(status.code(), Some(0 | 1 | 141)), "{script}: {status:?}");
        }
    }
}

#[test]
fn a_pipe_is_written_as_it_is() {
    let home = Home::new();
    let data = random(300_000, 5);
    home.write("data", &data);
    home.ok(&["encrypt", "data", "-q"]);
    assert!(Command::new("mkfifo").arg(home.path("pipe")).status().unwrap().success());
    let path = home.path("pipe");
    let reader = std::thread::spawn(move || fs::read(path).unwrap());
    home.ok(&["decrypt", "data.selfenc", "-o", "pipe"]);
    assert!(reader.join().unwrap() == data);
    assert_eq!(home.files(), ["data", "data.selfenc", "pipe"]);
}
