//! `SELFENC_KERNELS`, each value in a process of its own.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use selfenc_kernels::{ForcedError, Path, VARIABLE};

/// Runs `is_obeyed` alone, with this value.
fn succeeds_with(value: &str) {
    let tests = std::env::current_exe().unwrap();
    let run = Command::new(tests).args(["--exact", "is_obeyed"]).env(VARIABLE, value).output().unwrap();
    let report = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{value}: {report}");
    assert!(report.contains("1 passed"), "{value}: {report}");
}

/// Whatever the variable holds here: it is obeyed, or refused and then not obeyed.
#[test]
fn is_obeyed() {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    let (forced, current) = match value.as_str() {
        "" => (Ok(None), Path::detected()),
        name => match name.parse::<Path>() {
            Ok(path) if Path::available().contains(&path) => (Ok(Some(path)), path),
            Ok(path) => (Err(ForcedError::Unavailable(path)), Path::detected()),
            Err(error) => (Err(error), Path::detected()),
        },
    };
    assert_eq!(Path::forced(), forced);
    assert_eq!(Path::current(), current);
}

#[test]
#[cfg_attr(miri, ignore = "starts processes")]
fn every_value_is_obeyed_or_refused() {
    for value in ["", "portable", "avx2", "avx512", "AVX2", "fast"] {
        succeeds_with(value);
    }
}
