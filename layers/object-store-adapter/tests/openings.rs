//! Objects on disk: after closing and opening again, and through two openings at once.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod support;

use std::path::Path as Folder;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use selfenc_core::store::{Backend, OpenMode};
use selfenc_fs::FsConfig;
use selfenc_object_store_adapter::ObjectStoreAdapter;
use selfenc_sqlite::SqliteConfig;

use support::{get, list, over, random};

async fn fs(folder: &Folder) -> Arc<dyn Backend> {
    Arc::new(FsConfig::new(folder).open(OpenMode::Create).await.unwrap())
}

async fn sqlite(folder: &Folder) -> Arc<dyn Backend> {
    Arc::new(SqliteConfig::new(folder.join("objects.db")).open(OpenMode::Create).await.unwrap())
}

async fn write(objects: &ObjectStoreAdapter) {
    for n in 0..20 {
        let path = Path::from(format!("{n:02}"));
        objects.put(&path, random(n * 1000, n as u64).into()).await.unwrap();
    }
}

async fn check(objects: &ObjectStoreAdapter) {
    assert_eq!(list(objects).await.len(), 20);
    for n in 0..20 {
        assert_eq!(get(objects, &Path::from(format!("{n:02}"))).await, random(n * 1000, n as u64));
    }
}

/// Two openings see each other's objects, and one's condition sees the other's change.
async fn two_openings(one: &ObjectStoreAdapter, other: &ObjectStoreAdapter) {
    let path = Path::from("shared");
    let put = one.put(&path, "1".into()).await.unwrap();
    assert_eq!(get(other, &path).await, "1");
    other.put(&path, "2".into()).await.unwrap();
    let stale = PutMode::Update(UpdateVersion { e_tag: put.e_tag, version: None });
    let e = one.put_opts(&path, "3".into(), stale.into()).await.unwrap_err();
    assert!(matches!(e, Error::Precondition { .. }), "{e}");
    let e = one.put_opts(&path, "3".into(), PutMode::Create.into()).await.unwrap_err();
    assert!(matches!(e, Error::AlreadyExists { .. }), "{e}");
    assert_eq!(get(one, &path).await, "2");
    one.delete(&path).await.unwrap();
    assert!(matches!(other.head(&path).await, Err(Error::NotFound { .. })));
}

macro_rules! on {
    ($($store:ident),*) => {
        $(mod $store {
            use super::*;

            #[tokio::test]
            async fn objects_are_there_after_opening_again() {
                let folder = tempfile::tempdir().unwrap();
                write(&over(super::$store(folder.path()).await)).await;
                check(&over(super::$store(folder.path()).await)).await;
            }

            #[tokio::test]
            async fn two_openings_see_each_other() {
                let folder = tempfile::tempdir().unwrap();
                let (one, other) = (super::$store(folder.path()).await, super::$store(folder.path()).await);
                two_openings(&over(one), &over(other)).await;
            }
        })*
    };
}

on!(fs, sqlite);
