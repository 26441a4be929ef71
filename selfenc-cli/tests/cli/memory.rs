//! Peak memory stays within the budget and 64 MiB, whatever the size of the file.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Home, random};

const BUDGET_MIB: u64 = 16;
const ALLOWED_MIB: u64 = BUDGET_MIB + 64;
/// Much more than is allowed.
const FILE_MIB: usize = 256;

/// Runs to the end and gives the peak of resident memory in MiB. The kernel's mark only ever rises, so
/// the last reading is the peak but for what the last two milliseconds add.
fn peak_of(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut readings) = (0, 0);
    loop {
        if let Some(kib) = fs::read_to_string(&status).ok().as_deref().and_then(high_water_mark) {
            (peak, readings) = (kib / 1024, readings + 1);
        }
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success());
            assert!(readings > 0, "it was watched");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// `mib` MiB, no two chunks of which are alike.
fn different_chunks(mib: usize) -> Vec<u8> {
    let one = random(1 << 20, 7);
    let mut data = Vec::with_capacity(mib << 20);
    for n in 0..mib {
        data.extend_from_slice(&one);
        data[n << 20..(n << 20) + 8].copy_from_slice(&n.to_le_bytes());
    }
    data
}

#[test]
fn a_large_file_takes_no_more_than_the_budget_allows() {
    let home = Home::new();
    home.write("large", different_chunks(FILE_MIB));
    let memory = format!("{BUDGET_MIB}M");
    for chunking in [&["--chunk-size", "1M"][..], &["--cdc", "64K,256K,1M"]] {
        let encrypt = ["encrypt", "large", "--suite", "0x11", "--force", "--memory", memory.as_str()];
        let peak = peak_of(&mut home.command(&[&encrypt[..], chunking].concat()));
        assert!((BUDGET_MIB / 2..=ALLOWED_MIB).contains(&peak), "encrypt {chunking:?}: {peak} MiB");
        let verify = ["verify", "large.selfenc", "--memory", memory.as_str()];
        let peak = peak_of(&mut home.command(&verify));
        assert!((BUDGET_MIB / 2..=ALLOWED_MIB).contains(&peak), "verify {chunking:?}: {peak} MiB");
    }
}

/// Their chunks have almost 4 MiB, and brotli's memory comes on top.
#[test]
fn a_large_file_of_the_old_formats_takes_no_more_than_the_budget_allows() {
    const BUDGET_MIB: u64 = 64;
    let home = Home::new();
    home.write("large", different_chunks(FILE_MIB));
    let within = 4..=BUDGET_MIB + 64;
    let run = |args: &[&str]| {
        let peak = peak_of(&mut home.command(&[args, &["--memory", "64M"]].concat()));
        eprintln!("{args:?}: {peak} MiB");
        assert!(within.contains(&peak), "{args:?}: {peak} MiB");
    };
    for suite in ["se1", "se2"] {
        let (old, map) = (format!("file:{suite}?layout=flat"), format!("{suite}.map"));
        run(&["encrypt", "large", "--suite", suite, "--store", &old, "-o", &map]);
        run(&["verify", &map, "--store", &old]);
        let new = ["--to-store", "file:new", "-o", "new.selfenc", "--force"];
        run(&[&["convert", "--from", suite, &map, "--store", &old][..], &new].concat());
    }
}
