use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, coalesce_ranges, collect_bytes,
};
use selfenc_core::engine::{Engine, INLINE, Scope, SealKey};
use selfenc_core::store::{Backend, ChunkStore};

use crate::error::{Problem, from_engine, generic};
use crate::names::Names;
use crate::objects::Objects;
use crate::record::Record;
use crate::upload::Upload;

/// Objects that are deleted at once by one `delete_stream`.
const DELETES: usize = 16;

/// An [`ObjectStore`] whose objects are encrypted and deduplicated in a selfenc store.
///
/// Clones share everything. The [crate's guide](crate) says what each operation costs and promises.
#[derive(Clone)]
pub struct ObjectStoreAdapter {
    objects: Arc<Objects>,
}

impl ObjectStoreAdapter {
    /// The objects of `key` in `store`.
    ///
    /// `scope` says which objects share chunks, and with whom; it matters for writing only. Whoever has
    /// `key` reads, changes and deletes every object that was put with it; another key sees nothing of
    /// them.
    ///
    /// # Errors
    /// [`NotSupported`](object_store::Error::NotSupported) if the store keeps no roots, and a generic
    /// error if the engine's memory budget is too small for its chunks.
    pub fn new(store: Arc<dyn Backend>, engine: Engine, scope: Scope, key: SealKey) -> Result<Self> {
        let nowhere = Path::default();
        if !store.capabilities().roots {
            return Err(Problem::NoRoots(store.info()).at(&nowhere));
        }
        engine.config().check_budget().map_err(|e| from_engine(&nowhere, e))?;
        let names = Names::new(&key);
        Ok(Self { objects: Arc::new(Objects { store, engine, scope, key, names }) })
    }
}

impl fmt::Display for ObjectStoreAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "selfenc({})", self.objects.store.info())
    }
}

impl fmt::Debug for ObjectStoreAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreAdapter").field("objects", &self.objects).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for ObjectStoreAdapter {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        // Tags and extensions are hints to services that know them; `object_store` says to ignore them.
        let PutOptions { mode, tags: _, attributes, extensions: _ } = opts;
        if payload.content_length() as u64 > INLINE {
            // It would fail in the end, with everything encrypted in vain.
            self.objects.check(location, &mode).await?;
        }
        let map = self.objects.write(location, stream::iter(payload.into_iter().map(Ok))).await?;
        self.objects.publish(&Record::new(location.clone(), attributes, map), mode).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let PutMultipartOptions { tags: _, attributes, extensions: _ } = opts;
        let upload = Upload::begin(Arc::clone(&self.objects), location.clone(), attributes)?;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.version.is_some() {
            return Err(Problem::NoVersions.at(location));
        }
        let object = self.objects.find(location).await?;
        let meta = object.meta();
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(generic)?,
            None => 0..meta.size,
        };
        let attributes = object.record.attributes.clone();
        let body =
            if options.head { stream::empty().boxed() } else { self.objects.read(object, range.clone()) };
        let payload = GetResultPayload::Stream(body);
        Ok(GetResult { payload, meta, range, attributes, extensions: Default::default() })
    }

    /// All of one version of the object, whoever writes meanwhile.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let map = self.objects.find(location).await?.record.map;
        let within = |range: &Range<u64>| GetRange::Bounded(range.clone()).as_range(map.len());
        let ranges = ranges.iter().map(within).collect::<Result<Vec<_>, _>>().map_err(generic)?;
        let reader = self.objects.reader(map);
        let fetch = |range: Range<u64>| {
            let pieces = reader.stream(range.clone()).map_err(|e| from_engine(location, e));
            collect_bytes(pieces, Some(range.end - range.start))
        };
        coalesce_ranges(&ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let objects = Arc::clone(&self.objects);
        let delete = move |location: Result<Path>| {
            let objects = Arc::clone(&objects);
            async move {
                let location = location?;
                objects.delete(&location).await?;
                Ok(location)
            }
        };
        locations.map(delete).buffered(DELETES).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix, None)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list(prefix, Some(offset.clone()))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_level(prefix).await
    }

    /// A new record for the same data: no chunk is read or written.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let CopyOptions { mode, extensions: _ } = options;
        let mode = match mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        let source = self.objects.find(from).await?.record;
        let copy = Record::new(to.clone(), source.attributes, source.map);
        self.objects.publish(&copy, mode).await.map(drop)
    }

    /// A copy, and then the removal of what was copied. If the source changed in between it stays, and
    /// the error says so: the target then has what the source was.
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let RenameOptions { target_mode, extensions: _ } = options;
        let mode = match target_mode {
            RenameTargetMode::Overwrite => PutMode::Overwrite,
            RenameTargetMode::Create => PutMode::Create,
        };
        let source = self.objects.find(from).await?;
        if from == to {
            // Copied and removed, it would be gone.
            return self.objects.check(to, &mode).await;
        }
        let copy = Record::new(to.clone(), source.record.attributes, source.record.map);
        self.objects.publish(&copy, mode).await?;
        self.objects.delete_version(from, source.version).await
    }
}
