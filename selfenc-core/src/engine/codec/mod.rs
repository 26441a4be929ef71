//! From plaintext to the encoded chunk E and back: `codec u8 ‖ len u32le ‖ body_len u32le ‖ body ‖ zeros`.

pub(crate) mod brotli;
mod probe;
mod zstd;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use super::buffers::{Buffer, Buffers};
use super::error::{Error, Result};
use super::limits::MAX_LEN;
use super::room::{Data, Place, Target};

/// Bytes of E before the body.
pub(crate) const HEADER: usize = 9;

/// The most a cipher adds: a block of padding, or a tag.
pub(super) const CIPHER_ROOM: usize = 16;

const RAW: u8 = 0;
const BROTLI: u8 = 1;
const ZSTD: u8 = 2;

/// How chunks are compressed before they are encrypted. What does not shrink is stored as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard: fast, and the default at level 3.
    Zstd {
        /// 1 to 22.
        level: i32,
    },
    /// Brotli: denser and slower.
    Brotli {
        /// 0 to 11.
        quality: u32,
    },
}

impl Compression {
    pub(super) fn validate(self) -> Result<()> {
        let wrong = match self {
            Self::Zstd { level } if !(1..=22).contains(&level) => {
                format!("zstd level {level}: it is 1 to 22")
            }
            Self::Brotli { quality } if quality > 11 => format!("brotli quality {quality}: it is 0 to 11"),
            _ => return Ok(()),
        };
        Err(Error::InvalidConfig(format!("compression: {wrong}")))
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd { level: 3 }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Brotli { quality } => write!(f, "brotli:{quality}"),
        }
    }
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, level) = text.split_once(':').unwrap_or((text, ""));
        let parsed = match (name, level) {
            ("none", "") => Some(Self::None),
            ("zstd", "") => Some(Self::Zstd { level: 3 }),
            ("brotli", "") => Some(Self::Brotli { quality: 6 }),
            ("zstd", level) => level.parse().ok().map(|level| Self::Zstd { level }),
            ("brotli", quality) => quality.parse().ok().map(|quality| Self::Brotli { quality }),
            _ => None,
        };
        let Some(parsed) = parsed else {
            let help = "there are none, zstd:1 to zstd:22 and brotli:0 to brotli:11";
            return Err(Error::InvalidConfig(format!("compression '{text}': {help}")));
        };
        parsed.validate()?;
        Ok(parsed)
    }
}

/// An empty buffer for a chunk of up to `len` bytes: room for the header is taken, room for a cipher's
/// padding or tag is reserved, so that an incompressible chunk is never copied.
pub(super) fn buffer(len: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER + len + CIPHER_ROOM);
    buffer.resize(HEADER, 0);
    buffer
}

/// The same, in memory that was used before.
pub(super) fn buffer_of(buffers: &Buffers, len: usize) -> Buffer {
    let mut buffer = buffers.take_empty(HEADER + len + CIPHER_ROOM);
    buffer.vec().resize(HEADER, 0);
    buffer
}

/// Makes E of a buffer from [`buffer`] or [`buffer_of`] that was filled with a chunk's plaintext.
pub(super) fn encode(mut chunk: Buffer, compression: Compression) -> Buffer {
    let len = chunk.len() - HEADER;
    match compress(&chunk[HEADER..], compression) {
        Some((codec, mut encoded)) => {
            write_header(&mut encoded, codec, len);
            encoded.into()
        }
        None => {
            write_header(&mut chunk, RAW, len);
            chunk
        }
    }
}

/// The compressed chunk after room for a header, if compressing pays by at least a sixteenth.
fn compress(plain: &[u8], compression: Compression) -> Option<(u8, Vec<u8>)> {
    if compression == Compression::None || !probe::worth_trying(plain) {
        return None;
    }
    let most = plain.len() - plain.len() / 16;
    match compression {
        Compression::None => None,
        Compression::Zstd { level } => Some((ZSTD, zstd::compress(plain, level, most)?)),
        Compression::Brotli { quality } => Some((BROTLI, brotli::compress(plain, quality, most)?)),
    }
}

fn write_header(encoded: &mut [u8], codec: u8, len: usize) {
    let body_len = encoded.len() - HEADER;
    let u32le = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    encoded[0] = codec;
    encoded[1..5].copy_from_slice(&u32le(len));
    encoded[5..HEADER].copy_from_slice(&u32le(body_len));
}

/// The plaintext of E, which must be exactly `len` bytes, in its place if it has one; `None` if E breaks any rule.
pub(super) fn decode(encoded: Buffer, len: u32, place: Option<Place>, buffers: &Buffers) -> Option<Data> {
    let (codec, body_len) = parse(&encoded, len)?;
    let (body, len) = (HEADER..HEADER + body_len, usize::try_from(len).ok()?);
    match (codec, place) {
        (RAW, Some(place)) if body_len == len => Some(place.put(&encoded[body])),
        (RAW, None) if body_len == len => Some(Data::Own(Bytes::from(encoded).slice(body))),
        (BROTLI, place) => {
            let plain = brotli::decompress(&encoded[body], len, buffers)?;
            Some(Target::Own(plain, place).finish())
        }
        (ZSTD, place) => {
            let mut plain = Target::new(place, len, buffers);
            zstd::decompress(&encoded[body], &mut plain)?;
            Some(plain.finish())
        }
        _ => None,
    }
}

/// Cuts E down to its plaintext, in place; `None` if it is not raw, longer than `most`, or breaks a rule.
pub(super) fn decode_raw(encoded: &mut Vec<u8>, most: usize) -> Option<()> {
    let len = u32::from_le_bytes(*encoded.get(1..)?.first_chunk()?);
    let (codec, body_len) = parse(encoded, len)?;
    if codec != RAW || body_len as u64 != u64::from(len) || body_len > most {
        return None;
    }
    encoded.truncate(HEADER + body_len);
    encoded.drain(..HEADER);
    Some(())
}

/// The codec and the length of the body of an E that declares `len` bytes and has only zeros after it.
fn parse(encoded: &[u8], len: u32) -> Option<(u8, usize)> {
    let (header, rest) = encoded.split_first_chunk::<HEADER>()?;
    let u32le = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (declared, body_len) = (u32le(1), usize::try_from(u32le(5)).ok()?);
    if declared != len || len == 0 || len > MAX_LEN {
        return None;
    }
    let (_, filler) = rest.split_at_checked(body_len)?;
    filler.iter().all(|&byte| byte == 0).then_some((header[0], body_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoded: Vec<u8>, len: u32) -> Option<Bytes> {
        super::decode(encoded.into(), len, None, &Buffers::default()).map(Bytes::from)
    }

    fn encoded(plain: &[u8], compression: Compression) -> Vec<u8> {
        let mut chunk = buffer(plain.len());
        chunk.extend_from_slice(plain);
        encode(chunk.into(), compression).to_vec()
    }

    fn text(len: usize) -> Vec<u8> {
        (0..).flat_map(|i: u32| format!("{i}\n").into_bytes()).take(len).collect()
    }

    const ALL: [(Compression, u8); 3] = [
        (Compression::None, RAW),
        (Compression::Zstd { level: 3 }, ZSTD),
        (Compression::Brotli { quality: 5 }, BROTLI),
    ];

    #[test]
    fn there_and_back() {
        let plain = text(200_000);
        for (compression, codec) in ALL {
            let e = encoded(&plain, compression);
            assert_eq!(e[0], codec);
            assert_eq!(decode(e, 200_000).unwrap(), plain);
        }
    }

    #[test]
    fn what_does_not_shrink_by_a_sixteenth_stays_raw() {
        for (compression, _) in ALL {
            let e = encoded(b"xyz", compression);
            assert_eq!((e[0], &e[HEADER..]), (RAW, &b"xyz"[..]));
        }
    }

    #[test]
    fn zeros_may_follow_the_body_and_nothing_else() {
        for (compression, _) in ALL {
            let mut e = encoded(&text(5000), compression);
            e.extend_from_slice(&[0; 100]);
            assert!(decode(e.clone(), 5000).is_some());
            *e.last_mut().unwrap() = 1;
            assert!(decode(e, 5000).is_none());
        }
    }

    #[test]
    fn a_bomb_stops_at_the_declared_length() {
        let huge = vec![0; 8 << 20];
        for (compression, _) in &ALL[1..] {
            let mut e = encoded(&huge, *compression);
            assert!(e.len() < 10_000);
            e[1..5].copy_from_slice(&1000u32.to_le_bytes());
            assert!(decode(e.clone(), 1000).is_none(), "more than it says");
            e[1..5].copy_from_slice(&MAX_LEN.to_le_bytes());
            assert!(decode(e, MAX_LEN).is_none(), "less than it says");
        }
    }

    #[test]
    fn nothing_may_follow_the_compressed_stream() {
        for (compression, _) in &ALL[1..] {
            let mut e = encoded(&text(5000), *compression);
            e.push(0);
            let body_len = u32::try_from(e.len() - HEADER).unwrap();
            e[5..9].copy_from_slice(&body_len.to_le_bytes());
            assert!(decode(e, 5000).is_none(), "{compression}");
        }
    }

    #[test]
    fn no_prefix_and_no_bit_flip_panics() {
        for (compression, _) in ALL {
            let plain = text(3000);
            let e = encoded(&plain, compression);
            for cut in 0..e.len() {
                assert!(decode(e[..cut].to_vec(), 3000).is_none());
            }
            for bit in 0..e.len() * 8 {
                let mut damaged = e.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let _ = decode(damaged, 3000);
            }
        }
    }

    #[test]
    fn compression_parses_what_it_prints() {
        for text in ["none", "zstd:1", "zstd:22", "brotli:0", "brotli:11"] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        for bad in ["", "zstd:0", "zstd:23", "brotli:12", "gzip", "none:1", "zstd:x"] {
            assert!(bad.parse::<Compression>().is_err(), "{bad}");
        }
    }
}
