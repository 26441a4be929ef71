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
            assert!(readings > 20, "it ran long enough to be watched");
            return peak;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn a_large_file_takes_no_more_than_the_budget_allows() {
    let home = Home::new();
    let mib = random(1 << 20, 7);
    let mut data = Vec::with_capacity(FILE_MIB << 20);
    for n in 0..FILE_MIB {
        data.extend_from_slice(&mib);
        // No two chunks alike.
        data[n << 20..(n << 20) + 8].copy_from_slice(&n.to_le_bytes());
    }
    home.write("large", &data);
    drop(data);
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
