//! The SDK's own client, past the backend: for what happens behind its back.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectIdentifier, VersioningConfiguration};
use bytes::Bytes;
use futures::future::join_all;

use super::endpoint::Endpoint;

/// The most that a service deletes at once.
const BATCH: usize = 1000;

/// A bucket as its owner sees it.
#[derive(Clone, Debug)]
pub struct Raw {
    client: Client,
    pub bucket: String,
}

/// What every client of the tests is made of. `url` is that of the proxy.
pub fn builder(endpoint: &Endpoint, url: &str) -> Builder {
    let keys = Credentials::new(&endpoint.access_key, &endpoint.secret_key, None, None, "test");
    Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(endpoint.region.clone()))
        .endpoint_url(url)
        .force_path_style(true)
        .credentials_provider(keys)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

/// Random hexadecimal digits.
pub fn digits() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    format!("{:016x}", u64::from_le_bytes(bytes))
}

fn said<E: std::error::Error>(what: &str, key: &str, e: &E) -> String {
    let mut text = format!("{what} {key}: {e}");
    let mut below = e.source();
    while let Some(cause) = below {
        text += &format!(": {cause}");
        below = cause.source();
    }
    text
}

impl Raw {
    pub fn new(endpoint: &Endpoint, url: &str, bucket: &str) -> Self {
        let client = Client::from_conf(builder(endpoint, url).build());
        Self { client, bucket: bucket.to_owned() }
    }

    pub async fn make_bucket(&self) -> Result<(), String> {
        let made = self.client.create_bucket().bucket(&self.bucket).send().await;
        made.map(drop).map_err(|e| said("make", &self.bucket, &e))
    }

    pub async fn is_there(&self) -> bool {
        self.client.head_bucket().bucket(&self.bucket).send().await.is_ok()
    }

    /// From now on an object that is replaced or deleted is kept as an old version.
    pub async fn keep_versions(&self) -> Result<(), String> {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let set = self.client.put_bucket_versioning().bucket(&self.bucket).versioning_configuration(on);
        set.send().await.map(drop).map_err(|e| said("keep versions of", &self.bucket, &e))
    }

    /// How many versions of objects there are below `prefix`, delete markers not counted.
    pub async fn versions(&self, prefix: &str) -> Result<usize, String> {
        let list = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
        let page = list.send().await.map_err(|e| said("list the versions of", prefix, &e))?;
        Ok(page.versions().len())
    }

    pub async fn get(&self, key: &str) -> Result<Bytes, String> {
        let got = self.client.get_object().bucket(&self.bucket).key(key).send().await;
        let got = got.map_err(|e| said("get", key, &e))?;
        Ok(got.body.collect().await.map_err(|e| said("read", key, &e))?.into_bytes())
    }

    pub async fn put(&self, key: &str, data: impl Into<Bytes>) -> Result<(), String> {
        let body = ByteStream::from(data.into());
        let put = self.client.put_object().bucket(&self.bucket).key(key).body(body).send().await;
        put.map(drop).map_err(|e| said("put", key, &e))
    }

    /// The keys below `prefix`.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, String> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let mut pages = list.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| said("list", prefix, &e))?;
            keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        Ok(keys)
    }

    /// Deletes everything below `prefix`, with all its versions where there are some.
    pub async fn remove_all(&self, prefix: &str, with_versions: bool) -> Result<(), String> {
        let objects: Vec<_> = match with_versions {
            true => self.all_versions(prefix).await?,
            false => self.keys(prefix).await?.into_iter().map(|key| (key, None)).collect(),
        };
        for batch in objects.chunks(BATCH) {
            let object = |(key, version): &(String, Option<String>)| {
                ObjectIdentifier::builder().key(key).set_version_id(version.clone()).build().unwrap()
            };
            let batch = Delete::builder().set_objects(Some(batch.iter().map(object).collect())).quiet(true);
            let delete = self.client.delete_objects().bucket(&self.bucket).delete(batch.build().unwrap());
            delete.send().await.map_err(|e| said("empty", prefix, &e))?;
        }
        Ok(())
    }

    async fn all_versions(&self, prefix: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let list = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
        let page = list.send().await.map_err(|e| said("list the versions of", prefix, &e))?;
        let versions = page.versions().iter().map(|v| (v.key(), v.version_id()));
        let markers = page.delete_markers().iter().map(|v| (v.key(), v.version_id()));
        let owned = |(key, version): (Option<&str>, Option<&str>)| {
            Some((key?.to_owned(), version.map(str::to_owned)))
        };
        Ok(versions.chain(markers).filter_map(owned).collect())
    }

    pub async fn remove_bucket(&self, with_versions: bool) -> Result<(), String> {
        self.remove_all("", with_versions).await?;
        let removed = self.client.delete_bucket().bucket(&self.bucket).send().await;
        removed.map(drop).map_err(|e| said("remove", &self.bucket, &e))
    }

    /// Puts small objects of these keys.
    pub async fn put_all(&self, keys: &[String]) -> Result<(), String> {
        join_all(keys.iter().map(|key| self.put(key, "not ours"))).await.into_iter().collect()
    }
}
