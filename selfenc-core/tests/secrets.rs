//! No secret reaches a log, a `Debug` or an error: everything is searched for canaries.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // in a test, a panic is the report

mod support;

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use selfenc_core::engine::{DataMap, EncryptionConfig, GroupSecret, Scope, SealKey, Suite};
use support::{TestStore, engine, small, text};

/// The plaintext that must not show.
const CANARY: &str = "a canary sings in the plaintext";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A secret in the ways it could be printed.
fn spellings(secret: &[u8]) -> Vec<String> {
    let hex = secret.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let list = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    vec![hex[..16].to_owned(), hex[..16].to_uppercase(), list(&secret[..6])]
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("trace")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let secret: [u8; 32] = std::array::from_fn(|i| 201 + i as u8);
    let key: [u8; 32] = std::array::from_fn(|i| 97 + i as u8 * 3);
    let (group, seal_key) = (GroupSecret::from_bytes(secret).unwrap(), SealKey::from_bytes(key));
    let scope = Scope::Group(group.clone());
    let mut shown = format!("{group:?} {scope:?} {seal_key:?} ");
    let mut secrets = vec![secret.to_vec(), key.to_vec()];

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for suite in Suite::ALL {
            for data in [CANARY.as_bytes().to_vec(), [CANARY.as_bytes(), &text(600 * 1024)].concat()] {
                let config: EncryptionConfig = small().with_suite(suite);
                let (engine, store) = (engine(config), TestStore::default());
                let written = engine.write_bytes(store.shared(), &scope, &data).await.unwrap();
                let sealed = written.map.seal(&seal_key).unwrap();
                let reader = engine.open(store.shared(), written.map.clone());
                let _ = write!(shown, "{engine:?} {written:?} {reader:?} ");
                let map = written.map.to_secret_bytes();
                if !written.map.is_inline() {
                    // The key and the content hash of the first entry.
                    secrets.extend([map[79..111].to_vec(), map[111..143].to_vec()]);
                }
                let _ = write!(shown, "{:?} ", reader.verify().await.unwrap());
                let first = written.map.entries().next();
                if let Some(first) = first {
                    store.replace(first.name, |bytes| bytes[0] ^= 1);
                    let error = reader.clone().read_at(0, 1).await.map(drop);
                    let _ = write!(shown, "{error:?} {first:?} ");
                    store.lock().clear();
                    let fresh = engine.open(store.shared(), written.map);
                    let error = fresh.read_at(0, 1).await.unwrap_err();
                    let _ = write!(shown, "{error:?} {error} ");
                }
                let other = SealKey::from_bytes([3; 32]);
                let _ = write!(shown, "{:?} ", DataMap::unseal(&other, &sealed).unwrap_err());
                let _ = write!(shown, "{:?} ", DataMap::from_bytes(&map[..map.len() - 1]).unwrap_err());
            }
        }
    });
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("put") && logged.contains("got"), "the log has the operations: {logged}");
    for printed in [&shown, &logged] {
        assert!(!printed.contains("canary"), "plaintext");
        for secret in &secrets {
            for spelling in spellings(secret) {
                assert!(!printed.contains(&spelling), "{spelling} in {printed}");
            }
        }
    }
}
