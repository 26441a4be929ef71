//! A server in front of a service, that forwards or does what its script says.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use hyper::{Method, Request, Response, Uri};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::action::Action;
use super::answer::Answer;
use super::play::{self, Then, until_closed};
use super::request::{PUTS, Seen, WRITES};
use super::runtime;
use super::script::{Rule, Script, Times};
use super::server::{accept, bind};
use super::upstream::{Link, Upstream};
use super::wire::read_request;

/// It ends, with all its connections, when it is dropped. What its script says applies from the next
/// request on.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    script: Script,
    ignores_conditions: AtomicBool,
    paused: watch::Sender<bool>,
    waiting: AtomicUsize,
    connections: AtomicUsize,
}

impl Deref for Proxy {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.shared.script
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Proxy {
    pub fn start(upstream: Upstream) -> Self {
        Self::start_at(upstream, 0)
    }

    /// The same on a port that was another's.
    pub fn start_at(upstream: Upstream, port: u16) -> Self {
        let (listener, address) = bind(port).unwrap();
        let shared = Arc::new(Shared {
            upstream,
            script: Script::default(),
            ignores_conditions: AtomicBool::new(false),
            paused: watch::Sender::new(false),
            waiting: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let serving = runtime().spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn upstream(&self) -> &Upstream {
        &self.shared.upstream
    }

    /// Shorthand for [`Script::add`].
    pub fn rule(&self, kinds: &'static [super::request::Kind], times: Times, action: Action) {
        self.add(Rule::new(kinds, times, action));
    }

    /// Every write is refused with 403 from now on.
    pub fn deny_writes(&self) {
        self.rule(WRITES, Times::Always, Action::error(403, "AccessDenied"));
    }

    /// The service does not know `If-None-Match` and `If-Match`, and writes.
    pub fn ignore_conditions(&self, on: bool) {
        self.shared.ignores_conditions.store(on, Ordering::SeqCst);
    }

    /// Puts wait, whole but not stored, until the end of the pause.
    pub fn pause_puts(&self, on: bool) {
        self.shared.paused.send_replace(on);
    }

    /// How many puts wait.
    pub fn waiting_puts(&self) -> usize {
        self.shared.waiting.load(Ordering::SeqCst)
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Hears nothing more, as if the other end had been killed: every connection ends, and what was on its
    /// way to the service does not arrive. Nobody can connect any more.
    pub async fn kill(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Ends with all its tasks when this one is aborted.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = accept(&listener).await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        // Ends by resets and the like are the point.
        connections.spawn(async move { drop(converse(stream, &shared).await) });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let (mut rest, mut link) = (BytesMut::new(), Link::default());
    while let Some(request) = read_request(&mut stream, &mut rest).await? {
        match shared.answer(&mut stream, &mut link, request).await? {
            Then::Keep => {}
            Then::Close => return Ok(()),
            Then::Reset => return stream.set_zero_linger(),
        }
    }
    Ok(())
}

/// Counts a request as served when it is dropped, if it was not before.
struct Served<'a>(&'a Script, Option<super::request::Kind>);

impl Served<'_> {
    fn done(&mut self) {
        if let Some(kind) = self.1.take() {
            self.0.end(kind);
        }
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.done();
    }
}

impl Shared {
    async fn answer(
        &self,
        stream: &mut TcpStream,
        link: &mut Link,
        request: Request<Bytes>,
    ) -> io::Result<Then> {
        let request = in_origin_form(request);
        let seen = Seen::of(&request);
        let (method, kind) = (seen.method.clone(), seen.kind);
        let action = self.script.begin(seen);
        let mut served = Served(&self.script, Some(kind));
        if PUTS.contains(&kind) {
            self.wait_for_the_gate().await;
        }
        let answer = match action {
            None | Some(Action::Forward) => self.forward(link, request).await?,
            Some(Action::Answer(Answer(answer))) => answer,
            Some(Action::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.forward(link, request).await?
            }
            Some(Action::Damage(at)) => {
                let damaged = request.map(|body| {
                    let mut body = body.to_vec();
                    body[at] ^= 1;
                    body.into()
                });
                self.forward(link, damaged).await?
            }
            Some(Action::AnswerAfterForward(Answer(answer))) => {
                self.forward(link, request).await?;
                answer
            }
            Some(Action::ResetBeforeHeaders) => return Ok(Then::Reset),
            Some(Action::CloseBeforeHeaders) => return Ok(Then::Close),
            Some(Action::ResetAfterForward) => {
                self.forward(link, request).await?;
                return Ok(Then::Reset);
            }
            Some(Action::Hang) => return until_closed(stream).await.map(|()| Then::Close),
            Some(Action::HangAfterForward) => {
                self.forward(link, request).await?;
                return until_closed(stream).await.map(|()| Then::Close);
            }
            Some(Action::Alter(alter)) => {
                let answer = self.forward(link, request).await?;
                return play::altered(stream, &method, answer, &alter, || served.done()).await;
            }
            Some(Action::AlterAnswer(Answer(answer), alter)) => {
                return play::altered(stream, &method, answer, &alter, || served.done()).await;
            }
        };
        play::plain(stream, &method, &answer, || served.done()).await
    }

    async fn forward(&self, link: &mut Link, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
        let is_put = request.method() == Method::PUT;
        if is_put && self.ignores_conditions.load(Ordering::SeqCst) {
            return Ok(self.upstream.forward_without_conditions(request).await);
        }
        self.upstream.forward(link, request).await
    }

    async fn wait_for_the_gate(&self) {
        let mut paused = self.paused.subscribe();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _ = paused.wait_for(|paused| !paused).await;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A client that takes this for a proxy of HTTP names the host in the line, too.
fn in_origin_form(mut request: Request<Bytes>) -> Request<Bytes> {
    if let Some(path) = request.uri().path_and_query().filter(|_| request.uri().host().is_some()) {
        *request.uri_mut() = Uri::from(path.clone());
    }
    request
}
