use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, PutMode, PutResult, Result, UpdateVersion};
use selfenc_core::engine::{DataMap, Engine, Reader, Scope, SealKey};
use selfenc_core::store::{Backend, Expect, Root, RootName, RootStoreExt, RootVersion, Swap};

use crate::error::{Problem, from_engine, from_store, generic};
use crate::names::{Names, hex, unhex};
use crate::record::{MAX_RECORD, Record};

/// How often a conditional swap starts again after an error that may pass.
const SWAP_FAILURES: usize = 5;

/// The objects of one key in one store: from a path to its root, and from there to the record.
pub(crate) struct Objects {
    pub(crate) store: Arc<dyn Backend>,
    pub(crate) engine: Engine,
    pub(crate) scope: Scope,
    pub(crate) key: SealKey,
    pub(crate) names: Names,
}

/// An object as it was found: what its record says, and the version of the root that said it.
pub(crate) struct Object {
    pub(crate) record: Record,
    pub(crate) version: RootVersion,
}

impl Object {
    pub(crate) fn meta(&self) -> ObjectMeta {
        ObjectMeta {
            location: self.record.path.clone(),
            last_modified: self.record.modified,
            size: self.record.map.len(),
            e_tag: Some(tag(&self.version)),
            // `object_store` expects that whoever tells a version can give it later. Here nobody can.
            version: None,
        }
    }
}

impl Objects {
    /// Encrypts into the store and flushes it. No root yet: dropped here, there are chunks and no object.
    pub(crate) async fn write<S>(&self, path: &Path, data: S) -> Result<DataMap>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let written = self.engine.write_stream(self.store.clone(), &self.scope, data).await;
        Ok(written.map_err(|e| from_engine(path, e))?.map)
    }

    /// The data behind `map`.
    pub(crate) fn reader(&self, map: DataMap) -> Reader {
        self.engine.open(self.store.clone(), map)
    }

    /// The bytes of `range`, fetched ahead within the engine's memory budget.
    ///
    /// Fused: `object_store` asks an empty body again after its end.
    pub(crate) fn read(&self, object: Object, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let path = object.record.path;
        self.reader(object.record.map).stream(range).map_err(move |e| from_engine(&path, e)).fuse().boxed()
    }

    /// The object at `path`.
    pub(crate) async fn find(&self, path: &Path) -> Result<Object> {
        let name = self.names.of(path);
        let root = self.store.load(&name).await.map_err(|e| from_store(path, e))?;
        self.unseal(path, &name, root.ok_or_else(|| Problem::Absent.at(path))?).await
    }

    /// What the root `name` holds. A record under another name than its own is refused, so that a store
    /// which gives one root for another is found out. `path` is for messages.
    pub(crate) async fn unseal(&self, path: &Path, name: &RootName, root: Root) -> Result<Object> {
        let map = DataMap::unseal(&self.key, &root.value).map_err(|e| from_engine(path, e))?;
        let len = usize::try_from(map.len()).ok().filter(|_| map.len() <= MAX_RECORD);
        let len = len.ok_or_else(|| Problem::DamagedRecord.at(path))?;
        let bytes = self.reader(map).read_at(0, len).await.map_err(|e| from_engine(path, e))?;
        let record = Record::from_bytes(&bytes).map_err(|problem| problem.at(path))?;
        if self.names.of(&record.path) != *name {
            return Err(Problem::OtherRecord.at(path));
        }
        Ok(Object { record, version: root.version })
    }

    /// Seals the record and swaps its root in.
    ///
    /// The order is chunks, then map, then root: whoever made the record's map has flushed its chunks,
    /// and so has the engine with those of a long record.
    pub(crate) async fn publish(&self, record: &Record, mode: PutMode) -> Result<PutResult> {
        let path = &record.path;
        if path.as_ref().is_empty() {
            return Err(Problem::NoPath.at(path));
        }
        let value = self.seal(record).await?;
        let name = self.names.of(path);
        let version = match mode {
            PutMode::Overwrite => self.overwrite(path, &name, value).await?,
            PutMode::Create => self.swap(path, &name, Expect::Absent, value).await?,
            PutMode::Update(version) => {
                let expect = Expect::Version(expected(path, version)?);
                self.swap(path, &name, expect, value).await?
            }
        };
        tracing::debug!(size = record.map.len(), root = %name, "published");
        Ok(PutResult { e_tag: Some(tag(&version)), version: None, extensions: Default::default() })
    }

    /// Fails early where [`publish`](Self::publish) would in the end, as far as can be known now.
    pub(crate) async fn check(&self, path: &Path, mode: &PutMode) -> Result<()> {
        let expect = match mode {
            PutMode::Overwrite => return Ok(()),
            PutMode::Create => Expect::Absent,
            PutMode::Update(version) => Expect::Version(expected(path, version.clone())?),
        };
        let found = self.store.load(&self.names.of(path)).await.map_err(|e| from_store(path, e))?;
        if expect.matches(found.as_ref()) { Ok(()) } else { Err(unexpected(&expect).at(path)) }
    }

    /// Removes the object at `path`, whatever its record: also one that cannot be read.
    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        let mut existed = false;
        let change = |current: Option<&Bytes>| {
            existed |= current.is_some();
            Ok(None)
        };
        self.store.update(&self.names.of(path), change).await.map_err(|e| from_store(path, e))?;
        if existed { Ok(()) } else { Err(Problem::Absent.at(path)) }
    }

    /// Removes the object at `path` if it still is as it was found.
    pub(crate) async fn delete_version(&self, path: &Path, version: RootVersion) -> Result<()> {
        let expect = Expect::Version(version);
        match self.swap_once(&self.names.of(path), &expect, None).await.map_err(|e| from_store(path, e))? {
            Swap::Done(_) => Ok(()),
            Swap::Conflict(_) => Err(unexpected(&expect).at(path)),
        }
    }

    async fn seal(&self, record: &Record) -> Result<Bytes> {
        let path = &record.path;
        let bytes = record.to_secret_bytes().map_err(|problem| problem.at(path))?;
        // Private: a record is never equal to another, and nobody should confirm a guessed one.
        let written = self.engine.write_bytes(self.store.clone(), &Scope::Private, &bytes).await;
        let sealed = written.and_then(|written| written.map.seal(&self.key));
        Ok(sealed.map_err(|e| from_engine(path, e))?.into())
    }

    /// Puts `value` in place of whatever is there. It is sealed with fresh randomness and so is like no
    /// other value, which is what `update` needs to know its own after a lost reply.
    async fn overwrite(&self, path: &Path, name: &RootName, value: Bytes) -> Result<RootVersion> {
        let root = self.store.update(name, |_| Ok(Some(value.clone()))).await;
        let root = root.map_err(|e| from_store(path, e))?;
        Ok(root.ok_or_else(|| Problem::Changed.at(path))?.version)
    }

    async fn swap(&self, path: &Path, name: &RootName, expect: Expect, value: Bytes) -> Result<RootVersion> {
        match self.swap_once(name, &expect, Some(value)).await.map_err(|e| from_store(path, e))? {
            Swap::Done(Some(version)) => Ok(version),
            Swap::Done(None) => Err(generic("the store says that it removed a root which it was to set")),
            Swap::Conflict(_) => Err(unexpected(&expect).at(path)),
        }
    }

    /// One swap. An error that may pass leaves open whether it happened; then the root is looked at, and
    /// the swap tried again if it did not.
    async fn swap_once(
        &self,
        name: &RootName,
        expect: &Expect,
        new: Option<Bytes>,
    ) -> selfenc_core::store::Result<Swap> {
        let is_new = |found: &Option<Root>| found.as_ref().map(|root| &root.value) == new.as_ref();
        let done = |found: Option<Root>| Swap::Done(found.map(|root| root.version));
        let mut failures = 0;
        loop {
            let e = match self.store.swap(name, expect.clone(), new.clone()).await {
                // A retry below sent it twice, and the first reply was lost.
                Ok(Swap::Conflict(found)) if is_new(&found) => return Ok(done(found)),
                Ok(swap) => return Ok(swap),
                Err(e) if e.is_transient() => e,
                Err(e) => return Err(e),
            };
            let found = self.store.load(name).await?;
            if is_new(&found) {
                return Ok(done(found));
            }
            failures += 1;
            // Where others were in between, nobody can tell whether it stood for a moment. And whoever
            // retried below has done what can be done.
            if !expect.matches(found.as_ref()) || e.attempts().is_some() || failures >= SWAP_FAILURES {
                return Err(e);
            }
        }
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects")
            .field("store", &self.store)
            .field("engine", &self.engine)
            .field("scope", &self.scope)
            .field("roots", &self.names.prefix())
            .finish_non_exhaustive()
    }
}

/// What a swap says that did not find what it expected.
fn unexpected(expect: &Expect) -> Problem {
    match expect {
        Expect::Absent => Problem::Exists,
        Expect::Version(_) => Problem::Changed,
    }
}

/// The e_tag of a version.
fn tag(version: &RootVersion) -> String {
    hex(version.as_bytes())
}

/// The version that an update expects.
fn expected(path: &Path, version: UpdateVersion) -> Result<RootVersion> {
    if version.version.is_some() {
        return Err(Problem::NoVersions.at(path));
    }
    let tag = version.e_tag.ok_or_else(|| Problem::NoTag.at(path))?;
    // What is no e_tag of ours is no object's either.
    Ok(RootVersion::new(unhex(&tag).ok_or_else(|| Problem::Changed.at(path))?))
}
