//! Store URLs of each scheme.

use selfenc_core::store::{Error, ErrorKind, Result, StoreInfo, StoreUrl};

use crate::ObjectStoreConfig;

pub(crate) fn config(url: &StoreUrl) -> Result<ObjectStoreConfig> {
    match url.scheme() {
        "objects" => {
            url.allow_query(&[])?;
            Ok(ObjectStoreConfig::local(url.to_file_path()?).with_info(info(url)))
        }
        "gs" => gcs(url),
        "az" => azure(url),
        "http" | "https" => http(url),
        other => {
            let message =
                format!("'{other}:' is no URL of objects; there are objects, gs, az, http and https");
            Err(Error::new(ErrorKind::InvalidInput, "open", message))
        }
    }
}

fn info(url: &StoreUrl) -> StoreInfo {
    StoreInfo::backend(url.scheme(), url.path())
}

#[cfg(not(all(feature = "gcp", feature = "azure", feature = "http")))]
fn switched_off(url: &StoreUrl, feature: &str) -> Result<ObjectStoreConfig> {
    let message = format!("{}: URLs are not in this build; build with the feature {feature}", url.scheme());
    Err(Error::new(ErrorKind::Unsupported, "open", message))
}

#[cfg(not(feature = "gcp"))]
fn gcs(url: &StoreUrl) -> Result<ObjectStoreConfig> {
    switched_off(url, "gcp")
}

#[cfg(not(feature = "azure"))]
fn azure(url: &StoreUrl) -> Result<ObjectStoreConfig> {
    switched_off(url, "azure")
}

#[cfg(not(feature = "http"))]
fn http(url: &StoreUrl) -> Result<ObjectStoreConfig> {
    switched_off(url, "http")
}

#[cfg(feature = "gcp")]
use cloud::gcs;

#[cfg(feature = "azure")]
use cloud::azure;

#[cfg(feature = "http")]
use cloud::http;

#[cfg(any(feature = "gcp", feature = "azure", feature = "http"))]
mod cloud {
    use std::sync::Arc;
    use std::time::Duration;

    use object_store::path::Path;
    use object_store::{Error as Below, ObjectStore, RetryConfig};
    use selfenc_core::store::Durability;

    use super::{Error, ErrorKind, ObjectStoreConfig, Result, StoreUrl, info};
    use crate::error::failed;

    /// Few: a wrapper that knows more retries as well, and also what ends in the middle of a body.
    const RETRIES: usize = 3;
    const RETRIES_END: Duration = Duration::from_secs(30);

    fn retries() -> RetryConfig {
        RetryConfig { max_retries: RETRIES, retry_timeout: RETRIES_END, ..RetryConfig::default() }
    }

    /// rustls needs to be told which cryptography to use; whoever told it first is right.
    fn prepare_tls() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }

    /// The host (a bucket, a container) and the prefix.
    fn host_and_prefix(url: &StoreUrl) -> Result<(&str, Path)> {
        let rest = url.path().strip_prefix("//").unwrap_or_default();
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() {
            let message = format!("'{url}' names no place; write {}://NAME/PREFIX", url.scheme());
            return Err(Error::new(ErrorKind::InvalidInput, "open", message));
        }
        let prefix = Path::from_url_path(prefix).map_err(|e| {
            let message = format!("the path of '{url}' cannot be a prefix of objects");
            Error::new(ErrorKind::InvalidInput, "open", message).with_source(e)
        })?;
        Ok((host, prefix))
    }

    /// What an acknowledged object survives: the user may know more of the service than its scheme tells.
    fn durability(url: &StoreUrl, unless_told: Durability) -> Result<Durability> {
        match setting(url, "durability") {
            None => Ok(unless_told),
            Some("on-put") => Ok(Durability::OnPut),
            Some("volatile") => Ok(Durability::Volatile),
            Some(other) => {
                let message = format!("durability is on-put or volatile, not '{other}'");
                Err(Error::new(ErrorKind::InvalidInput, "open", message))
            }
        }
    }

    fn built<S: ObjectStore>(
        url: &StoreUrl,
        store: Result<S, Below>,
        prefix: &Path,
        durability: Durability,
    ) -> Result<ObjectStoreConfig> {
        let store = store.map_err(|e| {
            let e = failed("open", &format!("use '{url}'"), &e);
            // Nothing was sent: what is wrong is in the URL or in the environment.
            Error::new(ErrorKind::InvalidInput, "open", e.to_string())
        })?;
        let config = ObjectStoreConfig::new(Arc::new(store), durability);
        Ok(config.with_prefix(prefix.as_ref())?.with_info(info(url)))
    }

    fn setting<'a>(url: &'a StoreUrl, key: &str) -> Option<&'a str> {
        url.query().find(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// The address of an emulator, which like the rest of a URL carries no secret.
    #[cfg(any(feature = "gcp", feature = "azure"))]
    fn endpoint(url: &StoreUrl) -> Result<Option<&str>> {
        let Some(endpoint) = setting(url, "endpoint") else { return Ok(None) };
        if endpoint.contains(['@', '?', '#']) {
            let message = "an endpoint is http://HOST:PORT, without a user or a query";
            return Err(Error::new(ErrorKind::InvalidInput, "open", message));
        }
        Ok(Some(endpoint))
    }

    /// `gs://bucket/prefix`, with `endpoint=` for an emulator.
    #[cfg(feature = "gcp")]
    pub(super) fn gcs(url: &StoreUrl) -> Result<ObjectStoreConfig> {
        use object_store::ClientConfigKey;
        use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

        url.allow_query(&["durability", "endpoint"])?;
        let durability = durability(url, Durability::OnPut)?;
        prepare_tls();
        let (bucket, prefix) = host_and_prefix(url)?;
        let mut builder =
            GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retries());
        if let Some(endpoint) = endpoint(url)? {
            let is_plain = endpoint.starts_with("http://").to_string();
            builder = builder
                .with_base_url(endpoint)
                .with_config(GoogleConfigKey::Client(ClientConfigKey::AllowHttp), is_plain);
        }
        Ok(built(url, builder.build(), &prefix, durability)?.with_lists_in_order(true))
    }

    /// `az://container/prefix`, with `account=`, and `endpoint=` for an emulator.
    #[cfg(feature = "azure")]
    pub(super) fn azure(url: &StoreUrl) -> Result<ObjectStoreConfig> {
        use object_store::azure::MicrosoftAzureBuilder;

        url.allow_query(&["account", "durability", "endpoint"])?;
        let durability = durability(url, Durability::OnPut)?;
        prepare_tls();
        let (container, prefix) = host_and_prefix(url)?;
        let mut builder =
            MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retries());
        if let Some(account) = setting(url, "account") {
            builder = builder.with_account(account);
        }
        if let Some(endpoint) = endpoint(url)? {
            builder =
                builder.with_endpoint(endpoint.to_owned()).with_allow_http(endpoint.starts_with("http://"));
        }
        Ok(built(url, builder.build(), &prefix, durability)?.with_lists_in_order(true))
    }

    /// `https://host/prefix`: a WebDAV server.
    #[cfg(feature = "http")]
    pub(super) fn http(url: &StoreUrl) -> Result<ObjectStoreConfig> {
        use object_store::ClientOptions;
        use object_store::http::HttpBuilder;

        url.allow_query(&["durability"])?;
        // Many servers sync nothing, and some write in place.
        let durability = durability(url, Durability::Volatile)?;
        prepare_tls();
        let (host, prefix) = host_and_prefix(url)?;
        let options = ClientOptions::new().with_allow_http(url.scheme() == "http");
        let builder = HttpBuilder::new()
            .with_url(format!("{}://{host}", url.scheme()))
            .with_client_options(options)
            .with_retry(retries());
        // It makes missing folders, and has no conditions.
        let none = crate::Conditions { create: false, update: false };
        Ok(built(url, builder.build(), &prefix, durability)?.with_checked_puts(true).with_conditions(none))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> Error {
        ObjectStoreConfig::from_url(&url.parse().unwrap()).unwrap_err()
    }

    #[test]
    fn what_is_no_url_of_objects_says_what_is() {
        for (bad, words) in [
            ("objects:", "names no path"),
            ("objects:/a?colour=red", "'colour'"),
            ("file:/a", "there are objects, gs"),
        ] {
            let e = refusal(bad);
            assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains(words), "{bad}: {e}");
        }
    }

    #[cfg(not(feature = "gcp"))]
    #[test]
    fn a_scheme_that_is_not_built_names_its_feature() {
        let e = refusal("gs://bucket/prefix");
        assert!(e.kind() == ErrorKind::Unsupported && e.to_string().contains("feature gcp"), "{e}");
    }

    #[cfg(all(feature = "gcp", feature = "azure", feature = "http"))]
    #[test]
    fn clouds_by_url() {
        for url in ["gs:", "gs:///prefix", "az://", "http:"] {
            let e = refusal(url);
            assert!(e.kind() == ErrorKind::InvalidInput && e.to_string().contains("names no place"), "{e}");
        }
        assert!(refusal("gs://bucket/a//b").to_string().contains("prefix"));
        assert!(refusal("gs://bucket?colour=red").to_string().contains("'colour'"));
        for url in ["gs://b?endpoint=http://u:hunter2@h", "az://c?account=a&endpoint=http://h/?x=hunter2"] {
            let e = refusal(url);
            let text = format!("{e} {e:?}");
            assert!(text.contains("an endpoint is") && !text.contains("hunter2"), "{text}");
        }
        // No account, neither in the URL nor in the environment.
        assert_eq!(refusal("az://container").kind(), ErrorKind::InvalidInput);
        assert!(refusal("http://h/a?durability=on-flush").to_string().contains("on-put or volatile"));
        for (url, durability) in [
            ("gs://b", "OnPut"),
            ("gs://b?durability=volatile", "Volatile"),
            ("az://c?account=a", "OnPut"),
            ("http://h", "Volatile"),
            ("https://h/a?durability=on-put", "OnPut"),
        ] {
            let config = ObjectStoreConfig::from_url(&url.parse().unwrap()).unwrap();
            assert!(
                format!("{config:?}").contains(&format!("durability: {durability}")),
                "{url}: {config:?}"
            );
        }
        for url in ["gs://b/p", "gs://b/p?endpoint=http://h:1", "az://c/p?account=a", "http://h:1/a%20b"] {
            let config = ObjectStoreConfig::from_url(&url.parse().unwrap()).unwrap();
            let debug = format!("{config:?}");
            assert!(debug.contains(url.split('?').next().unwrap()) && !debug.contains("endpoint"), "{debug}");
        }
    }

    /// Who takes one variable for another has a key where a path belongs.
    #[cfg(all(feature = "gcp", feature = "azure", feature = "http"))]
    #[test]
    fn what_the_environment_says_is_not_repeated() {
        use object_store::azure::MicrosoftAzureBuilder;
        use object_store::gcp::GoogleCloudStorageBuilder;
        let json = r#"{"type": "service_account", "private_key": "-----BEGIN hunter2"}"#;
        let google = || GoogleCloudStorageBuilder::new().with_bucket_name("b");
        let azure = || MicrosoftAzureBuilder::new().with_account("a").with_container_name("c");
        let errors = [
            google().with_service_account_path(json).build().unwrap_err(),
            google().with_service_account_key(json).build().unwrap_err(),
            google().with_service_account_key("\"-----BEGIN hunter2\"").build().unwrap_err(),
            google().with_service_account_path("-----BEGIN PRIVATE KEY-----\nhunter2").build().unwrap_err(),
            google().with_application_credentials(json).build().unwrap_err(),
            azure().with_access_key("hunter2!").build().unwrap_err(),
            azure().with_config("azure_storage_sas_key".parse().unwrap(), "hunter2").build().unwrap_err(),
        ];
        for e in errors {
            let e = crate::error::failed("open", "use it", &e);
            assert!(!format!("{e} {e:?}").contains("hunter2"), "{e:?}");
        }
    }
}
