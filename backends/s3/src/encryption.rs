use aws_sdk_s3::types::ServerSideEncryption;

/// How the service encrypts objects on its disks, beside what selfenc does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// With keys of S3's own (SSE-S3), which AWS does anyway.
    S3,
    /// With this key of the KMS, or with AWS's own. Each request then asks the KMS as well, which has limits
    /// of its own.
    Kms(Option<String>),
}

impl Encryption {
    pub(crate) fn into_header(self) -> (Option<ServerSideEncryption>, Option<String>) {
        match self {
            Self::S3 => (Some(ServerSideEncryption::Aes256), None),
            Self::Kms(key) => (Some(ServerSideEncryption::AwsKms), key),
        }
    }
}
