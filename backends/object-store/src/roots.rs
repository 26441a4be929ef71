//! Roots: an object for each, changed by `PutMode::Create` and `PutMode::Update`. See [`RootRecord`] for
//! what is in it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{
    Error as Below, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use selfenc_core::store::objects::{HEADER_LEN, MAX_RECORD_LEN, MAX_VALUE_LEN, RootRecord, fill_random};
use selfenc_core::store::{Error, ErrorKind, Expect, Result, Root, RootName, RootStore, Swap};

use crate::ObjectBackend;
use crate::error::{classify, failed, is_not_found, was_sent_again};
use crate::list::ending_well;
use crate::store::{Inner, read_body};

/// How often a swap whose answer was lost is sent again. More is a wrapper's work.
const SWAP_ATTEMPTS: usize = 3;

/// A root's object, and how to update it if it is still this one.
struct Found {
    record: RootRecord,
    update: UpdateVersion,
}

impl Found {
    fn root(found: Option<&Self>) -> Option<Root> {
        found.and_then(|found| found.record.root())
    }

    fn is_same(one: Option<&Self>, other: Option<&Self>) -> bool {
        one.map(|found| &found.record) == other.map(|found| &found.record)
    }
}

impl Inner {
    fn check_has_roots(&self, op: &'static str) -> Result<()> {
        if self.capabilities.roots {
            return Ok(());
        }
        let message = format!(
            "{} keeps no roots: its service does not keep conditions of writes; keep them in another store",
            self.info
        );
        Err(Error::new(ErrorKind::Unsupported, op, message))
    }

    async fn fetch(&self, op: &'static str, name: &RootName) -> Result<Option<Found>> {
        let found = match self.store.get(&self.layout.root(name)).await {
            Ok(found) => found,
            Err(e) if is_not_found(&e) => return self.check_container(op).await.map(|()| None),
            Err(e) => return Err(failed(op, "read the object of the root", &e)),
        };
        let update = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = read_body(op, found, MAX_RECORD_LEN).await?;
        let record = RootRecord::parse(bytes).ok_or_else(|| damaged(op))?;
        Ok(Some(Found { record, update }))
    }

    async fn swap_root(&self, name: &RootName, expect: &Expect, new: Option<&[u8]>) -> Result<Swap> {
        if new.is_some_and(|value| value.len() > MAX_VALUE_LEN) {
            let message =
                format!("a root holds at most {MAX_VALUE_LEN} bytes; put larger things into chunks");
            return Err(Error::new(ErrorKind::InvalidInput, "swap", message));
        }
        if !self.conditions("swap").await?.roots() {
            let message = format!("{}: the service does not keep conditions of writes", self.info);
            return Err(Error::new(ErrorKind::Unsupported, "swap", message));
        }
        let before = self.fetch("swap", name).await?;
        let current = Found::root(before.as_ref());
        if !expect.matches(current.as_ref()) {
            return Ok(Swap::Conflict(current));
        }
        if new.is_none() && current.is_none() {
            return Ok(Swap::Done(None));
        }
        let mut nonce = [0; 16];
        fill_random("swap", &mut nonce)?;
        let record = RootRecord::after(before.as_ref().map(|before| &before.record), nonce, new);
        self.replace(name, before, &record).await
    }

    /// Puts `record` in the place of `before`. The same record each time, so that one that lands late is
    /// known for one's own.
    ///
    /// Where `record` may have been there and was replaced since, it is no conflict but an error.
    async fn replace(&self, name: &RootName, before: Option<Found>, record: &RootRecord) -> Result<Swap> {
        let done = || Swap::Done(record.root().map(|root| root.version));
        let mode =
            || before.as_ref().map_or(PutMode::Create, |before| PutMode::Update(before.update.clone()));
        let (mut last, mut may_have_landed) = (None, false);
        for _ in 0..SWAP_ATTEMPTS {
            let payload = PutPayload::from_bytes(record.bytes());
            let put = self.store.put_opts(&self.layout.root(name), payload, PutOptions::from(mode())).await;
            let Err(e) = put else { return Ok(done()) };
            let error = failed("swap", "write the object of the root", &e);
            if !error.is_transient() {
                return Err(error);
            }
            // Refused, or the answer was lost: what is there tells. If that cannot be read, the caller
            // has to find out.
            let Ok(now) = self.fetch("swap", name).await else { return Err(error) };
            if now.as_ref().is_some_and(|now| now.record == *record) {
                return Ok(done());
            }
            // A plain refusal is one, unless it answers what the client sent a second time.
            may_have_landed |= error.kind() != ErrorKind::Conflict || was_sent_again(&e);
            if !Found::is_same(now.as_ref(), before.as_ref()) {
                if may_have_landed && !now.as_ref().is_some_and(|now| now.record.is_rival(record)) {
                    return Err(error);
                }
                return Ok(Swap::Conflict(Found::root(now.as_ref())));
            }
            // To be asked to slow down is no reason to ask again at once.
            if classify(&e) == ErrorKind::Throttled {
                return Err(error);
            }
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Conflict, "swap", "the root changes all the time")))
    }

    /// The name of the root in this object; `None` for what is no root, or was removed.
    async fn live_name(&self, found: ObjectMeta) -> Result<Option<RootName>> {
        let Some(name) = self.layout.parse_root(&found.location) else { return Ok(None) };
        if found.size > HEADER_LEN as u64 {
            return Ok(Some(name));
        }
        // An empty value, or a removal.
        let is_live = Found::root(self.fetch("names", &name).await?.as_ref()).is_some();
        Ok(is_live.then_some(name))
    }
}

fn damaged(op: &'static str) -> Error {
    let message = "the object of the root holds no root record; remove it, or restore it";
    Error::new(ErrorKind::Corrupt, op, message)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RootStore for ObjectBackend {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.0.check_has_roots("load")?;
        Ok(Found::root(self.0.fetch("load", name).await?.as_ref()))
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.0.check_has_roots("swap")?;
        self.0.swap_root(name, &expect, new.as_deref()).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        if let Err(e) = self.0.check_has_roots("names") {
            return stream::iter([Err(e)]).boxed();
        }
        let cannot = |e: Below| failed("names", "list the objects of roots", &e);
        let found = self.0.store.list(Some(&self.0.layout.roots)).map_err(cannot);
        let inner = Arc::clone(&self.0);
        let names = found.try_filter_map(move |found| {
            let inner = Arc::clone(&inner);
            async move { inner.live_name(found).await }
        });
        ending_well("names", Arc::clone(&self.0), names.boxed())
    }
}
