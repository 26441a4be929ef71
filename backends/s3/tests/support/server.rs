//! A service of S3 in this process: `s3s-fs` on a folder of its own, with real signatures.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::S3Result;
use s3s::auth::SimpleAuth;
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::RwLock;

use super::{ACCESS_KEY, BUCKET, SECRET_KEY, runtime};

/// Clones are the same service. The folder goes with the last of them.
#[derive(Clone)]
pub struct Service {
    signed: S3Service,
    unsigned: S3Service,
    folder: Arc<TempDir>,
    is_atomic: bool,
    turns: Arc<RwLock<()>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Service {
    /// With an empty bucket. Its conditional puts look and then write: two at a time may both win.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("selfenc-s3-").unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let build = |is_signed: bool| {
            let mut builder = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
            if is_signed {
                builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
            }
            builder.set_host(Hosts);
            builder.build()
        };
        let (signed, unsigned) = (build(true), build(false));
        Self { signed, unsigned, folder: Arc::new(folder), is_atomic: false, turns: Arc::default() }
    }

    /// The same with conditional puts that are atomic, and no reader between an object and its ETag.
    pub fn atomic() -> Self {
        Self { is_atomic: true, ..Self::new() }
    }

    /// The folder of all buckets.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Where an object of the bucket lies.
    pub fn path(&self, key: &str) -> PathBuf {
        self.root().join(BUCKET).join(key)
    }

    pub fn remove_bucket(&self) {
        std::fs::remove_dir_all(self.root().join(BUCKET)).unwrap();
    }

    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.ask(&self.signed, request).await
    }

    /// As if anybody might do anything.
    pub async fn call_unsigned(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.ask(&self.unsigned, request).await
    }

    async fn ask(&self, service: &S3Service, request: Request<Bytes>) -> Response<Bytes> {
        let is_put = request.method() == Method::PUT;
        // A listing that meets a file which goes away is answered with 500, so deletes take turns anyway.
        let is_delete = matches!(*request.method(), Method::DELETE | Method::POST);
        let (mut _writes, mut _reads) = (None, None);
        if is_delete || is_put && self.is_atomic {
            _writes = Some(self.turns.write().await);
        } else if !is_put {
            _reads = Some(self.turns.read().await);
        }
        let response = service.call(request.map(s3s::Body::from)).await.unwrap();
        let (head, body) = response.into_parts();
        // A file that is removed while it is read ends the connection of a real server too.
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Response::from_parts(head, body)
    }

    /// Serves it to one connection, with nothing in between.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let connection = hyper::server::conn::http1::Builder::new();
        // The other end may hang up as it likes.
        let _ = connection.serve_connection(TokioIo::new(stream), self.signed.clone()).await;
    }

    /// Serves it on a local port, for as long as the process lives.
    pub fn listen(&self) -> SocketAddr {
        let (listener, address) = bind(0).unwrap();
        let service = self.clone();
        runtime().spawn(async move {
            while let Ok((stream, _)) = accept(&listener).await {
                let service = service.clone();
                tokio::spawn(async move { service.serve(stream).await });
            }
        });
        address
    }
}

/// `test.HOST` is the bucket in the host's name; any other host has it in the path.
struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let rest = host.strip_prefix(BUCKET).and_then(|rest| rest.strip_prefix('.'));
        Ok(match rest {
            Some(domain) => VirtualHost::new(domain).with_bucket(BUCKET),
            None => VirtualHost::new(host),
        })
    }
}

/// A listener on a local port, 0 for a free one, on the servers' own runtime.
pub fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let _guard = runtime().enter();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

pub async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, from) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, from))
}
