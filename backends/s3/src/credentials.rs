use std::env;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{
    ProvideCredentials, Result as Provided, SharedCredentialsProvider, future,
};
use tokio::sync::Mutex;

/// Keys that end sooner than this are asked for anew, so that none ends on its way.
const MARGIN: Duration = Duration::from_secs(60);

/// Who asks. `Debug` shows the kind only.
#[derive(Clone)]
pub struct Credentials(Source);

#[derive(Clone)]
enum Source {
    Env,
    #[cfg(feature = "credentials-chain")]
    Chain,
    Provider(&'static str, SharedCredentialsProvider),
}

impl Credentials {
    /// This key and no other. No service on the network is ever asked.
    #[must_use]
    pub fn fixed(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        let keys = Keys::new(access_key, secret_key, None, None, "selfenc");
        Self(Source::Provider("fixed", SharedCredentialsProvider::new(keys)))
    }

    /// This key of a session, with its token.
    #[must_use]
    pub fn temporary(
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        let keys = Keys::new(access_key, secret_key, Some(token.into()), None, "selfenc");
        Self(Source::Provider("temporary", SharedCredentialsProvider::new(keys)))
    }

    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if set, `AWS_SESSION_TOKEN`, read anew when the
    /// service says that they have expired. No service on the network is ever asked.
    #[must_use]
    pub fn env() -> Self {
        Self(Source::Env)
    }

    /// AWS's own chain: the environment, profiles, SSO, web identities, roles of containers and machines.
    #[cfg(feature = "credentials-chain")]
    #[must_use]
    pub fn chain() -> Self {
        Self(Source::Chain)
    }

    /// Whatever this gives, asked again before its keys end and when the service says that they have.
    #[must_use]
    pub fn provider(provider: impl ProvideCredentials + 'static) -> Self {
        Self(Source::Provider("provider", SharedCredentialsProvider::new(provider)))
    }

    /// The environment if it has keys, and otherwise the chain, where it is built in.
    pub(crate) fn usual() -> Self {
        #[cfg(feature = "credentials-chain")]
        if env::var_os("AWS_ACCESS_KEY_ID").is_none_or(|key| key.is_empty()) {
            return Self::chain();
        }
        Self::env()
    }

    /// What gives the keys for requests to AWS itself, or to another service (`is_aws` is false), where
    /// nothing may be asked that only a machine of AWS has.
    pub(crate) async fn into_renewable(self, region: &str, is_aws: bool) -> Renewable {
        let provider = match self.0 {
            Source::Env => SharedCredentialsProvider::new(FromEnv),
            #[cfg(feature = "credentials-chain")]
            Source::Chain => crate::chain::provider(region, is_aws).await,
            Source::Provider(_, provider) => provider,
        };
        let _ = (region, is_aws);
        Renewable(Arc::new(Kept { provider, keys: Mutex::default(), generation: AtomicU64::new(0) }))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Source::Env => "env",
            #[cfg(feature = "credentials-chain")]
            Source::Chain => "chain",
            Source::Provider(kind, _) => kind,
        };
        write!(f, "Credentials({kind})")
    }
}

#[derive(Debug)]
struct FromEnv;

impl FromEnv {
    fn read() -> Provided {
        let get = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
            (Some(access), Some(secret)) => {
                Ok(Keys::new(access, secret, get("AWS_SESSION_TOKEN"), None, "environment"))
            }
            _ => Err(CredentialsError::not_loaded_no_source()),
        }
    }
}

impl ProvideCredentials for FromEnv {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Self::read())
    }
}

/// Keys that are kept until they end, or until [`renew`](Self::renew) forgets them, which the SDK's own
/// cache cannot.
#[derive(Clone)]
pub(crate) struct Renewable(Arc<Kept>);

struct Kept {
    provider: SharedCredentialsProvider,
    keys: Mutex<Option<Keys>>,
    generation: AtomicU64,
}

impl Renewable {
    /// Which keys these are; one more after each renewal.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Forgets the keys, unless somebody else has done so since `generation`.
    pub(crate) async fn renew(&self, generation: u64) {
        let mut keys = self.0.keys.lock().await;
        if self.generation() == generation {
            *keys = None;
            self.0.generation.store(generation + 1, Ordering::Release);
        }
    }

    async fn keys(&self) -> Provided {
        let mut kept = self.0.keys.lock().await;
        let is_fresh = |keys: &Keys| keys.expiry().is_none_or(|end| end > SystemTime::now() + MARGIN);
        if let Some(keys) = kept.as_ref().filter(|keys| is_fresh(keys)) {
            return Ok(keys.clone());
        }
        match self.0.provider.provide_credentials().await {
            Ok(keys) => {
                let keys = checked(keys)?;
                *kept = Some(keys.clone());
                Ok(keys)
            }
            // Those that are kept may do for the rest of their time.
            Err(e) => {
                let lives = |keys: &&Keys| keys.expiry().is_some_and(|end| end > SystemTime::now());
                kept.as_ref().filter(lives).cloned().ok_or(e)
            }
        }
    }
}

/// Refuses what no header takes, such as the line break at the end of a file: the SDK would panic.
fn checked(keys: Keys) -> Provided {
    let parts = [Some(keys.access_key_id()), Some(keys.secret_access_key()), keys.session_token()];
    if parts.into_iter().flatten().any(|part| part.contains(char::is_control)) {
        return Err(CredentialsError::invalid_configuration("a control character in the credentials"));
    }
    Ok(keys)
}

// Not derived: a provider may show its keys.
impl fmt::Debug for Renewable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewable(…)")
    }
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.keys())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_shown() {
        let all = [
            Credentials::fixed("hunter1", "hunter2"),
            Credentials::temporary("hunter1", "hunter2", "hunter3"),
            Credentials::provider(Keys::new("hunter1", "hunter2", None, None, "test")),
        ];
        for credentials in all {
            let text = format!("{credentials:?}");
            assert!(!text.contains("hunter"), "{text}");
        }
    }

    #[tokio::test]
    async fn keys_are_asked_for_again_when_told_once_and_when_they_end() {
        #[derive(Debug, Default)]
        struct Counting(Arc<AtomicU64>, Option<SystemTime>);
        impl ProvideCredentials for Counting {
            fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                self.0.fetch_add(1, Ordering::Relaxed);
                future::ProvideCredentials::ready(Ok(Keys::new("a", "b", None, self.1, "test")))
            }
        }
        let asked = Arc::new(AtomicU64::new(0));
        let keys = Credentials::provider(Counting(Arc::clone(&asked), None)).into_renewable("r", false).await;
        for _ in 0..3 {
            keys.keys().await.unwrap();
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let generation = keys.generation();
        for _ in 0..3 {
            keys.renew(generation).await;
            keys.keys().await.unwrap();
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2, "only the first who saw the old ones asks");

        let soon = Some(SystemTime::now() + MARGIN / 2);
        let asked = Arc::new(AtomicU64::new(0));
        let keys = Credentials::provider(Counting(Arc::clone(&asked), soon)).into_renewable("r", false).await;
        for _ in 0..3 {
            keys.keys().await.unwrap();
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
