//! Answers of a bounded length. The SDK reads every answer but an object's to its end before it looks at
//! it, however long.

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

/// The longest error, in bytes; those of S3 have less than one KiB.
const MAX_ERROR_LEN: usize = 64 << 10;

/// The same client, whose answers end with an error after `max` bytes, and errors after 64 KiB.
pub(crate) fn bounded(client: SharedHttpClient, max: u64) -> SharedHttpClient {
    SharedHttpClient::new(BoundedClient { client, max: usize::try_from(max).unwrap_or(usize::MAX) })
}

#[derive(Debug)]
struct BoundedClient {
    client: SharedHttpClient,
    max: usize,
}

impl HttpClient for BoundedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let below = self.client.http_connector(settings, components);
        SharedHttpConnector::new(Bounded { below, max: self.max })
    }

    /// Reads the system's certificates, once.
    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.client.validate_base_client_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.client.connector_metadata()
    }
}

#[derive(Debug)]
struct Bounded {
    below: SharedHttpConnector,
    max: usize,
}

impl HttpConnector for Bounded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, max) = (self.below.call(request), self.max);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let max = if answer.status().is_success() { max } else { MAX_ERROR_LEN };
            Ok(answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, max))))
        })
    }
}
