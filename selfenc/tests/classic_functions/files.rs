//! The functions that read and write files.

use std::fs;
use std::path::{Path, PathBuf};

use selfenc::classic::functions::{
    EncryptedChunk, XorName, decrypt, decrypt_from_storage, encrypt, encrypt_from_file,
    streaming_decrypt_from_storage, streaming_encrypt_datamaps_from_file, streaming_encrypt_from_file,
};
use selfenc::compat::Generation;
use selfenc::{Bytes, Error, Result, store};

use crate::{Storage, cutting, many, mixed, one, random, small, stored, written};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(&self, name: &str, data: &[u8]) -> PathBuf {
        fs::write(self.path(name), data).unwrap();
        self.path(name)
    }

    fn with_folder(&self, name: &str) -> PathBuf {
        fs::create_dir(self.path(name)).unwrap();
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

/// A closure that reads chunks from a folder.
fn from(folder: &Path) -> impl FnMut(XorName) -> Result<Bytes> {
    |name| {
        let read = fs::read(folder.join(name.to_hex()));
        Ok(read.map_err(|e| store::Error::from_io("get", "", e).with_chunk(name.into()))?.into())
    }
}

#[test]
fn a_folder_of_chunks_is_that_of_encrypt() {
    for (generation, len, max) in [
        (Generation::Two, 3, 1 << 20),
        (Generation::Two, 10_000, 1 << 20),
        (Generation::Two, 10_000, 1000),
        (Generation::One, 10_000, 1000),
        // Maps of maps of maps.
        (Generation::Two, 100_000, 200),
        (Generation::One, 100_000, 200),
    ] {
        let folder = Folder::new();
        let data = random(1, len);
        let (input, chunks) = (folder.with("input", &data), folder.with_folder("chunks"));
        let encryption = cutting(generation, max);
        let (map, listed) = encryption.encrypt_from_file(&input, &chunks).unwrap();
        let (expected, encrypted) = encryption.encrypt(data.clone().into()).unwrap();
        assert_eq!(map, expected);
        let named = |chunk: &EncryptedChunk| XorName(generation.hash(&chunk.content));
        assert!(listed.iter().copied().eq(encrypted.iter().map(named)), "{generation}, {len}, {max}");
        let mut files: Vec<_> = listed.iter().map(XorName::to_hex).collect();
        files.sort();
        files.dedup();
        assert_eq!(names(&chunks), files);
        for chunk in &encrypted {
            assert!(fs::read(chunks.join(named(chunk).to_hex())).unwrap() == chunk.content);
        }
        // Again, over what is there.
        assert_eq!(encryption.encrypt_from_file(&input, &chunks).unwrap(), (map.clone(), listed));
        assert_eq!(names(&chunks), files);

        decrypt_from_storage(&map, &folder.path("output"), from(&chunks)).unwrap();
        assert!(fs::read(folder.path("output")).unwrap() == data);
        assert_eq!(folder.names(), ["chunks", "input", "output"]);
    }
}

#[test]
fn the_functions_are_the_struct_at_its_defaults() {
    let folder = Folder::new();
    let data = mixed(50_000);
    let (input, chunks) = (folder.with("input", &data), folder.with_folder("chunks"));
    let (map, encrypted) = encrypt(data.clone().into()).unwrap();
    assert_eq!(encrypt_from_file(&input, &chunks).unwrap().0, map);
    let mut storage = Storage::new();
    let streamed = streaming_encrypt_from_file(&input, |name, content| {
        storage.insert(name, content);
        Ok(())
    });
    assert_eq!(streamed.unwrap(), map);
    assert!(storage == stored(Generation::Two, &encrypted));
    assert_eq!(streaming_encrypt_datamaps_from_file(&input).unwrap(), (map.clone(), map.clone()));
    streaming_decrypt_from_storage(&map, &folder.path("output"), many(&storage)).unwrap();
    assert!(fs::read(folder.path("output")).unwrap() == data);
    // Both maps, of an input whose map is shrunk.
    let (shrunk, root) = cutting(Generation::Two, 1000).streaming_encrypt_datamaps_from_file(&input).unwrap();
    assert_eq!((shrunk.len(), shrunk.child(), root.len(), root.child()), (3, Some(2), 50, None));
    assert_eq!(root.original_file_size(), 50_000);
    assert_eq!(folder.names(), ["chunks", "input", "output"]);
}

#[test]
fn what_cannot_be_opened_is_named() {
    let folder = Folder::new();
    let (input, absent) = (folder.with("input", b"abc"), folder.path("absent"));
    let (map, chunks) = small();
    let storage = stored(Generation::Two, &chunks);
    let ignore = |_, _| Ok(());
    for e in [
        encrypt_from_file(&absent, folder.0.path()).unwrap_err(),
        encrypt_from_file(&input, &absent).unwrap_err(),
        streaming_encrypt_from_file(&absent, ignore).unwrap_err(),
        streaming_encrypt_datamaps_from_file(&absent).unwrap_err(),
        decrypt_from_storage(&map, &absent.join("output"), one(&storage)).unwrap_err(),
        streaming_decrypt_from_storage(&map, &absent.join("output"), many(&storage)).unwrap_err(),
    ] {
        let message = e.to_string();
        assert!(message.contains("absent") && message.contains("No such file"), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
    // A folder is no file.
    let e = decrypt_from_storage(&map, folder.0.path(), one(&storage)).unwrap_err();
    assert!(matches!(e, Error::Store(_)), "{e}");
    let e = streaming_encrypt_from_file(folder.0.path(), ignore).unwrap_err();
    assert!(matches!(e, Error::Source(_) | Error::Store(_)), "{e}");
    assert_eq!(folder.names(), ["input"]);
}

#[test]
fn too_short_an_input_is_said_to_be() {
    let folder = Folder::new();
    for data in [&b""[..], b"a", b"ab"] {
        let (input, len) = (folder.with("input", data), data.len() as u64);
        for e in [
            encrypt(Bytes::copy_from_slice(data)).unwrap_err(),
            encrypt_from_file(&input, folder.0.path()).unwrap_err(),
            streaming_encrypt_from_file(&input, |_, _| panic!("there is nothing to store")).unwrap_err(),
            selfenc::classic::functions::stream_encrypt(data.len(), std::iter::empty()).unwrap_err(),
        ] {
            assert!(matches!(e, Error::TooShort { len: found, least: 3 } if found == len), "{e}");
        }
        assert_eq!(folder.names(), ["input"]);
    }
}

/// What is not a regular file is written to as it is.
#[cfg(unix)]
#[test]
fn devices_stay_devices() {
    use std::os::unix::fs::FileTypeExt;

    let (map, chunks) = small();
    let null = Path::new("/dev/null");
    decrypt_from_storage(&map, null, one(&stored(Generation::Two, &chunks))).unwrap();
    assert!(fs::metadata(null).unwrap().file_type().is_char_device());
    let full = Path::new("/dev/full");
    if cfg!(target_os = "linux") {
        let e = decrypt_from_storage(&map, full, one(&stored(Generation::Two, &chunks))).unwrap_err();
        assert!(matches!(&e, Error::Store(e) if e.kind() == store::ErrorKind::Full), "{e}");
    }
}

/// Links keep leading where they led, and files keep who may read them.
#[cfg(unix)]
#[test]
fn links_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = Folder::new();
    let (map, chunks) = small();
    let (file, link) = (folder.with("file", b"old"), folder.path("link"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    decrypt_from_storage(&map, &link, one(&stored(Generation::Two, &chunks))).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"abc");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

/// In both generations, whatever the order, and with strangers among them.
#[test]
fn chunks_in_memory() {
    for generation in Generation::ALL {
        let data = random(1, 3000);
        let (map, storage) = written(generation, &data, 500);
        let content = |content: &Bytes| EncryptedChunk { content: content.clone() };
        let mut chunks: Vec<_> = storage.values().map(content).collect();
        chunks.extend(["", "a stranger"].map(|bytes| EncryptedChunk { content: bytes.into() }));
        assert!(decrypt(&map, &chunks).unwrap() == data);
        for name in storage.keys() {
            let rest: Vec<_> = storage.iter().filter(|(n, _)| *n != name).map(|(_, c)| content(c)).collect();
            let e = decrypt(&map, &rest).unwrap_err();
            assert!(matches!(e, Error::ChunkMissing { chunk } if chunk == (*name).into()), "{e}");
        }
    }
}
