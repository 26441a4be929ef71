use std::env;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::StorageClass;
use selfenc_core::store::objects::{Conditions, DuplicateRate, MAX_RECORD_LEN, ObjectNames};
use selfenc_core::store::{
    Capabilities, DEFAULT_MAX_CHUNK_LEN, Durability, Error, ErrorKind, OpenMode, Result, RetryPolicy,
    StoreInfo, StoreUrl, off_the_executor,
};
use tokio::sync::OnceCell;

use crate::client::{Bounds, ClientSettings, Peer, adopted, check_pem, client};
use crate::credentials::Credentials;
use crate::delete::Rung;
use crate::encryption::Encryption;
use crate::error::Place;
use crate::guard::Guard;
use crate::open::find_or_make;
use crate::put::PutStrategy;
use crate::request::{Requests, Timeouts};
use crate::store::{Inner, KeptAs, S3Backend};

/// Requests for chunks at a time unless set.
const IN_FLIGHT: usize = 32;

/// Requests for listing and deleting at a time unless set.
const MAINTENANCE_IN_FLIGHT: usize = 4;

/// Keys in a page of a listing: as many as S3 gives.
const PAGE: u16 = 1000;

/// Beyond the longest object, an answer may be this long: a page of a listing has less than 2 MiB.
const ANSWER_MARGIN: u64 = 8 << 20;

/// How the names of S3's directory buckets end.
const DIRECTORY_BUCKET: &str = "--x-s3";

/// What a custom endpoint is signed for unless it says otherwise, and AWS's own default.
const REGION: &str = "us-east-1";

/// Whether checksums beside the name of a chunk are sent and asked for.
///
/// A service that checks a put's CRC32 gives it back. Over TLS, and to this machine itself, the body is then
/// no longer hashed for the signature: that costs more than all else here. A client that was
/// [given](S3Config::with_client) goes on as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksums {
    /// For AWS itself. Other services, some of which refuse them, are asked when a store is opened, with the
    /// trial of their conditions; puts carry one if they check it.
    #[default]
    Auto,
    /// With every object, and asked for.
    WhenSupported,
    /// Only where S3 demands one: in a batch of deletes.
    WhenRequired,
}

/// Which bucket a store is in, and how it is used.
///
/// ```no_run
/// use selfenc_core::store::OpenMode;
/// use selfenc_s3::{Credentials, S3Config};
///
/// # async fn example() -> selfenc_core::store::Result<()> {
/// let store = S3Config::new("backups")
///     .with_prefix("laptop")?
///     .with_endpoint("http://127.0.0.1:9000")?
///     .with_credentials(Credentials::fixed("access", "secret"))
///     .open(OpenMode::Create)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct S3Config {
    bucket: String,
    prefix: String,
    endpoint: Option<String>,
    region: Option<String>,
    path_style: Option<bool>,
    credentials: Option<Credentials>,
    client: Option<Client>,
    ca_pem: Option<Vec<u8>>,
    checksums: Checksums,
    kept_as: KeptAs,
    strategy: PutStrategy,
    conditions: Option<Conditions>,
    retry: RetryPolicy,
    timeouts: Timeouts,
    in_flight: usize,
    maintenance: usize,
    page: u16,
    max_chunk_len: u64,
}

// Not derived: a client shows too much of itself.
impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("credentials", &self.credentials)
            .field("has_client", &self.client.is_some())
            .finish_non_exhaustive()
    }
}

impl S3Config {
    /// A store in this bucket, at AWS unless [`with_endpoint`](Self::with_endpoint) or `AWS_ENDPOINT_URL_S3`
    /// or `AWS_ENDPOINT_URL` says otherwise.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            path_style: None,
            credentials: None,
            client: None,
            ca_pem: None,
            checksums: Checksums::Auto,
            kept_as: KeptAs::default(),
            strategy: PutStrategy::Auto,
            conditions: None,
            // With full jitter these are 16 s on average: a service that is restarted is back by then.
            retry: RetryPolicy::new()
                .with_max_attempts(10)
                .with_base_delay(Duration::from_millis(100))
                .with_longest_delay(Duration::from_secs(10))
                .with_budget(Duration::from_secs(60)),
            timeouts: Timeouts::default(),
            in_flight: IN_FLIGHT,
            maintenance: MAINTENANCE_IN_FLIGHT,
            page: PAGE,
            max_chunk_len: DEFAULT_MAX_CHUNK_LEN,
        }
    }

    /// What a URL says; see the [crate's documentation](crate#urls).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for another scheme, a URL without a bucket, or what a setting does not
    /// take.
    pub fn from_url(url: &StoreUrl) -> Result<Self> {
        crate::url::config(url)
    }

    /// Everything below `prefix`, such as `backups/laptop`; slashes around it do not matter.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for empty parts, `.`, `..`, control characters, and more than 499 bytes
    /// (a key has at most 1024, and that of the longest root's name takes 525).
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self> {
        let trimmed = prefix.trim_matches('/');
        let is_part = |part: &str| !matches!(part, "" | "." | "..");
        let is_fine = trimmed.len() <= 499
            && !trimmed.contains(char::is_control)
            && (trimmed.is_empty() || trimmed.split('/').all(is_part));
        if !is_fine {
            let message = format!(
                "{trimmed:.80?} cannot be a prefix of objects; give parts like backups/laptop, none empty"
            );
            return Err(Error::new(ErrorKind::InvalidInput, "open", message));
        }
        self.prefix = trimmed.to_owned();
        Ok(self)
    }

    /// The service's address, such as `http://127.0.0.1:9000`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless it is `http://` or `https://` and a host, without a user or a
    /// query.
    pub fn with_endpoint(mut self, endpoint: &str) -> Result<Self> {
        self.endpoint = Some(checked_endpoint(endpoint)?);
        Ok(self)
    }

    /// The region that requests are signed for; otherwise `AWS_REGION`, `AWS_DEFAULT_REGION`, or
    /// `us-east-1`.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Whether the bucket stands in the path and not in the host's name. Unless set: with an endpoint it
    /// does, at AWS it does not.
    #[must_use]
    pub fn with_path_style(mut self, on: bool) -> Self {
        self.path_style = Some(on);
        self
    }

    /// Who asks. Unless set: the environment, or, with the feature `credentials-chain` and no
    /// `AWS_ACCESS_KEY_ID`, AWS's own chain.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// A ready client. Its addresses, credentials and connections are used; endpoint, region, path style,
    /// credentials, certificates and checksums set here are not. It is told not to retry, since the store
    /// does, and its answers are bounded. One without an HTTP client gets that of this crate.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Trusts this authority as well, in PEM.
    #[must_use]
    pub fn with_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// When checksums are sent and asked for.
    #[must_use]
    pub fn with_checksums(mut self, checksums: Checksums) -> Self {
        self.checksums = checksums;
        self
    }

    /// The storage class of new objects, such as `STANDARD_IA`. Not one that must be restored before it
    /// can be read.
    #[must_use]
    pub fn with_storage_class(mut self, class: &str) -> Self {
        self.kept_as.class = Some(class.into());
        self
    }

    /// Has the service encrypt what is encrypted already, where rules demand it.
    #[must_use]
    pub fn with_encryption(mut self, encryption: Encryption) -> Self {
        (self.kept_as.encryption, self.kept_as.kms_key) = encryption.into_header();
        self
    }

    /// How a put finds out that the chunk is there already.
    #[must_use]
    pub fn with_put_strategy(mut self, strategy: PutStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// What the service is known to keep, so that `open` does not try it (five requests).
    #[must_use]
    pub fn with_conditions(mut self, known: Conditions) -> Self {
        self.conditions = Some(known);
        self
    }

    /// How often a request is tried: unless set 10 times, the first delay up to 100 ms, none longer than
    /// 10 s, for 60 s.
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How long things may take.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How many requests for chunks and roots are made at a time; 32 unless set. Others wait.
    #[must_use]
    pub fn with_in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests.max(1);
        self
    }

    /// How many requests for listing and deleting are made at a time, beside the others; 4 unless set.
    #[must_use]
    pub fn with_maintenance_in_flight(mut self, requests: usize) -> Self {
        self.maintenance = requests.max(1);
        self
    }

    /// How many keys a page of a listing has, up to the 1000 of S3, which are the default.
    #[must_use]
    pub fn with_page(mut self, keys: u16) -> Self {
        self.page = keys.clamp(1, PAGE);
        self
    }

    /// The longest chunk, in bytes; 72 MiB unless set.
    #[must_use]
    pub fn with_max_chunk_len(mut self, bytes: u64) -> Self {
        self.max_chunk_len = bytes;
        self
    }

    /// Opens the store.
    ///
    /// `OpenMode::Create` makes it; never a bucket.
    ///
    /// # Errors
    /// * [`ErrorKind::ContainerMissing`] if there is no bucket, and with `OpenMode::Existing` if there is no
    ///   store.
    /// * [`ErrorKind::InvalidInput`] for another region's bucket, a bad endpoint or certificate; and with
    ///   `OpenMode::Create` if something else is below the prefix.
    /// * [`ErrorKind::Unauthenticated`] and [`ErrorKind::PermissionDenied`] with what to set or allow.
    /// * [`ErrorKind::Unsupported`] for a store of a newer layout.
    /// * As the service fails.
    pub async fn open(self, mode: OpenMode) -> Result<S3Backend> {
        let known = self.conditions;
        let inner = Arc::new(self.reach("open").await?);
        find_or_make(&inner, mode).await?;
        let known = match known {
            Some(known) => Some(known),
            None => inner.probe("open").await.map(Some).or_else(unless_denied)?,
        };
        if let Some(known) = known {
            inner.creates.store(known.create, Ordering::Relaxed);
            // Nobody else has it yet.
            let _ = inner.conditions.set(known);
        }
        let capabilities = Capabilities::new(Durability::OnPut)
            .with_exact_outcome(known.is_some_and(|known| known.create))
            .with_roots(known.is_none_or(Conditions::roots))
            .with_drop_ordered(false)
            .with_max_chunk_len(inner.max_chunk_len);
        Ok(S3Backend { inner, capabilities })
    }

    /// A store whose place nobody has looked at yet.
    pub(crate) async fn reach(self, op: &'static str) -> Result<Inner> {
        if self.bucket.is_empty() || self.bucket.contains(|c: char| c == '/' || c.is_control()) {
            let message = format!("{:.80?} cannot be the name of a bucket", self.bucket);
            return Err(Error::new(ErrorKind::InvalidInput, op, message));
        }
        if self.bucket.ends_with(DIRECTORY_BUCKET) {
            let message = "a directory bucket does not list by name; give a general purpose bucket";
            return Err(Error::new(ErrorKind::Unsupported, op, message));
        }
        if matches!(self.kept_as.class, Some(StorageClass::Glacier | StorageClass::DeepArchive)) {
            let message = "chunks in this storage class could not be read; give one without restoring";
            return Err(Error::new(ErrorKind::InvalidInput, op, message));
        }
        let info = self.info();
        let bounds = Bounds {
            connect: self.timeouts.connect,
            answer: self.max_chunk_len.max(MAX_RECORD_LEN).saturating_add(ANSWER_MARGIN),
        };
        let (client, renewable, endpoint, guard) = match &self.client {
            Some(client) => {
                let client = client.clone();
                let client = off_the_executor(op, move || Ok(adopted(&client, bounds))).await?;
                (client, None, None, Guard::new(false))
            }
            None => {
                let (settings, keys) = self.client_settings().await?;
                let (kept, endpoint) = (keys.clone(), settings.endpoint.clone());
                let is_private = Peer::of(endpoint.as_deref()).is_private();
                let guard = Guard::new(is_private && self.checksums != Checksums::WhenRequired);
                if settings.checksums {
                    guard.ask();
                }
                let client = off_the_executor(op, move || {
                    settings.ca_pem.as_deref().map_or(Ok(()), check_pem)?;
                    Ok(client(settings, keys, bounds))
                });
                (client.await?, Some(kept), endpoint, guard)
            }
        };
        let endpoint = endpoint.unwrap_or_else(|| {
            if self.client.is_some() { "the client's endpoint".to_owned() } else { "AWS".to_owned() }
        });
        let place = Place { bucket: self.bucket, endpoint };
        let lanes = (self.in_flight, self.maintenance);
        Ok(Inner {
            client,
            names: ObjectNames::new(&self.prefix),
            info,
            max_chunk_len: self.max_chunk_len,
            requests: Requests::new(lanes, self.retry, self.timeouts, place, renewable),
            conditions: OnceCell::new(),
            creates: AtomicBool::new(true),
            strategy: self.strategy,
            duplicates: DuplicateRate::default(),
            kept_as: self.kept_as,
            guard,
            rung: Rung::default(),
            in_flight: self.in_flight,
            page: i32::from(self.page),
        })
    }

    async fn client_settings(&self) -> Result<(ClientSettings, crate::credentials::Renewable)> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = match &self.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
                .into_iter()
                .find_map(variable)
                .map(|endpoint| checked_endpoint(&endpoint))
                .transpose()?,
        };
        let region = self.region.clone();
        let region = region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| REGION.to_owned());
        check_region(&region)?;
        let is_aws = endpoint.is_none();
        let credentials = self.credentials.clone().unwrap_or_else(Credentials::usual);
        let keys = credentials.into_renewable(&region, is_aws).await;
        let settings = ClientSettings {
            path_style: self.path_style.unwrap_or(!is_aws),
            checksums: match self.checksums {
                Checksums::Auto => is_aws,
                Checksums::WhenSupported => true,
                Checksums::WhenRequired => false,
            },
            ca_pem: self.ca_pem.clone(),
            endpoint,
            region,
        };
        Ok((settings, keys))
    }

    fn info(&self) -> StoreInfo {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        StoreInfo::backend("s3", format!("//{}{slash}{}", self.bucket, self.prefix))
    }
}

/// The endpoint, if it is one. Not repeated otherwise: a user may have put a key into it.
fn checked_endpoint(endpoint: &str) -> Result<String> {
    let is_plain = !endpoint.contains(['@', '?', '#']);
    let uri = endpoint.parse::<http::Uri>().ok().filter(|_| is_plain);
    let is_fine = uri.is_some_and(|uri| {
        let host = uri.host().unwrap_or_default();
        // A port that is none, such as 90000, would be left out.
        let is_bare = uri.authority().is_some_and(|authority| authority.as_str() == host);
        let is_at_host = !host.is_empty() && (is_bare || uri.port().is_some());
        matches!(uri.scheme_str(), Some("http" | "https")) && is_at_host
    });
    if is_fine {
        return Ok(endpoint.trim_end_matches('/').to_owned());
    }
    let message = "an endpoint is http://HOST:PORT or https://HOST:PORT, without a user or a query";
    Err(Error::new(ErrorKind::InvalidInput, "open", message))
}

/// Refuses what does not go into a signature: the SDK would panic at a line break.
fn check_region(region: &str) -> Result<()> {
    let is_part = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b',');
    if !region.is_empty() && region.bytes().all(is_part) {
        return Ok(());
    }
    let message = format!("{region:.40?} cannot be the name of a region; it is like us-east-1");
    Err(Error::new(ErrorKind::InvalidInput, "open", message))
}

/// Who may only read cannot try, and needs not know.
fn unless_denied(e: Error) -> Result<Option<Conditions>> {
    match e.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnly => Ok(None),
        _ => Err(e),
    }
}
