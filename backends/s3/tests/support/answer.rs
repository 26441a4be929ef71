//! Answers by script, in the form that services give them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::TOKEN;

/// Status, headers and body.
#[derive(Clone, Debug)]
pub struct Answer(pub Response<Bytes>);

impl Answer {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        Self(response).with("date", &http_date(SystemTime::now()))
    }

    /// S3's own form. `code` may be empty: then there is no body at all.
    pub fn error(status: u16, code: &str) -> Self {
        if code.is_empty() {
            return Self::new(status, "");
        }
        Self::xml(
            status,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                 <Message>The service says {code}.</Message><RequestId>4442587FB7D0A2F9</RequestId>\
                 <StringToSign>x-amz-security-token:{TOKEN}</StringToSign></Error>"
            ),
        )
    }

    pub fn xml(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, body).with(CONTENT_TYPE.as_str(), "application/xml")
    }

    pub fn html(status: u16) -> Self {
        let body = "<html><head><title>Gateway</title></head><body><h1>Sorry</h1></body></html>";
        Self::new(status, body).with(CONTENT_TYPE.as_str(), "text/html")
    }

    /// More of this header, or another value.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.0.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// As a server whose clock is off by this many seconds.
    pub fn with_clock_off_by(self, seconds: i64) -> Self {
        let now = SystemTime::now();
        let off = Duration::from_secs(seconds.unsigned_abs());
        let at = if seconds < 0 { now - off } else { now + off };
        self.with(DATE.as_str(), &http_date(at))
    }

    /// What is said to be its length, whatever it is.
    pub fn claiming(self, len: u64) -> Self {
        self.with(CONTENT_LENGTH.as_str(), &len.to_string())
    }

    /// A page of a list. `next` is the token of the page after it.
    pub fn page(keys: &[&str], next: Option<&str>) -> Self {
        let contents: String = keys
            .iter()
            .map(|key| {
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                     <ETag>&quot;1&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
                )
            })
            .collect();
        let token =
            next.map_or_else(String::new, |t| format!("<NextContinuationToken>{t}</NextContinuationToken>"));
        Self::xml(
            200,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                 <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>test</Name>\
                 <KeyCount>{}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>{}</IsTruncated>{contents}{token}\
                 </ListBucketResult>",
                keys.len(),
                next.is_some()
            ),
        )
    }
}

/// `Sat, 21 Nov 2026 11:38:00 GMT`.
pub fn http_date(at: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut day) = (1970, days);
    loop {
        let len = if is_leap(year) { 366 } else { 365 };
        if day < len {
            break;
        }
        (year, day) = (year + 1, day - len);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 0;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < len {
            break;
        }
        (month, day) = (month + 1, day - len);
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let (name, month) = (DAYS[(days % 7) as usize], MONTHS[month]);
    format!("{name}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1)
}
