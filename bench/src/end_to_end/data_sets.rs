//! The files that are encrypted: random bytes, a tar of real files, JSON lines.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use selfenc_bench::{Result, data};

use super::{Bench, MIB};
use crate::results::DataSet;

/// A file, and what tables say of it.
pub(crate) struct DataFile {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) about: DataSet,
}

/// Makes random bytes, real files, and JSON lines, in this order.
pub(crate) fn prepare(bench: &Bench, real: &[PathBuf], quick: bool) -> Result<[DataFile; 3]> {
    let folder = bench.dir.join("data");
    fs::create_dir(&folder)?;
    let path = |name: &str| folder.join(name);

    let random = path("random.bin");
    fs::write(&random, data::random(usize::try_from(bench.large)?))?;

    let folders = match real {
        [] => vec![data::cargo_sources()?, PathBuf::from("/usr/lib")],
        given => given.iter().map(fs::canonicalize).collect::<std::io::Result<_>>()?,
    };
    let files = path("files.tar");
    tar(&folders, bench.large, &path("list"), &files)?;

    let lines = path("records.jsonl");
    json_lines(if quick { bench.large } else { 256 * MIB }, &lines)?;

    Ok([
        describe("random", random, "bytes that do not compress, the same in every run")?,
        describe("files", files, &format!("tar of files of {}", in_words(&folders)))?,
        describe("JSON lines", lines, "records as a service logs them, the same in every run")?,
    ])
}

fn describe(name: &'static str, path: PathBuf, kind: &str) -> Result<DataFile> {
    let bytes = fs::metadata(&path)?.len();
    Ok(DataFile { name, path, about: DataSet { name: name.to_owned(), kind: kind.to_owned(), bytes } })
}

/// Nothing of the user's home is in it.
fn in_words(folders: &[PathBuf]) -> String {
    let home = std::env::home_dir().unwrap_or_default();
    let shown: Vec<_> = folders
        .iter()
        .map(|folder| match folder.strip_prefix(&home) {
            Ok(below) if !home.as_os_str().is_empty() => format!("~/{}", below.display()),
            _ => folder.display().to_string(),
        })
        .collect();
    shown.join(" and ")
}

/// A tar of about `len` bytes: of each folder the first files in order of their paths, an equal share of each.
fn tar(folders: &[PathBuf], len: u64, list: &Path, tar: &Path) -> Result<()> {
    let mut names = BufWriter::new(File::create(list)?);
    let share = len / folders.len() as u64;
    for folder in folders {
        let mut left = share;
        name_files(folder, &mut left, &mut names)?;
        if left > share / 2 {
            let held = (share - left) / MIB;
            let remedy = "name other folders with --real";
            return Err(format!("{} holds only {held} MiB of files; {remedy}", folder.display()).into());
        }
    }
    names.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    let output = Command::new("tar")
        .args(["--create", "--null", "--no-recursion", "--absolute-names", "--files-from"])
        .arg(list)
        .arg("--file")
        .arg(tar)
        .output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("tar: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

/// Writes paths until they are worth `left` bytes in a tar. What we may not read is left out.
fn name_files(folder: &Path, left: &mut u64, names: &mut impl Write) -> Result<()> {
    const BLOCK: u64 = 512;
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if *left == 0 {
            break;
        }
        if kind.is_dir() {
            name_files(&path, left, names)?;
        } else if kind.is_file() && File::open(&path).is_ok() {
            let bytes = BLOCK + entry.metadata()?.len().next_multiple_of(BLOCK);
            // One that is larger than what is missing would make it another size.
            if bytes <= *left + MIB {
                *left = left.saturating_sub(bytes);
                names.write_all(path.as_os_str().as_bytes())?;
                names.write_all(&[0])?;
            }
        }
    }
    Ok(())
}

/// About `len` bytes of whole lines.
fn json_lines(len: u64, path: &Path) -> Result<()> {
    const ACTIONS: [&str; 6] = ["open", "read", "write", "close", "list", "remove"];
    const LEVELS: [&str; 4] = ["info", "info", "warn", "error"];
    let mut file = BufWriter::new(File::create(path)?);
    let random = data::random(1 << 20);
    let (mut written, mut time, mut at) = (0, 1_700_000_000_000_u64, 0);
    let mut line = Vec::new();
    for number in 0_u64.. {
        if written >= len {
            break;
        }
        // Fourteen bytes decide a line; the number tells lines of the same fourteen apart.
        let bytes = &random[at..at + 14];
        at = (at + 14) % (random.len() - 14);
        let word = |i: usize| u64::from(bytes[i]) | u64::from(bytes[i + 1]) << 8;
        time += word(0) % 1000;
        line.clear();
        writeln!(
            line,
            r#"{{"id":{number},"time":{time},"level":"{}","user":"user-{}","action":"{}","path":"/srv/data/{:02x}/{:04x}","bytes":{},"ms":{}.{},"ok":{}}}"#,
            LEVELS[usize::from(bytes[2] & 3)],
            word(3) % 5000,
            ACTIONS[usize::from(bytes[5]) % ACTIONS.len()],
            bytes[6],
            word(7),
            word(9) * 16,
            bytes[11],
            bytes[12] % 10,
            bytes[13] > 8,
        )?;
        file.write_all(&line)?;
        written += line.len() as u64;
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_are_whole_and_the_same_every_time() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        json_lines(100_000, &one).unwrap();
        json_lines(100_000, &other).unwrap();
        let text = fs::read_to_string(&one).unwrap();
        assert!((100_000..101_000).contains(&text.len()));
        assert_eq!(text, fs::read_to_string(&other).unwrap());
        for line in text.lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].is_u64());
        }
    }

    #[test]
    fn a_tar_has_its_share_of_each_folder_and_too_little_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folders: Vec<_> = ["a", "b"].map(|name| dir.path().join(name)).into();
        for folder in &folders {
            fs::create_dir(folder).unwrap();
            for n in 0..40 {
                fs::write(folder.join(format!("{n}\n")), vec![7; 100_000]).unwrap();
            }
        }
        let (list, file) = (dir.path().join("list"), dir.path().join("tar"));
        tar(&folders, 4 * MIB, &list, &file).unwrap();
        let len = fs::metadata(&file).unwrap().len();
        assert!((4 * MIB..5 * MIB).contains(&len), "{len}");
        let error = tar(&folders, 64 * MIB, &list, &file).unwrap_err().to_string();
        assert!(error.contains("--real"), "{error}");
    }
}
