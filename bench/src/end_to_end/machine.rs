//! Where it runs, and which programs it measures.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use selfenc_bench::Result;

use super::Bench;
use super::child::Script;
use crate::results::Machine;

/// How each program tells its version. `self_encryption` is a library, pinned in `Cargo.toml`.
const PROGRAMS: [(&str, &str); 7] = [
    ("selfenc", "\"$SELFENC\" --version"),
    ("age", "age --version"),
    ("zstd", "zstd --version"),
    ("restic", "restic version"),
    ("borg", "borg --version"),
    ("rclone", "rclone version"),
    ("GNU time", "/usr/bin/time --version"),
];

/// Describes it; fails where a program is missing.
pub(crate) fn describe(bench: &Bench) -> Result<Machine> {
    let mut versions = BTreeMap::from([("self_encryption".to_owned(), "0.36.2".to_owned())]);
    let variables = [("SELFENC", bench.selfenc.display().to_string()), ("HOME", "/nonexistent".to_owned())];
    let say = |lines: &str| Script { lines, folder: &bench.dir, variables: &variables }.run();
    for (program, lines) in PROGRAMS {
        let said = say(lines).map_err(|e| format!("{e}; bench/run.sh installs what is measured"))?;
        versions.insert(program.to_owned(), version(&said));
    }
    Ok(Machine {
        date: say("date -u +%F")?.trim().to_owned(),
        cores: thread::available_parallelism()?.get(),
        cpu: field(&fs::read_to_string("/proc/cpuinfo")?, "model name"),
        memory_bytes: kib(&field(&fs::read_to_string("/proc/meminfo")?, "MemTotal")),
        kernel: say("uname -sr")?.trim().to_owned(),
        filesystem: say("findmnt -n -o FSTYPE -T . || stat -f -c %T .")?.trim().to_owned(),
        kernels: selfenc_kernels::Path::current().name().to_owned(),
        versions,
    })
}

/// The first word with a digit and a dot in the first line, and else the last word.
fn version(said: &str) -> String {
    let words = || said.lines().next().unwrap_or_default().split_whitespace();
    let numbered = |word: &&str| word.contains('.') && word.contains(|c: char| c.is_ascii_digit());
    let word = words().find(numbered).or_else(|| words().last()).unwrap_or("unknown");
    word.trim_start_matches(['v', '*']).trim_end_matches([',', '*']).to_owned()
}

/// The value of the first line `name : value`, as files in /proc have them.
fn field(text: &str, name: &str) -> String {
    let value = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
    value.map_or("unknown", |(_, value)| value.trim()).to_owned()
}

/// Bytes of "1024 kB".
fn kib(text: &str) -> u64 {
    text.split(' ').next().and_then(|number| number.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, expected) in [
            ("selfenc 0.1.0\n", "0.1.0"),
            ("1.1.1\n", "1.1.1"),
            ("*** Zstandard CLI (64-bit) v1.5.4, by Yann Collet ***", "1.5.4"),
            ("restic 0.14.0 compiled with go1.19.8 on linux/amd64", "0.14.0"),
            ("rclone v1.60.1-DEV\n- os/version: debian 12", "1.60.1-DEV"),
            ("time (GNU Time) UNKNOWN\n", "UNKNOWN"),
            ("", "unknown"),
        ] {
            assert_eq!(version(said), expected);
        }
    }

    #[test]
    fn fields_of_proc() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nMemTotal:       1024 kB\n";
        assert_eq!(field(text, "model name"), "AMD EPYC");
        assert_eq!(kib(&field(text, "MemTotal")), 1 << 20);
        assert_eq!(field(text, "flags"), "unknown");
    }
}
