//! AWS's own chain of credentials.

use aws_config::BehaviorVersion;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::Region;

use crate::client::{Peer, http_client};

/// The whole chain for AWS. For another service only what is on this machine: without keys the whole chain
/// ends at 169.254.169.254, where no other service answers, and waits.
pub(crate) async fn provider(region: &str, is_aws: bool) -> SharedCredentialsProvider {
    let region = Region::new(region.to_owned());
    // These requests go to AWS, by its own certificates.
    let config = ProviderConfig::without_region()
        .with_region(Some(region.clone()))
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
        .with_http_client(http_client(Peer::of(None), None));
    if is_aws {
        let chain = DefaultCredentialsChain::builder().region(region).configure(config).build().await;
        return SharedCredentialsProvider::new(chain);
    }
    let profiles = ProfileFileCredentialsProvider::builder().configure(&config).build();
    let chain =
        CredentialsProviderChain::first_try("environment", EnvironmentVariableCredentialsProvider::new())
            .or_else("profile", profiles);
    SharedCredentialsProvider::new(chain)
}
