//! Roots: an object for each, changed by conditional writes. What is in it is
//! `selfenc_core::store::objects::RootRecord`.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use selfenc_core::store::objects::{HEADER_LEN, MAX_RECORD_LEN, MAX_VALUE_LEN, RootRecord, fill_random};
use selfenc_core::store::{Error, ErrorKind, Expect, Result, Root, RootName, RootStore, Swap};

use crate::S3Backend;
use crate::guard::Form;
use crate::list::{Listed, ending, objects};
use crate::objects::Condition;
use crate::request::{Lane, Operation};
use crate::store::Inner;

/// A root's object, and what to update it by if it is still this one.
struct Found {
    record: RootRecord,
    tag: String,
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
    fn no_conditions(&self, op: &'static str) -> Error {
        let message = format!(
            "{} keeps no roots: its service does not keep conditions of writes; keep them in another store",
            self.info
        );
        Error::new(ErrorKind::Unsupported, op, message)
    }

    async fn fetch(&self, operation: &Operation<'_>, name: &RootName) -> Result<Option<Found>> {
        let doing = "read the object of the root";
        let found = self.get_object(operation, &self.names.root(name), MAX_RECORD_LEN, doing).await?;
        let Some(found) = found else { return Ok(None) };
        let record = RootRecord::parse(found.bytes).ok_or_else(|| damaged(operation.op))?;
        Ok(Some(Found { record, tag: found.tag }))
    }

    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        let operation = self.begin("load", Lane::Data, 0);
        Ok(Found::root(self.fetch(&operation, name).await?.as_ref()))
    }

    async fn swap(&self, name: &RootName, expect: &Expect, new: Option<&[u8]>) -> Result<Swap> {
        if new.is_some_and(|value| value.len() > MAX_VALUE_LEN) {
            let message =
                format!("a root holds at most {MAX_VALUE_LEN} bytes; put larger things into chunks");
            return Err(Error::new(ErrorKind::InvalidInput, "swap", message));
        }
        if !self.conditions("swap").await?.roots() {
            return Err(self.no_conditions("swap"));
        }
        let operation = self.begin("swap", Lane::Data, new.map_or(0, <[u8]>::len));
        let before = self.fetch(&operation, name).await?;
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
        self.replace(&operation, name, before.as_ref(), &record).await
    }

    /// Puts `record` in the place of `before`. The same record each time, so that one that lands late is
    /// known for one's own.
    ///
    /// Where `record` may have been there and was replaced since, it is no conflict but an error.
    async fn replace(
        &self,
        operation: &Operation<'_>,
        name: &RootName,
        before: Option<&Found>,
        record: &RootRecord,
    ) -> Result<Swap> {
        let done = || Swap::Done(record.root().map(|root| root.version));
        let mut condition = before.map_or(Condition::Absent, |before| Condition::Tag(before.tag.clone()));
        let (key, doing) = (self.names.root(name), "write the object of the root");
        let mut attempts = self.requests.pacer().start("swap");
        // The error of an attempt that may have landed, or may yet: it counts for more than a later one.
        let mut unknown = None;
        loop {
            let data = record.bytes();
            // Signed, whatever guards chunks: a damaged root would take the place of a good one.
            let send = || self.put_object_as(Form::Signed, operation, &key, &data, &condition, doing);
            let put = operation.once(send);
            let Err(failure) = put.await else { return Ok(done()) };
            // Of an update of what has been removed from the bucket since, S3 says that it is not there.
            let is_refused = failure.is_refused() || failure.is_absent();
            if !is_refused && !failure.error.is_transient() {
                return Err(unknown.unwrap_or(failure.error));
            }
            // Refused, or the answer was lost: what is there tells. If that cannot be read, the caller
            // has to find out.
            let Ok(now) = self.fetch(operation, name).await else {
                return Err(unknown.unwrap_or(failure.error));
            };
            if now.as_ref().is_some_and(|now| now.record == *record) {
                return Ok(done());
            }
            let is_known = is_refused || failure.error.kind() == ErrorKind::Conflict;
            let may_have_landed = !is_known || unknown.is_some();
            let error = unknown.filter(|_| is_known).unwrap_or(failure.error);
            if !Found::is_same(now.as_ref(), before) {
                if may_have_landed && !now.as_ref().is_some_and(|now| now.record.is_rival(record)) {
                    return Err(error);
                }
                return Ok(Swap::Conflict(Found::root(now.as_ref())));
            }
            if !operation.again(&mut attempts, failure.pause).await {
                return Err(attempts.give_up(error));
            }
            unknown = may_have_landed.then_some(error);
            // Some services give an object a new tag though it is the same.
            condition = now.map_or(condition, |now| Condition::Tag(now.tag));
        }
    }

    /// The name of the root in this object; `None` for what is no root, or was removed.
    async fn live_name(&self, listed: Listed) -> Result<Option<RootName>> {
        let Some(name) = self.names.parse_root(&listed.key) else { return Ok(None) };
        if listed.len > HEADER_LEN as u64 {
            return Ok(Some(name));
        }
        // An empty value, or a removal.
        let operation = self.begin("names", Lane::Data, 0);
        let is_live = Found::root(self.fetch(&operation, &name).await?.as_ref()).is_some();
        Ok(is_live.then_some(name))
    }
}

fn damaged(op: &'static str) -> Error {
    let message = "the object of the root holds no root record; remove it, or restore it";
    Error::new(ErrorKind::Corrupt, op, message)
}

impl S3Backend {
    fn check_has_roots(&self, op: &'static str) -> Result<()> {
        if self.capabilities.roots { Ok(()) } else { Err(self.inner.no_conditions(op)) }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RootStore for S3Backend {
    async fn load(&self, name: &RootName) -> Result<Option<Root>> {
        self.check_has_roots("load")?;
        let name = name.clone();
        self.run("load", move |inner| async move { inner.load(&name).await }).await
    }

    async fn swap(&self, name: &RootName, expect: Expect, new: Option<Bytes>) -> Result<Swap> {
        self.check_has_roots("swap")?;
        let name = name.clone();
        self.run("swap", move |inner| async move { inner.swap(&name, &expect, new.as_deref()).await }).await
    }

    fn names(&self) -> BoxStream<'static, Result<RootName>> {
        if let Err(e) = self.check_has_roots("names") {
            return stream::iter([Err(e)]).boxed();
        }
        let listed =
            objects(&self.inner, "names", "list the objects of roots", self.inner.names.roots(), None);
        let backend = self.clone();
        let names =
            listed.try_filter_map(move |listed| {
                let backend = backend.clone();
                async move {
                    backend.run("names", move |inner| async move { inner.live_name(listed).await }).await
                }
            });
        ending(names.boxed())
    }
}
