//! What takes a second process: a store that is in use, and a disk that is full.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use selfenc_core::store::{BlockingEngine, Error, ErrorKind, OpenMode};
use selfenc_sled::{SledConfig, SledEngine};
use support::{by_sled_alone, chunk};

/// Where the child's store is.
const CHILD: &str = "SELFENC_SLED_CHILD";

fn open(dir: &Path, mode: OpenMode) -> selfenc_core::store::Result<SledEngine> {
    SledConfig::new(dir).open_engine(mode)
}

/// If this process is the child, the place to work on.
fn place_of_child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// This binary again, to run one test only.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(CHILD, dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// The test runner writes to the same pipe, and may leave a line unfinished.
fn say(line: &str) {
    std::io::stdout().write_all(format!("\n@child {line}\n").as_bytes()).unwrap();
}

fn said(line: &str) -> Option<&str> {
    line.strip_prefix("@child ")
}

#[test]
fn locked_by_another_process() {
    if let Some(dir) = place_of_child() {
        let _engine = open(&dir, OpenMode::Create).unwrap();
        say("open");
        // Until the parent closes the pipe.
        let _ = std::io::stdin().read_line(&mut String::new());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let mut running = child("locked_by_another_process", &dir).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| said(&line) == Some("open")), "the child did not open the store");
    for mode in [OpenMode::Existing, OpenMode::Create] {
        let refused = || {
            let start = Instant::now();
            let e = open(&dir, mode).unwrap_err();
            assert!(e.kind() == ErrorKind::Locked && e.to_string().contains("close it"), "{e}");
            start.elapsed()
        };
        // Who waits for sled's own lock waits 2 s each time; who does not is held up only by a busy machine.
        let quickest = std::iter::repeat_with(refused).take(5).min().unwrap();
        assert!(quickest < Duration::from_secs(2), "it waited {quickest:?}");
    }
    // SIGKILL: a lock goes with its process.
    running.kill().unwrap();
    running.wait().unwrap();
    open(&dir, OpenMode::Existing).unwrap();
}

#[test]
fn locked_by_sled_in_other_hands() {
    // Another program that opened sled's own folder: sled's lock is all there is.
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), OpenMode::Create).unwrap());
    let theirs = by_sled_alone(folder.path());
    let e = open(folder.path(), OpenMode::Existing).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Locked, "{e}");
    drop(theirs);
    open(folder.path(), OpenMode::Existing).unwrap();
}

/// Chunks of the test below, until one is refused.
fn fill(engine: &SledEngine) -> (u64, Error) {
    for n in 0..10_000 {
        let (id, data) = chunk(n, 50_000);
        match engine.put(id, &data).and_then(|_| engine.flush()) {
            Ok(()) => say(&format!("kept {n}")),
            Err(e) => return (n, e),
        }
    }
    panic!("the disk was never full");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_full_and_loses_nothing() {
    if let Some(dir) = place_of_child() {
        let engine = open(&dir, OpenMode::Create).unwrap();
        let (count, e) = fill(&engine);
        assert_eq!(e.kind(), ErrorKind::Full, "{e}");
        assert!(e.to_string().contains("make room and open the store again") && !e.is_transient(), "{e}");
        // What sled has in its cache can be read; for the rest it repeats the error.
        for n in 0..count {
            let (id, data) = chunk(n, 50_000);
            match engine.get(id) {
                Ok(got) => assert!(got == Some(data), "chunk {n}"),
                Err(e) => assert_eq!(e.kind(), ErrorKind::Full, "chunk {n}: {e}"),
            }
        }
        let (id, data) = chunk(20_000, 10);
        // It stays so until it is opened again, and never says `Ok` for what it cannot keep.
        let again = engine.put(id, &data).and_then(|_| engine.flush()).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Full, "{again}");
        drop(engine);
        say("full");
        return;
    }
    // The shell makes files longer than the limit an error (EFBIG) instead of a signal.
    for blocks in (2048..9000).step_by(613) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        let inner = child("a_full_disk_is_full_and_loses_nothing", &dir);
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(inner.get_program()).args(inner.get_args()).env(CHILD, &dir);
        let output = shell.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<_> = text.lines().filter_map(said).collect();
        assert!(output.status.success() && lines.last() == Some(&"full"), "{blocks}: {output:?}");
        let kept: Vec<u64> =
            lines.iter().filter_map(|line| line.strip_prefix("kept ")?.parse().ok()).collect();
        assert!(kept.len() > 3, "{blocks}: {lines:?}");
        // There is room again.
        let engine = open(&dir, OpenMode::Existing).unwrap();
        for n in &kept {
            let (id, data) = chunk(*n, 50_000);
            assert!(
                engine.get(id).unwrap() == Some(data),
                "{blocks}: chunk {n} was acknowledged and is lost"
            );
        }
        for meta in engine.page(None).unwrap() {
            assert_eq!(engine.get(meta.id).unwrap().map(|data| data.len()), Some(50_000), "{blocks}");
        }
        let (id, data) = chunk(20_000, 50_000);
        engine.put(id, &data).unwrap();
        engine.flush().unwrap();
        assert_eq!(engine.get(id).unwrap(), Some(data));
    }
}
