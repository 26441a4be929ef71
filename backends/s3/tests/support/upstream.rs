//! What is behind the proxy.

use std::fmt;
use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::AUTHORIZATION;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::server::Service;

/// Where requests are forwarded to.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// The service in this process.
    Service(Service),
    /// `host:port` of a server that speaks plain HTTP.
    Address(String),
}

/// A connection to what is behind; a service in the process needs none.
#[derive(Default)]
pub struct Link(Option<hyper::client::conn::http1::SendRequest<Full<Bytes>>>);

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.0.is_some()).finish()
    }
}

impl Upstream {
    /// Its answer. Host and body stay as they are, so that the signature holds.
    pub async fn forward(&self, link: &mut Link, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
        match self {
            Self::Service(service) => Ok(service.call(request).await),
            Self::Address(address) => {
                let response = link.send(address, request).await;
                if response.is_err() {
                    link.0 = None;
                }
                response
            }
        }
    }

    /// As [`forward`](Self::forward), but as a service that does not know conditions of puts.
    pub async fn forward_without_conditions(&self, mut request: Request<Bytes>) -> Response<Bytes> {
        let Self::Service(service) = self else { panic!("the conditions are signed") };
        for name in ["if-none-match", "if-match"] {
            request.headers_mut().remove(name);
        }
        request.headers_mut().remove(AUTHORIZATION);
        service.call_unsigned(request).await
    }
}

impl Link {
    async fn send(&mut self, address: &str, request: Request<Bytes>) -> io::Result<Response<Bytes>> {
        let is_live = match &mut self.0 {
            Some(link) => link.ready().await.is_ok(),
            None => false,
        };
        if !is_live {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (link, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            tokio::spawn(connection);
            self.0 = Some(link);
        }
        let link = self.0.as_mut().unwrap();
        let response = link.send_request(request.map(Full::new)).await.map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}
