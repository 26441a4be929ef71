use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A user with an empty home folder, working in `work` below it.
pub(crate) struct Home {
    dir: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        Self { dir }
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("work").join(name)
    }

    pub(crate) fn write(&self, name: &str, data: impl AsRef<[u8]>) {
        fs::write(self.path(name), data).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// What is in the working folder, hidden files included.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn group_secret(&self) -> PathBuf {
        self.root().join("config/selfenc/group-secret")
    }

    pub(crate) fn default_store(&self) -> PathBuf {
        self.root().join("data/selfenc/store")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_selfenc")), args)
    }

    /// As `command`, with the program at another path.
    pub(crate) fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.path("")).stdin(Stdio::null());
        command.env("HOME", self.root());
        command.env("XDG_DATA_HOME", self.root().join("data"));
        command.env("XDG_CONFIG_HOME", self.root().join("config"));
        command.env_remove("SELFENC_STORE").env_remove("RUST_LOG");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    /// Runs what must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Run {
        let run = self.run(args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.err);
        run
    }

    /// Runs what must fail with `code`; what it said.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, code, "{args:?}: {}", run.err);
        run.err
    }

    /// Runs what must fail in our own words: one line, and one hint that contains `hint`.
    pub(crate) fn fails_with_hint(&self, code: i32, args: &[&str], line: &str, hint: &str) {
        one_line_and_hint(&self.fails(code, args), line, hint);
    }

    /// Runs what must succeed with `input` on standard input.
    pub(crate) fn piped(&self, args: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input).unwrap());
            child.wait_with_output().unwrap()
        });
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {err}");
        Run { code: 0, out: output.stdout, err }
    }

    /// Runs what must succeed; the JSON object it prints.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let run = self.ok(args);
        serde_json::from_slice(&run.out)
            .unwrap_or_else(|e| panic!("{args:?}: {e}: {}", String::from_utf8_lossy(&run.out)))
    }
}

/// Checks a failure's words: `selfenc: …line…`, then `hint: …hint…`, and nothing else.
pub(crate) fn one_line_and_hint(err: &str, line: &str, hint: &str) {
    let lines: Vec<_> = err.lines().collect();
    assert_eq!(lines.len(), 2, "{err}");
    assert!(lines[0].starts_with("selfenc: ") && lines[0].contains(line), "want '{line}': {err}");
    assert!(lines[1].starts_with("hint: ") && lines[1].contains(hint), "want '{hint}': {err}");
}

pub(crate) fn finish(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    Run { code: output.status.code().unwrap_or(-1), out: output.stdout, err }
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next).take(len / 8 + 1).flatten().collect();
    bytes.truncate(len);
    bytes
}

/// The names of a store's chunks.
pub(crate) fn chunk_names(home: &Home, url: &str) -> Vec<String> {
    let run = home.ok(&["store", "list", url]);
    let text = String::from_utf8(run.out).unwrap();
    text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// The file in which the file store under `dir` keeps the chunk `name`, however it shards.
pub(crate) fn chunk_file(dir: &Path, name: &str) -> PathBuf {
    fn search(dir: &Path, name: &str, above: &str) -> Option<PathBuf> {
        fs::read_dir(dir).unwrap().find_map(|entry| {
            let entry = entry.unwrap();
            let joined = format!("{above}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                search(&entry.path(), name, &joined)
            } else {
                joined.contains(name).then(|| entry.path())
            }
        })
    }
    search(dir, name, "").unwrap_or_else(|| panic!("no file for {name} under {}", dir.display()))
}
