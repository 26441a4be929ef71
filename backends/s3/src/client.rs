//! The SDK's client, with nothing left to its defaults that matters.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder as HttpBuilder, Connector};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use selfenc_core::store::{Error, ErrorKind, Result};

use crate::bounded::bounded;
use crate::credentials::Renewable;

/// What a client of ours is made of.
#[derive(Debug)]
pub(crate) struct ClientSettings {
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) path_style: bool,
    /// Ask for, and give, a checksum with each object.
    pub(crate) checksums: bool,
    pub(crate) ca_pem: Option<Vec<u8>>,
}

/// How long a connection may take; the longest answer, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) connect: Duration,
    pub(crate) answer: u64,
}

/// A client of our own. Reads the system's certificates, so it blocks.
pub(crate) fn client(settings: ClientSettings, keys: Renewable, bounds: Bounds) -> Client {
    let http = http_client(Peer::of(settings.endpoint.as_deref()), settings.ca_pem);
    let mut config = Builder::new()
        // Pinned, so that an update of the SDK does not change what is sent.
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(settings.region))
        .force_path_style(settings.path_style)
        .credentials_provider(keys)
        // Kept by `Renewable`, which can forget them.
        .identity_cache(IdentityCache::no_cache())
        .request_checksum_calculation(if settings.checksums {
            RequestChecksumCalculation::WhenSupported
        } else {
            RequestChecksumCalculation::WhenRequired
        })
        .response_checksum_validation(if settings.checksums {
            ResponseChecksumValidation::WhenSupported
        } else {
            ResponseChecksumValidation::WhenRequired
        });
    if let Some(endpoint) = settings.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Client::from_conf(ruled(config, http, bounds).build())
}

/// Somebody else's client, with the same rules: its addresses, credentials and connections stay.
pub(crate) fn adopted(client: &Client, bounds: Bounds) -> Client {
    // It may be without one, and rely on that of the SDK, which is not built in and has no bounds.
    let http = client.config().http_client().unwrap_or_else(|| http_client(Peer::of(None), None));
    Client::from_conf(ruled(client.config().to_builder(), http, bounds).build())
}

/// One attempt, since `request.rs` makes the others; explicit times; bounded answers.
fn ruled(config: Builder, http: SharedHttpClient, bounds: Bounds) -> Builder {
    let times = TimeoutConfig::builder().connect_timeout(bounds.connect).build();
    // `request.rs` watches bodies, for less: the SDK measures at every piece of them.
    let stalls = StalledStreamProtectionConfig::disabled();
    config
        .retry_config(RetryConfig::disabled())
        .timeout_config(times)
        .stalled_stream_protection(stalls)
        .http_client(bounded(http, bounds.answer))
}

/// What is known of whom a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    is_loopback: bool,
    is_plain: bool,
}

impl Peer {
    pub(crate) fn of(endpoint: Option<&str>) -> Self {
        Self { is_loopback: endpoint.is_some_and(is_loopback), is_plain: endpoint.is_some_and(is_plain) }
    }

    /// Whether nobody on the way can read or change anything.
    pub(crate) fn is_private(self) -> bool {
        self.is_loopback || !self.is_plain
    }
}

/// HTTP with TLS on ring. Proxies are those of the environment, but never for this machine itself.
pub(crate) fn http_client(peer: Peer, ca_pem: Option<Vec<u8>>) -> SharedHttpClient {
    // A machine that has no certificates can still talk in plain text.
    let mut trusted = TrustStore::empty().with_native_roots(!peer.is_plain);
    if let Some(pem) = ca_pem {
        trusted.add_pem_certificate(pem);
    }
    HttpBuilder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder();
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        let proxies = if peer.is_loopback { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        let tls = TlsContext::builder().with_trust_store(trusted.clone()).build().unwrap_or_default();
        connector
            .proxy_config(proxies)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls)
            .build()
    })
}

/// Refuses what the HTTP client would panic at.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] unless it is one certificate or more, in PEM.
pub(crate) fn check_pem(pem: &[u8]) -> Result<()> {
    let invalid = |e: &dyn std::fmt::Display| {
        let message = format!("the certificate of the authority cannot be read: {e}; give it in PEM");
        Error::new(ErrorKind::InvalidInput, "open", message)
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.map_err(|e| invalid(&e))?).map_err(|e| invalid(&e))?;
    }
    if store.is_empty() { Err(invalid(&"there is none in it")) } else { Ok(()) }
}

/// Whether an endpoint is spoken to without TLS.
fn is_plain(endpoint: &str) -> bool {
    endpoint.parse::<http::Uri>().is_ok_and(|uri| uri.scheme() == Some(&http::uri::Scheme::HTTP))
}

/// Whether an endpoint is this machine.
fn is_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine() {
        for yes in
            ["http://127.0.0.1:9000", "http://[::1]:9000/x", "https://localhost", "http://b.localhost:1"]
        {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["http://10.0.0.1", "http://localhost.example.org", "127.0.0.1.evil", "http://h:1"] {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn only_tls_and_this_machine_are_private() {
        let is_private = |endpoint| Peer::of(endpoint).is_private();
        assert!(is_private(None), "AWS");
        for yes in ["https://10.0.0.1", "HTTPS://h:1", "http://127.0.0.1:9000", "http://localhost"] {
            assert!(is_private(Some(yes)), "{yes}");
        }
        for no in ["http://10.0.0.1:9000", "HTTP://minio:9000", "http://localhost.example.org"] {
            assert!(!is_private(Some(no)), "{no}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA";
        for bad in ["", "hello", broken, cut] {
            let e = check_pem(bad.as_bytes()).unwrap_err();
            assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("PEM"), "{bad}: {e}");
        }
    }
}
