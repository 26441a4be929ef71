//! HTTPS with a private authority, for real.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use selfenc_core::store::{ChunkId, ChunkStore, ErrorKind, OpenMode, StoreUrl};
use selfenc_s3::S3Config;
use support::config::config_to;
use support::runtime;
use support::server::{Service, accept, bind};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A service behind TLS for `names`, and the PEM of who signed for it.
fn serve(service: &Service, names: &[&str]) -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let (acceptor, service) = (TlsAcceptor::from(Arc::new(config)), service.clone());
    let (listener, address) = bind(0).unwrap();
    runtime().spawn(async move {
        while let Ok((stream, _)) = accept(&listener).await {
            let (acceptor, service) = (acceptor.clone(), service.clone());
            tokio::spawn(async move {
                // A client that does not trust us hangs up.
                if let Ok(stream) = acceptor.accept(stream).await {
                    service.serve(stream).await;
                }
            });
        }
    });
    (format!("https://localhost:{}", address.port()), authority.pem())
}

#[tokio::test]
async fn a_private_authority_that_is_named() {
    let service = Service::new();
    let (endpoint, pem) = serve(&service, &["localhost"]);
    let store = config_to(&endpoint).with_ca_pem(pem).open(OpenMode::Create).await.unwrap();
    let id = ChunkId::from_bytes([7; 32]);
    let data = vec![7; 3 << 20];
    store.put(id, data.clone().into()).await.unwrap();
    assert!(store.get(id).await.unwrap().unwrap() == data);
}

#[tokio::test]
async fn the_authority_may_be_named_in_a_url() {
    let service = Service::new();
    let (endpoint, pem) = serve(&service, &["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let url = format!("s3://{}/in/it?endpoint={endpoint}&ca={}", support::BUCKET, file.display());
    let url: StoreUrl = url.parse().unwrap();
    let keys = selfenc_s3::Credentials::fixed(support::ACCESS_KEY, support::SECRET_KEY);
    let config = S3Config::from_url(&url).unwrap().with_credentials(keys);
    config.open(OpenMode::Create).await.unwrap();
}

async fn refused(config: S3Config, reason: &str) {
    let e = config.open(OpenMode::Create).await.unwrap_err();
    assert_eq!((e.kind(), e.is_transient(), e.attempts()), (ErrorKind::InvalidInput, false, None), "{e}");
    let text = e.to_string();
    assert!(text.contains(reason) && text.contains("certificate") && text.contains("ca="), "{text}");
}

#[tokio::test]
async fn an_authority_that_is_not_named_is_not_trusted() {
    let service = Service::new();
    let (endpoint, _) = serve(&service, &["localhost"]);
    refused(config_to(&endpoint), "not trusted").await;
    // Nor is one of the same name with another key.
    let (_, other) = serve(&service, &["localhost"]);
    refused(config_to(&endpoint).with_ca_pem(other), "not trusted").await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_not_trusted() {
    let service = Service::new();
    let (endpoint, pem) = serve(&service, &["example.org"]);
    refused(config_to(&endpoint).with_ca_pem(pem), "not trusted").await;
}

#[tokio::test]
async fn a_certificate_that_is_none_is_said_so() {
    for bad in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let e = config_to("https://localhost:1").with_ca_pem(bad).open(OpenMode::Create).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput, "{bad:?}: {e}");
        assert!(e.to_string().contains("certificate"), "{bad:?}: {e}");
    }
}
