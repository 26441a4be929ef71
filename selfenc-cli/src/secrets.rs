//! Files of 32 secret bytes, as 64 hex digits and a line break: group secrets and map keys.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use selfenc::{GroupSecret, SealKey};
use zeroize::Zeroizing;

use crate::exit::{Context, Failure, Result};
use crate::folders::{config_dir, create_private_dir};
use crate::ui::Ui;

/// Longer files are not read to their end.
const MAX_FILE: u64 = 128;

/// The user's own group secret, made at first use.
pub(crate) fn default_group_secret(ui: Ui) -> Result<GroupSecret> {
    let (dir, path) = (config_dir()?, group_secret_path()?);
    if !path.try_exists().context(format_args!("cannot look for '{}'", path.display()))? {
        create_private_dir(&dir)?;
        let made = write_new(&path, GroupSecret::generate()?.expose());
        // Another run may have been first; then its secret is the one.
        match made {
            Ok(()) => ui.say(&format!(
                "made a group secret in {}: only its holders deduplicate with you; keep a copy",
                path.display()
            )),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Failure::io(format_args!("cannot make '{}'", path.display()), &e)),
        }
    }
    read_group_secret(&path)
}

/// Where the user's own group secret is kept.
pub(crate) fn group_secret_path() -> Result<PathBuf> {
    Ok(config_dir()?.join("group-secret"))
}

/// The group secret in `path`, which must exist.
pub(crate) fn read_group_secret(path: &Path) -> Result<GroupSecret> {
    let secret = GroupSecret::from_bytes(*read(path)?);
    secret.map_err(|e| Failure::from(e).hint(format!("make one with 'selfenc keygen -o {}'", path.display())))
}

/// The key that seals maps in `path`, which must exist.
pub(crate) fn read_seal_key(path: &Path) -> Result<SealKey> {
    Ok(SealKey::from_bytes(*read(path)?))
}

/// Writes 32 secret bytes to a new file, readable by its owner alone. It appears whole or not at all.
pub(crate) fn write_new(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // tempfile makes its files with O_EXCL and mode 0600.
    let mut file = tempfile::Builder::new().prefix(".selfenc-").tempfile_in(dir)?;
    let mut text = Zeroizing::new([b'\n'; 65]);
    for (pair, byte) in text.chunks_exact_mut(2).zip(secret) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    file.write_all(text.as_ref())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    crate::output::sync_dir(dir)
}

fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let what = || format!("cannot read the secret file '{}'", path.display());
    let mut file = File::open(path).map_err(|e| {
        let missing = e.kind() == io::ErrorKind::NotFound;
        let failure = Failure::io(what(), &e);
        let hint = format!("make one with 'selfenc keygen -o {}'", path.display());
        if missing { failure.hint(hint) } else { failure.hint("check the path and its permissions") }
    })?;
    refuse_shared(path, &file)?;
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_FILE).unwrap_or_default() + 1));
    Read::by_ref(&mut file).take(MAX_FILE).read_to_end(&mut text).context(what())?;
    parse(text.trim_ascii()).ok_or_else(|| {
        Failure::new(format!("'{}' is not a secret file: it should hold 64 hex digits", path.display()))
            .hint("'selfenc keygen -o FILE' makes one")
    })
}

#[cfg(unix)]
fn refuse_shared(path: &Path, file: &File) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let meta = file.metadata().context(format_args!("cannot read '{}'", path.display()))?;
    // A pipe, as in --secret-file <(…), is no file that others could open.
    if meta.is_file() && meta.permissions().mode() & 0o077 != 0 {
        let shown = path.display();
        return Err(Failure::new(format!("'{shown}' holds a secret, and others than its owner may read it"))
            .hint(format!("run 'chmod 600 {shown}' if nobody has read it, else make a new one")));
    }
    Ok(())
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)] // elsewhere than on Unix there are no mode bits to check
fn refuse_shared(_: &Path, _: &File) -> Result<()> {
    Ok(())
}

fn parse(digits: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Where a key file goes, and the hint if it cannot.
pub(crate) fn make_key_file(path: &Path) -> Result<()> {
    write_new(path, SealKey::generate()?.expose()).map_err(|e| {
        let exists = e.kind() == io::ErrorKind::AlreadyExists;
        let failure = Failure::io(format_args!("cannot make '{}'", path.display()), &e);
        if exists { failure.hint("a key is never overwritten; choose another name") } else { failure }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_back_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let secret = *b"a secret of exactly 32 bytes....";
        write_new(&path, &secret).unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), 65);
        assert_eq!(*read(&path).unwrap(), secret);
        assert_eq!(write_new(&path, &[1; 32]).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(*read(&path).unwrap(), secret);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn anything_but_64_digits_is_refused() {
        for bad in [&b""[..], &[b'0'; 63], &[b'0'; 65], &[b'g'; 64]] {
            assert!(parse(bad).is_none());
        }
        assert_eq!(*parse(&[b'F'; 64]).unwrap(), [0xff; 32]);
    }
}
