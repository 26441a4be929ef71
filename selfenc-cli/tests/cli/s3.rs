//! The command over MinIO, which the tests start themselves: killed in the middle, and the command killed
//! in the middle. `SELFENC_TEST_MINIO` names the program; `scripts/minio.sh test` sets it.
#![cfg(unix)]

#[path = "../../../backends/s3/tests/minio/mod.rs"]
mod minio;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use minio::{BUCKET, Minio, USER};

use crate::interrupted::{signal, wait_until};
use crate::support::{Home, random};

const CHUNK: usize = 64 << 10;
/// The chunks of a file of the tests.
const COUNT: usize = 256;

/// MinIO, if there is one; else this says so, once, or fails where it is required.
fn started() -> Option<Minio> {
    if let Some(program) = env::var_os("SELFENC_TEST_MINIO") {
        return Some(Minio::start(program));
    }
    let required = env::var_os("SELFENC_REQUIRE_S3").is_some_and(|value| value != "0");
    assert!(!required, "SELFENC_REQUIRE_S3 is set, and SELFENC_TEST_MINIO is not");
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let line = "NOT EXERCISED selfenc over MinIO: SELFENC_TEST_MINIO is not set; `scripts/minio.sh test` \
                    runs this\n";
        // Past the test runner's capture. If standard error is closed there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    });
    None
}

fn url(port: u16) -> String {
    format!("s3://{BUCKET}/some/files?endpoint=http://127.0.0.1:{port}&region=us-east-1")
}

fn with_keys(mut command: Command, minio: &Minio) -> Command {
    command.env("AWS_ACCESS_KEY_ID", USER).env("AWS_SECRET_ACCESS_KEY", &minio.secret);
    command.env_remove("AWS_SESSION_TOKEN").env_remove("AWS_ENDPOINT_URL").env_remove("AWS_ENDPOINT_URL_S3");
    command
}

fn encrypt(home: &Home, minio: &Minio, input: &str, url: &str) -> Command {
    let args = ["encrypt", input, "-o", "map", "--store", url, "--chunk-size", "64K", "--compress", "none"];
    with_keys(home.command(&[&args[..], &["--force", "-q"]].concat()), minio)
}

/// Runs what must succeed.
fn ok(mut command: Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn check_decrypts(home: &Home, minio: &Minio, url: &str, data: &[u8]) {
    let back = ok(with_keys(home.command(&["cat", "map", "--store", url]), minio));
    assert!(back == data, "what comes back is something else");
}

/// The chunks that MinIO holds: a folder for each.
fn stored(minio: &Minio) -> usize {
    let Ok(shards) = fs::read_dir(minio.objects().join("some/files/chunks")) else { return 0 };
    shards.map(|shard| fs::read_dir(shard.unwrap().path()).map_or(0, Iterator::count)).sum()
}

/// Encrypts standard input, of which `first` has been fed and half is stored, and so is more than there was.
fn half_fed(home: &Home, minio: &Minio, url: &str, first: &[u8], stored_before: usize) -> Child {
    let mut command = encrypt(home, minio, "-", url);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(first).unwrap();
    let enough = (first.len() / CHUNK / 2).max(stored_before + 16);
    wait_until("storing half of what was fed", || stored(minio) >= enough);
    child
}

#[test]
fn a_file_goes_there_and_back() {
    let Some(minio) = started() else { return };
    let (home, url) = (Home::new(), url(minio.port));
    let data = random(COUNT * CHUNK + 1234, 1);
    home.write("data", &data);
    ok(encrypt(&home, &minio, "data", &url));
    check_decrypts(&home, &minio, &url, &data);
    ok(with_keys(home.command(&["verify", "map", "--store", &url]), &minio));
    ok(with_keys(home.command(&["store", "scrub", &url]), &minio));
    // No credentials, and wrong ones: said in words that help.
    let mut command = home.command(&["cat", "map", "--store", &url]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let said = |mut command: Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let none = said(command);
    assert!(none.contains("AWS_ACCESS_KEY_ID"), "{none}");
    let mut command = with_keys(home.command(&["cat", "map", "--store", &url]), &minio);
    command.env("AWS_SECRET_ACCESS_KEY", "0123456789012345678901234567890123456789");
    let wrong = said(command);
    assert!(wrong.contains("AWS_SECRET_ACCESS_KEY") && !wrong.contains("0123456789"), "{wrong}");
}

/// Who asks for all logs gets no key, no signature and no whole name of a chunk.
#[test]
fn logs_hold_no_secret() {
    let Some(minio) = started() else { return };
    let (home, url) = (Home::new(), url(minio.port));
    home.write("data", random(3 * CHUNK, 4));
    let mut command = encrypt(&home, &minio, "data", &url);
    let output = command.env("RUST_LOG", "trace").output().unwrap();
    assert!(output.status.success());
    let logs = String::from_utf8_lossy(&output.stderr);
    assert!(logs.contains("selfenc"), "they are there: {logs}");
    let name = fs::read_dir(minio.objects().join("some/files/chunks")).unwrap().next().unwrap().unwrap();
    let rest = fs::read_dir(name.path()).unwrap().next().unwrap().unwrap().file_name();
    for secret in [&minio.secret, rest.to_str().unwrap(), "Signature=", "Credential="] {
        assert!(!logs.contains(secret), "{secret} in {logs}");
    }
}

#[test]
fn encryption_survives_that_the_server_is_killed() {
    let data = random(COUNT * CHUNK, 2);
    let (first, rest) = data.split_at(data.len() / 2);
    for tries_left in (0..3).rev() {
        let Some(mut minio) = started() else { return };
        let (home, url) = (Home::new(), url(minio.port));
        let mut child = half_fed(&home, &minio, &url, first, 0);
        minio.kill();
        let mut stdin = child.stdin.take().unwrap();
        let away = thread::scope(|scope| {
            // It is fed while nobody answers. If it gives up, its status tells.
            scope.spawn(move || drop(stdin.write_all(rest)));
            thread::sleep(Duration::from_millis(300));
            let start = Instant::now();
            minio.start_again();
            start.elapsed()
        });
        let output = child.wait_with_output().unwrap();
        // It waits for 16 s on average, and at times for much less.
        if !output.status.success() && away > Duration::from_secs(4) && tries_left > 0 {
            continue;
        }
        assert!(output.status.success(), "{away:?}: {}", String::from_utf8_lossy(&output.stderr));
        check_decrypts(&home, &minio, &url, &data);
        assert_eq!(stored(&minio), COUNT);
        return;
    }
}

#[test]
fn an_encryption_that_was_killed_goes_on_without_storing_twice() {
    let Some(minio) = started() else { return };
    let counter = Counter::start(minio.port);
    let (home, url) = (Home::new(), url(counter.port));
    let data = random(COUNT * CHUNK, 3);
    home.write("data", &data);
    let mut stored_before = 0;
    // Killed, and interrupted, each a bit further on.
    for (part, name) in [(3, "-KILL"), (2, "-INT")] {
        let child = half_fed(&home, &minio, &url, &data[..data.len() / part], stored_before);
        signal(&child, name);
        assert!(!child.wait_with_output().unwrap().status.success());
        assert!(!home.files().contains(&"map".to_owned()));
        assert!(stored(&minio) > stored_before, "nothing more was stored");
        stored_before = stored(&minio);
    }
    ok(encrypt(&home, &minio, "data", &url));
    check_decrypts(&home, &minio, &url, &data);
    let names = chunk_names_there(&home, &minio, &url);
    assert_eq!((names, stored(&minio)), (COUNT, COUNT));
    // Each chunk was written once, in all three runs together. One that was on its way when its client was
    // killed may have been written with nobody there to hear of it.
    let written = counter.count("PUT", 200);
    assert!(written <= COUNT && written + 64 >= COUNT, "{written} of {COUNT} chunks were written");

    // Once duplicates are seen, their bodies are not sent any more.
    counter.forget();
    ok(encrypt(&home, &minio, "data", &url));
    let (bodies, looks) = (counter.of("PUT"), counter.of("HEAD"));
    assert_eq!(counter.count("PUT", 200), 0);
    assert!(bodies <= 64 && looks >= COUNT - 64, "{bodies} bodies and {looks} looks for {COUNT} old chunks");
    println!("again: {bodies} bodies, {looks} looks for {COUNT} chunks");
}

fn chunk_names_there(home: &Home, minio: &Minio, url: &str) -> usize {
    let run = ok(with_keys(home.command(&["store", "list", url]), minio));
    String::from_utf8(run).unwrap().lines().count()
}

/// Stands in front of a server and counts what is asked of chunks, and what is answered.
struct Counter {
    port: u16,
    answers: Answers,
}

/// How often a method was answered with a status.
type Answers = Arc<Mutex<BTreeMap<(String, u16), usize>>>;

impl Counter {
    /// For as long as the process lives.
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Nobody there: the client sees the end of the connection.
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                watch(client, server, &shared);
            }
        });
        Self { port, answers }
    }

    fn count(&self, method: &str, status: u16) -> usize {
        self.answers.lock().unwrap().get(&(method.to_owned(), status)).copied().unwrap_or(0)
    }

    fn of(&self, method: &str) -> usize {
        self.answers.lock().unwrap().iter().filter(|((m, _), _)| m == method).map(|(_, count)| count).sum()
    }

    fn forget(&self) {
        self.answers.lock().unwrap().clear();
    }
}

/// Passes both ways on what comes, and looks at the beginnings. A client sends no request before it has the
/// answer to the last, so the first bytes of an answer tell how the last request went.
fn watch(client: TcpStream, server: TcpStream, answers: &Answers) {
    let asked: Arc<Mutex<Option<String>>> = Arc::default();
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let asking = Arc::clone(&asked);
    // A request line begins a read: the head of a request is sent at once, after an answer.
    thread::spawn(move || {
        pass(from, to, |bytes| {
            let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let method = line.split(' ').next().unwrap_or_default();
            if line.ends_with(" HTTP/1.1") && line.contains("/chunks/") {
                *asking.lock().unwrap() = Some(method.to_owned());
            }
        });
    });
    let answers = Arc::clone(answers);
    thread::spawn(move || {
        pass(server, client, |bytes| {
            let status = bytes.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
            let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            let Some(status) = status else { return };
            if let Some(method) = asked.lock().unwrap().take() {
                *answers.lock().unwrap().entry((method, status)).or_default() += 1;
            }
        });
    });
}

/// Until either end is gone.
fn pass(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        look(&buffer[..len]);
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
