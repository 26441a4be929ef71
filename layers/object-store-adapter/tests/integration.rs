//! `object_store`'s own `integration` functions, unchanged, over each store that has roots.
//!
//! Of `object_store` 0.14.2 these are not run:
//!
//! * `multipart`, `multipart_with_opts`, `multipart_put_part_out_of_order`: they are of `MultipartStore`,
//!   whose parts come from any process in any order. An object is one data map, whose chunks are cut in
//!   order, so such parts would have to be stored aside and encrypted again when the upload completes.
//!   `put_multipart` does without.
//! * `list_paginated`: it is of `PaginatedListStore`. Roots are named by hashes, so each page would cost a
//!   whole listing.
//! * `response_extensions`: there are no HTTP responses whose extensions could be passed on.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::sync::Arc;

use object_store::{ObjectStore, integration};
use selfenc_core::engine::{EncryptionConfig, Engine, Scope, SealKey};
use selfenc_core::store::{Backend, OpenMode};
use selfenc_object_store_adapter::ObjectStoreAdapter;
use tempfile::TempDir;

/// An adapter, and the folder that goes with it.
struct Place {
    objects: ObjectStoreAdapter,
    _folder: Option<TempDir>,
}

fn place(store: Arc<dyn Backend>, folder: Option<TempDir>) -> Place {
    let engine = Engine::new(EncryptionConfig::new().with_threads(2)).unwrap();
    let objects =
        ObjectStoreAdapter::new(store, engine, Scope::Public, SealKey::generate().unwrap()).unwrap();
    Place { objects, _folder: folder }
}

async fn memory() -> Place {
    place(Arc::new(selfenc_memory::MemoryStore::new()), None)
}

async fn fs() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = selfenc_fs::FsConfig::new(folder.path()).open(OpenMode::Create).await.unwrap();
    place(Arc::new(store), Some(folder))
}

async fn sqlite() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let config = selfenc_sqlite::SqliteConfig::new(folder.path().join("objects.db"));
    place(Arc::new(config.open(OpenMode::Create).await.unwrap()), Some(folder))
}

macro_rules! run {
    ($store:ident: $($function:ident($($argument:expr),*)),* $(,)?) => {
        mod $store {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $function() {
                let place = super::$store().await;
                integration::$function(&place.objects, $($argument),*).await;
            })*

            #[tokio::test]
            async fn get_nonexistent_object() {
                let place = super::$store().await;
                let objects: &dyn ObjectStore = &place.objects;
                let e = integration::get_nonexistent_object(objects, None).await.unwrap_err();
                assert!(matches!(e, object_store::Error::NotFound { .. }), "{e}");
            }
        }
    };
}

macro_rules! all {
    ($($store:ident),*) => {
        $(run!($store:
            put_get_delete_list(),
            put_get_attributes(),
            get_opts(),
            put_opts(true),
            stream_get(),
            list_uses_directories_correctly(),
            list_with_delimiter(),
            rename_and_copy(),
            copy_if_not_exists(),
            copy_rename_nonexistent_object(),
            multipart_race_condition(true),
            multipart_out_of_order(),
            list_with_offset_exclusivity(),
        );)*
    };
}

all!(memory, fs, sqlite);
