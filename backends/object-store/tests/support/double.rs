//! A double of a service: another store, that fails when it is told to.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as Below, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

use super::trouble::Trouble;

/// What a store asks of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Put,
    Create,
    Update,
    Get,
    Head,
    Delete,
    List,
    Folders,
}

/// Every call that changes something.
pub const WRITING: &[Call] = &[Call::Put, Call::Create, Call::Update, Call::Delete];

/// Every call.
pub const ALL: &[Call] =
    &[Call::Put, Call::Create, Call::Update, Call::Get, Call::Head, Call::Delete, Call::List, Call::Folders];

/// What a test does to a service. Clones are the same.
#[derive(Clone, Debug)]
pub struct Controls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    paused: watch::Sender<bool>,
    /// Puts that have come to wait for the end of a pause.
    halfway: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// These calls, this trouble, and how often.
    rule: Option<(&'static [Call], Trouble, usize)>,
    /// Only for paths that hold this.
    only_at: Option<String>,
    /// What somebody else writes right after a write whose answer is lost.
    overtaking: Option<Vec<u8>>,
    /// Conditions are ignored, as some services do.
    ignored: &'static [Call],
    calls: Vec<Call>,
    generation: u32,
}

impl Default for Controls {
    fn default() -> Self {
        let paused = watch::Sender::new(false);
        Self(Arc::new(Shared { state: Mutex::default(), paused, halfway: AtomicUsize::new(0) }))
    }
}

impl Controls {
    /// From now on these calls meet this trouble.
    pub fn fail(&self, rule: Option<(&'static [Call], Trouble)>) {
        let mut state = self.0.state.lock().unwrap();
        (state.rule, state.only_at) = (rule.map(|(calls, trouble)| (calls, trouble, usize::MAX)), None);
    }

    /// The next `times` of these calls meet this trouble.
    pub fn fail_times(&self, calls: &'static [Call], trouble: Trouble, times: usize) {
        self.0.state.lock().unwrap().rule = Some((calls, trouble, times));
    }

    /// Only calls about a path that holds `part`.
    pub fn only_at(&self, part: &str) {
        self.0.state.lock().unwrap().only_at = Some(part.to_owned());
    }

    /// Right after the next write whose answer is lost, somebody else writes this to the same path.
    pub fn overtake(&self, theirs: Vec<u8>) {
        self.0.state.lock().unwrap().overtaking = Some(theirs);
    }

    /// These conditional calls are carried out without their condition; lists without their order.
    pub fn ignore(&self, calls: &'static [Call]) {
        self.0.state.lock().unwrap().ignored = calls;
    }

    /// The calls since this was asked last.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.state.lock().unwrap().calls)
    }

    pub fn pause(&self, on: bool) {
        self.0.paused.send_replace(on);
    }

    /// How many puts have come to wait, in the middle of writing, for the end of a pause.
    pub fn halfway(&self) -> usize {
        self.0.halfway.load(Ordering::SeqCst)
    }

    /// Kills the process: what it still asks is not heard.
    pub fn kill(&self) {
        self.0.state.lock().unwrap().generation += 1;
    }

    /// The service as a new process sees it.
    pub fn around(&self, inner: Arc<dyn ObjectStore>) -> Double {
        let generation = self.0.state.lock().unwrap().generation;
        Double { inner, controls: self.clone(), generation, readonly: None }
    }

    fn meet(&self, call: Call, at: &Path, generation: u32) -> Option<Trouble> {
        let mut state = self.0.state.lock().unwrap();
        if state.generation != generation {
            return Some(Trouble::Reset);
        }
        state.calls.push(call);
        let is_there = state.only_at.as_ref().is_none_or(|part| at.as_ref().contains(part));
        match &mut state.rule {
            Some((calls, trouble, times)) if calls.contains(&call) && *times > 0 && is_there => {
                *times -= 1;
                Some(*trouble)
            }
            _ => None,
        }
    }

    fn ignores(&self, call: Call) -> bool {
        self.0.state.lock().unwrap().ignored.contains(&call)
    }
}

#[derive(Clone, Debug)]
pub struct Double {
    inner: Arc<dyn ObjectStore>,
    controls: Controls,
    generation: u32,
    readonly: Option<Trouble>,
}

impl fmt::Display for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Double({})", self.inner)
    }
}

impl Double {
    /// Nothing can be changed through it.
    pub fn readonly(mut self, trouble: Trouble) -> Self {
        self.readonly = Some(trouble);
        self
    }

    fn meet(&self, call: Call, at: &Path) -> Option<Trouble> {
        let refused = self.readonly.filter(|_| WRITING.contains(&call));
        refused.or_else(|| self.controls.meet(call, at, self.generation))
    }

    /// Writes half of it and waits for the end of the pause.
    async fn wait_halfway(&self, at: &Path, payload: &PutPayload) -> Result<()> {
        let mut paused = self.controls.0.paused.subscribe();
        if !*paused.borrow() {
            return Ok(());
        }
        let mut upload = self.inner.put_multipart_opts(at, PutMultipartOptions::default()).await?;
        let whole = Bytes::from(payload.clone());
        upload.put_part(whole.slice(..whole.len() / 2).into()).await?;
        self.controls.0.halfway.fetch_add(1, Ordering::SeqCst);
        let _ = paused.wait_for(|paused| !paused).await;
        upload.abort().await
    }
}

fn backwards<T: Send + 'static>(items: BoxStream<'static, T>) -> BoxStream<'static, T> {
    let all = items.collect::<Vec<_>>();
    stream::once(all).flat_map(|all| stream::iter(all.into_iter().rev())).boxed()
}

#[async_trait]
impl ObjectStore for Double {
    async fn put_opts(&self, at: &Path, payload: PutPayload, mut opts: PutOptions) -> Result<PutResult> {
        let call = match opts.mode {
            PutMode::Overwrite => Call::Put,
            PutMode::Create => Call::Create,
            PutMode::Update(_) => Call::Update,
        };
        self.wait_halfway(at, &payload).await?;
        let met = self.meet(call, at);
        if self.controls.ignores(call) {
            opts.mode = PutMode::Overwrite;
        }
        match met {
            Some(Trouble::LostAnswer) => {
                self.inner.put_opts(at, payload, opts).await?;
                let theirs = self.controls.0.state.lock().unwrap().overtaking.take();
                if let Some(theirs) = theirs {
                    self.inner.put_opts(at, theirs.into(), PutOptions::default()).await?;
                }
                Err(Trouble::LostAnswer.error(at))
            }
            Some(trouble) => Err(trouble.error(at)),
            None => self.inner.put_opts(at, payload, opts).await,
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("chunks are put whole")
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let call = if options.head { Call::Head } else { Call::Get };
        let trouble = self.meet(call, at);
        match trouble {
            Some(Trouble::CutBody | Trouble::ShortBody | Trouble::LongBody) if call == Call::Get => {}
            Some(trouble) => return Err(trouble.error(at)),
            None => return self.inner.get_opts(at, options).await,
        }
        let found = self.inner.get_opts(at, options).await?;
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let whole = found.bytes().await?;
        let half = whole.slice(..whole.len() / 2);
        let parts = match trouble {
            Some(Trouble::LongBody) => vec![Ok(whole), Ok(Bytes::from_static(b"!"))],
            Some(Trouble::CutBody) => vec![Ok(half), Err(Trouble::CutBody.error(at))],
            _ => vec![Ok(half)],
        };
        let payload = GetResultPayload::Stream(stream::iter(parts).boxed());
        Ok(GetResult { payload, meta, range, attributes, extensions: object_store::Extensions::new() })
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |path: Result<Path>| {
            let this = this.clone();
            async move {
                let path = path?;
                if let Some(trouble) = this.meet(Call::Delete, &path) {
                    return Err(trouble.error(&path));
                }
                let one = stream::iter([Ok(path.clone())]).boxed();
                this.inner.delete_stream(one).next().await.unwrap_or(Ok(path))
            }
        };
        paths.map(delete).buffered(10).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let at = prefix.cloned().unwrap_or_default();
        match self.meet(Call::List, &at) {
            // After something: a listing may break anywhere.
            Some(trouble) => {
                let some = self.inner.list(prefix).take(1);
                some.chain(stream::iter([Err(trouble.error(&at))])).boxed()
            }
            None if self.controls.ignores(Call::List) => backwards(self.inner.list(prefix)),
            None => self.inner.list(prefix),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let at = prefix.cloned().unwrap_or_default();
        match self.meet(Call::List, &at) {
            Some(trouble) => stream::iter([Err(trouble.error(&at))]).boxed(),
            None => self.inner.list_with_offset(prefix, offset),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let at = prefix.cloned().unwrap_or_default();
        match self.meet(Call::Folders, &at) {
            Some(trouble) => Err(trouble.error(&at)),
            None => self.inner.list_with_delimiter(prefix).await,
        }
    }

    async fn copy_opts(&self, from: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err::<(), Below>(Trouble::NotImplemented.error(from))
    }
}
