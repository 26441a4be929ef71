//! The one place where requests are limited, timed and tried again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use selfenc_core::store::{Attempts, Error, ErrorKind, Pacer, Result, RetryPolicy};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::credentials::Renewable;
use crate::error::{Again, Failure, Place, slow};

/// Time that a transfer is allowed for each byte: as if over 1 Mbit/s.
const SLOWEST_BYTES_PER_SECOND: u64 = 128 << 10;

/// How many retries there may be for each request in flight before some request succeeds. Each success
/// gives one back: what fails as a whole is not flooded with retries.
const RETRIES_PER_REQUEST: u64 = 10;

/// Retries at least, where few requests are in flight.
const LEAST_RETRIES: u64 = 100;

/// Attempts at a service that has never answered: its address may be wrong, and somebody waits to be told.
const ATTEMPTS_AT_A_STRANGER: u32 = 6;

/// How long things may take.
///
/// By default: 3 s to connect, 30 s for an attempt, 60 s for a whole operation with its retries and its wait
/// for a turn, 20 s without a byte of an object that is read. Attempts and operations are given more by the
/// length of what they carry, at 128 KiB/s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// For one request and its answer.
    pub attempt: Duration,
    /// For everything that one call of a store's method waits for.
    pub operation: Duration,
    /// Until the next bytes of an object that is read.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(30),
            operation: Duration::from_secs(60),
            stall: Duration::from_secs(20),
        }
    }
}

/// What limits, times and repeats the requests of one store.
#[derive(Debug)]
pub(crate) struct Requests {
    data: Semaphore,
    maintenance: Semaphore,
    pacer: Pacer,
    /// Retries that are left.
    retries: AtomicU64,
    most_retries: u64,
    timeouts: Timeouts,
    place: Place,
    renewable: Option<Renewable>,
    /// The service has answered, whatever it was.
    is_known: AtomicBool,
}

/// What a request is for, so that listing and deleting leave room for reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Data,
    Maintenance,
}

impl Requests {
    pub(crate) fn new(
        (data, maintenance): (usize, usize),
        policy: RetryPolicy,
        timeouts: Timeouts,
        place: Place,
        renewable: Option<Renewable>,
    ) -> Self {
        let permits = |wanted: usize| wanted.clamp(1, Semaphore::MAX_PERMITS);
        let most_retries = RETRIES_PER_REQUEST.saturating_mul(permits(data) as u64).max(LEAST_RETRIES);
        Self {
            data: Semaphore::new(permits(data)),
            maintenance: Semaphore::new(permits(maintenance)),
            pacer: Pacer::new(policy),
            retries: AtomicU64::new(most_retries),
            most_retries,
            timeouts,
            place,
            renewable,
            is_known: AtomicBool::new(false),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// An operation that begins now and sends `len` bytes.
    pub(crate) fn begin(&self, op: &'static str, lane: Lane, len: u64) -> Operation<'_> {
        // Room for a second attempt.
        let allowance = allowance(len).saturating_mul(2);
        let deadline = after(self.timeouts.operation.saturating_add(allowance));
        Operation { requests: self, op, lane, deadline, len }
    }

    /// Takes one retry, if there is one left.
    fn take_retry(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        self.retries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_retry(&self) {
        let give = |left: u64| (left < self.most_retries).then(|| left + 1);
        let _ = self.retries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
    }
}

/// One call of a store's method: one deadline for all the requests that it takes.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    requests: &'a Requests,
    pub(crate) op: &'static str,
    lane: Lane,
    deadline: Instant,
    len: u64,
}

impl Operation<'_> {
    /// Sends a request, again and again while that may help.
    pub(crate) async fn send<T, W>(&self, attempt: impl Fn() -> W) -> Result<T, Failure>
    where
        W: Future<Output = Result<T, Failure>>,
    {
        let mut attempts = self.requests.pacer.start(self.op);
        let (mut cured, mut tried) = (false, 0);
        loop {
            let generation = self.requests.renewable.as_ref().map(Renewable::generation);
            let mut failure = match self.once(&attempt).await {
                Ok(done) => {
                    self.requests.is_known.store(true, Ordering::Relaxed);
                    self.requests.give_retry();
                    return Ok(done);
                }
                Err(failure) => failure,
            };
            tried += 1;
            let is_known = failure.status().is_some() || self.requests.is_known.load(Ordering::Relaxed);
            let may_help = match failure.again {
                Again::Never => false,
                Again::Once => !std::mem::replace(&mut cured, true),
                Again::Paced => true,
            };
            if failure.is_expired()
                && let (Some(renewable), Some(generation)) = (&self.requests.renewable, generation)
            {
                // Behind somebody who is asking for new ones, as long as that takes.
                let _ = timeout_at(self.deadline, renewable.renew(generation)).await;
            }
            if !may_help {
                return Err(failure);
            }
            if (is_known || tried < ATTEMPTS_AT_A_STRANGER) && self.requests.take_retry() {
                if self.again(&mut attempts, failure.pause).await {
                    continue;
                }
                // Not used.
                self.requests.give_retry();
            }
            failure.error = failure.error.with_attempts(tried);
            return Err(failure);
        }
    }

    /// Waits for the next of somebody's own attempts, unless it would begin after the deadline.
    pub(crate) async fn again(&self, attempts: &mut Attempts<'_>, least: Duration) -> bool {
        timeout_at(self.deadline, attempts.again_after(least)).await.unwrap_or(false)
    }

    /// One attempt, while it holds a permit.
    pub(crate) async fn once<T, W>(&self, attempt: impl Fn() -> W) -> Result<T, Failure>
    where
        W: Future<Output = Result<T, Failure>>,
    {
        let lane = match self.lane {
            Lane::Data => &self.requests.data,
            Lane::Maintenance => &self.requests.maintenance,
        };
        let _permit = match timeout_at(self.deadline, lane.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Failure::local(Error::new(ErrorKind::Closed, self.op, "closed"))),
            Err(_) => {
                let message = "no turn in time: too many requests wait; lower what is in flight, or raise \
                               the time-outs";
                return Err(Failure::local(Error::new(ErrorKind::Timeout, self.op, message)));
            }
        };
        // Boxed: the SDK's futures are large, and nested deeper than the compiler likes to look.
        Box::pin(attempt()).await
    }

    /// Bounds what leads to the head of an answer, by the deadline as well.
    pub(crate) async fn head<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let limit = self.requests.timeouts.attempt.saturating_add(allowance(self.len));
        self.within(after(limit).min(self.deadline), work).await
    }

    /// Bounds the reading of a body of `len` bytes: what has begun to arrive may end after the deadline.
    pub(crate) async fn body<T>(
        &self,
        len: u64,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let limit = self.requests.timeouts.attempt.saturating_add(allowance(len));
        self.within(after(limit), work).await
    }

    /// Bounds the wait for the next piece of a body.
    pub(crate) async fn piece<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        timeout(self.requests.timeouts.stall, work).await.map_err(|_| self.too_slow())
    }

    fn too_slow(&self) -> Failure {
        Failure::local(Error::new(ErrorKind::Timeout, self.op, slow(&self.requests.place)))
    }

    async fn within<T>(
        &self,
        end: Instant,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        timeout_at(end, work).await.unwrap_or_else(|_| Err(self.too_slow()))
    }
}

fn allowance(len: u64) -> Duration {
    Duration::from_secs(len / SLOWEST_BYTES_PER_SECOND)
}

/// This long from now; for ever, as far as a clock can tell, is a year.
fn after(duration: Duration) -> Instant {
    Instant::now() + duration.min(Duration::from_secs(365 * 24 * 60 * 60))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn requests(policy: RetryPolicy) -> Requests {
        let place = Place { bucket: "b".into(), endpoint: "e".into() };
        Requests::new((2, 1), policy, Timeouts::default(), place, None)
    }

    fn failure(kind: ErrorKind) -> Failure {
        Failure::local(Error::new(kind, "put", "on purpose"))
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_at_the_limit_and_says_how_often_it_tried() {
        let requests = requests(RetryPolicy::new().with_max_attempts(8));
        requests.is_known.store(true, Ordering::Relaxed);
        let tried = Cell::new(0);
        let send = || {
            tried.set(tried.get() + 1);
            std::future::ready(Err::<(), _>(failure(ErrorKind::Unavailable)))
        };
        let e = requests.begin("put", Lane::Data, 0).send(send).await.unwrap_err();
        assert_eq!((tried.get(), e.error.attempts().unwrap()), (8, 8));
        tried.set(0);
        requests.is_known.store(false, Ordering::Relaxed);
        let e = requests.begin("open", Lane::Data, 0).send(send).await.unwrap_err();
        assert_eq!((tried.get(), e.error.attempts().unwrap()), (6, 6), "a stranger");
        let denied = requests.begin("put", Lane::Data, 0);
        let e = denied.send(|| async { Err::<(), _>(failure(ErrorKind::PermissionDenied)) }).await;
        assert_eq!(e.unwrap_err().error.attempts(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_run_out_and_come_back_with_successes() {
        let requests = requests(RetryPolicy::new().with_max_attempts(6).with_base_delay(Duration::ZERO));
        let tried = Cell::new(0);
        let fail = || {
            tried.set(tried.get() + 1);
            std::future::ready(Err::<(), _>(failure(ErrorKind::Unavailable)))
        };
        for _ in 0..50 {
            requests.begin("put", Lane::Data, 0).send(fail).await.unwrap_err();
        }
        assert_eq!(tried.get(), 50 + LEAST_RETRIES); // of 250
        let fine = || std::future::ready(Ok::<_, Failure>(()));
        requests.begin("put", Lane::Data, 0).send(fine).await.unwrap();
        tried.set(0);
        requests.begin("put", Lane::Data, 0).send(fail).await.unwrap_err();
        assert_eq!(tried.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_covers_the_wait_for_a_turn_and_the_pauses() {
        let requests = requests(RetryPolicy::new().with_max_attempts(1000).with_budget(Duration::MAX));
        let begun = Instant::now();
        let hang = requests.begin("put", Lane::Maintenance, 0);
        let hang = hang.send(|| hang.head(std::future::pending::<Result<(), Failure>>()));
        let waiting = async {
            tokio::task::yield_now().await;
            let second = requests.begin("put", Lane::Maintenance, 0);
            second.send(|| second.head(std::future::pending::<Result<(), Failure>>())).await
        };
        let (first, second) = tokio::join!(hang, waiting);
        assert_eq!(first.unwrap_err().error.kind(), ErrorKind::Timeout);
        assert_eq!(second.unwrap_err().error.kind(), ErrorKind::Timeout);
        assert_eq!(begun.elapsed().as_secs(), 60);
        assert_eq!(requests.maintenance.available_permits(), 1);
        // 1 MiB may take 8 s more, twice.
        let begun = Instant::now();
        let long = requests.begin("put", Lane::Data, 1 << 20);
        let long = long.send(|| long.head(std::future::pending::<Result<(), Failure>>()));
        assert_eq!(long.await.unwrap_err().error.kind(), ErrorKind::Timeout);
        assert_eq!(begun.elapsed().as_secs(), 76);
    }
}
