//! A MinIO that a test kills and starts again. Also used by the tests of the command.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const BUCKET: &str = "selfenc";
pub const USER: &str = "selfenc-test";

/// A server process with a folder of its own. Both end with this.
#[derive(Debug)]
pub struct Minio {
    program: OsString,
    folder: TempDir,
    pub port: u16,
    pub secret: String,
    child: Child,
}

impl Drop for Minio {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Minio {
    /// With one bucket, on a port that is free now; another, if somebody takes it meanwhile.
    pub fn start(program: OsString) -> Self {
        let folder = TempDir::with_prefix("selfenc-minio-").unwrap();
        // A folder in the data is a bucket.
        std::fs::create_dir_all(folder.path().join("data").join(BUCKET)).unwrap();
        // Known to whoever may read the folder, and gone with it.
        let secret = folder.path().file_name().unwrap().to_string_lossy().into_owned();
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = spawn(&program, &folder, port, &secret);
            if wait_ready(&mut child, port) {
                return Self { program, folder, port, secret, child };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("MinIO does not start: {}", std::fs::read_to_string(folder.path().join("log")).unwrap());
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// As `SIGKILL` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// On the same port and folder.
    pub fn start_again(&mut self) {
        let start = Instant::now();
        loop {
            self.child = spawn(&self.program, &self.folder, self.port, &self.secret);
            if wait_ready(&mut self.child, self.port) {
                return;
            }
            self.kill();
            assert!(start.elapsed() < Duration::from_secs(60), "MinIO does not start again");
        }
    }

    /// Where it keeps the bucket's objects, each as a folder.
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("data").join(BUCKET)
    }
}

fn spawn(program: &OsString, folder: &TempDir, port: u16, secret: &str) -> Child {
    let log = File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
    Command::new(program)
        .args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")])
        .arg(folder.path().join("data"))
        .env("HOME", folder.path())
        .env("MINIO_ROOT_USER", USER)
        .env("MINIO_ROOT_PASSWORD", secret)
        .env("MINIO_UPDATE", "off")
        .env("MINIO_BROWSER", "off")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run {}: {e}", program.display()))
}

/// Whether it serves, before half a minute is over; `false` if it ended.
fn wait_ready(child: &mut Child, port: u16) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if is_ready(port) {
            return true;
        }
        sleep(Duration::from_millis(20));
    }
    false
}

fn is_ready(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /minio/health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        std::io::Result::Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
