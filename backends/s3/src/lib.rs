//! Chunks and roots in a bucket of S3, or of a service that speaks S3: MinIO, R2, Ceph, Garage and others.
//!
//! ```no_run
//! use selfenc_core::store::{ChunkId, ChunkStore, OpenMode};
//! use selfenc_s3::S3Config;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
//! let config = S3Config::new("backups").with_prefix("laptop")?.with_region("eu-central-1");
//! let store = config.open(OpenMode::Create).await?;
//! let id = ChunkId::from_bytes([7; 32]);
//! store.put(id, "bytes".into()).await?;
//! assert_eq!(store.get(id).await?.as_deref(), Some(&b"bytes"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! The bucket must be there; a store never makes one. What is in it is described in
//! [`selfenc_core::store::objects`].
//!
//! # URLs
//!
//! `s3://BUCKET/PREFIX`, with these settings after a `?`, none of them a secret:
//!
//! | setting | |
//! |---|---|
//! | `endpoint` | `http://HOST:PORT` of a service that is not AWS; otherwise `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` |
//! | `region` | otherwise `AWS_REGION`, `AWS_DEFAULT_REGION`, or `us-east-1` |
//! | `path_style` | `true` or `false`; `true` where there is an endpoint |
//! | `ca` | a file with the certificate of the endpoint's authority, in PEM |
//! | `checksums` | `auto`, `when-supported`, `when-required`: see [`Checksums`] |
//! | `put` | `auto`, `conditional`, `head-first`: see [`PutStrategy`] |
//! | `in_flight` | requests for chunks at a time, 32 unless set |
//! | `conditions` | `kept` or `ignored`, so that opening does not try it |
//! | `storage_class` | of new objects, such as `STANDARD_IA` |
//! | `sse` | `s3`, `kms`, or `kms:KEY`: see [`Encryption`] |
//!
//! Keys come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. With the feature
//! `credentials-chain` and without the first, AWS's own chain is asked: profiles, SSO, web identities, and
//! at AWS itself the roles of containers and machines. No address of a machine of AWS is ever asked with
//! fixed keys, keys from the environment, or another endpoint, unless a profile says so.
//!
//! # What a service keeps
//!
//! An acknowledged object is durable ([`OnPut`](selfenc_core::store::Durability::OnPut)). Whether writes
//! keep their conditions is tried when a store is opened: a chunk is put with `If-None-Match: *`, a root
//! with `If-Match` as well, and some services ignore both and say 200. Such a service is still good for
//! chunks, whose bytes follow from their names: then `roots` and `exact_outcome` are off. A user who may
//! only read cannot try; then the first swap does.
//!
//! A put whose answer was lost is repeated, finds the chunk and says `Present`. A delete that is given up
//! may still arrive later.
//!
//! # What guards a chunk on its way
//!
//! A put carries the SHA-256 of its body in its signature, which the service compares. That hash costs both
//! more than anything else in a put of 1 MiB. So the first put of all, that of the trial above, carries a
//! CRC32 as well: a service that gives it back says that it has checked it, and from then on chunks go with the
//! CRC32, whose header is signed, and not the hash. Roots are always signed. This is done over TLS and to this
//! machine itself (a forwarder on it, such as `ssh -L`, counts as such), since a CRC32 finds accidents and not
//! intent; elsewhere, and where the service does not take it, puts stay as they are. See [`Checksums`].
//!
//! # Requests
//!
//! Each request is sent up to 10 times, with full jitter from 100 ms to 10 s, within 60 s, as long as the
//! store has retries left: each success gives one back, so that a service in trouble is not flooded. The
//! SDK's own retries are off. A service that has never answered gets six attempts, and one that asks for a
//! pause at most 5 s of it. Reading a body counts: what breaks off is read anew. 32 requests for chunks
//! and 4 for listing and deleting run at a time. No answer is longer than the longest chunk and some
//! MiB, and no error longer than 64 KiB.
//!
//! TLS is rustls on ring. Proxies are taken from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, but never for
//! this machine itself.
#![forbid(unsafe_code)]

mod bounded;
#[cfg(feature = "credentials-chain")]
mod chain;
mod client;
mod conditions;
mod config;
mod credentials;
mod delete;
mod destroy;
mod encryption;
mod error;
mod factory;
mod guard;
mod list;
mod objects;
mod open;
mod put;
mod request;
mod roots;
mod store;
mod url;
mod whole;

pub use config::{Checksums, S3Config};
pub use credentials::Credentials;
pub use encryption::Encryption;
pub use factory::S3Factory;
pub use put::PutStrategy;
pub use request::Timeouts;
pub use selfenc_core::store::objects::Conditions;
pub use store::S3Backend;

/// The SDK below, in the version that this crate is built on.
pub use aws_sdk_s3;
