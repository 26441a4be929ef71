//! Section 6.5: from a chunk's body to exactly `len` bytes. `len` was checked against `MAX_LEN`.

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode};

use super::{Fields, check};

pub(super) fn none(body: &[u8], len: usize) -> Result<Vec<u8>, String> {
    check(body.len() == len, "K10: body_len is not len")?;
    Ok(body.to_vec())
}

pub(super) fn brotli(body: &[u8], len: usize) -> Result<Vec<u8>, String> {
    // The decoder would accept the large-window extension.
    let large_window = body.first().is_some_and(|first| first & 0x7f == 0b001_0001);
    check(!large_window, "K11: brotli large window")?;

    let mut out = vec![0; len];
    let (mut left_in, mut read, mut left_out, mut written, mut total) = (body.len(), 0, len, 0, 0);
    let mut state = BrotliState::new(
        HeapAlloc::<u8>::new(0),
        HeapAlloc::<u32>::new(0),
        HeapAlloc::<HuffmanCode>::new(HuffmanCode::default()),
    );
    let result = BrotliDecompressStream(
        &mut left_in,
        &mut read,
        body,
        &mut left_out,
        &mut written,
        &mut out,
        &mut total,
        &mut state,
    );
    check(matches!(result, BrotliResult::ResultSuccess), "K11: not one whole brotli stream of len bytes")?;
    check(read == body.len(), "K11: bytes after the brotli stream")?;
    check(written == len, "K11: brotli content shorter than len")?;
    Ok(out)
}

pub(super) fn zstd(body: &[u8], len: usize) -> Result<Vec<u8>, String> {
    zstd_header(body, len as u64).map_err(|error| format!("K12: zstd header: {error}"))?;
    let frame = zstd_safe::find_frame_compressed_size(body).map_err(|_| "K13: not a zstd frame")?;
    check(frame == body.len(), "K13: bytes after the zstd frame")?;

    let mut out = Vec::with_capacity(len);
    let written = zstd_safe::decompress(&mut out, body).map_err(|_| "K13: does not decode to len bytes")?;
    check(written == len && out.len() == len, "K13: zstd content shorter than len")?;
    Ok(out)
}

/// The table in section 6.5.
fn zstd_header(body: &[u8], len: u64) -> Result<(), String> {
    let mut fields = Fields(body);
    check(fields.array()? == [0x28, 0xb5, 0x2f, 0xfd], "magic number")?;
    let descriptor = fields.u8()?;
    let single_segment = descriptor & 0b10_0000 != 0;
    check(descriptor & 0b1000 == 0, "reserved bit")?;
    check(descriptor & 0b100 == 0, "checksum")?;
    check(descriptor & 0b11 == 0, "dictionary")?;

    if !single_segment {
        let window = u64::from(fields.u8()?);
        let (exponent, mantissa) = (window >> 3, window & 0b111);
        check((1 << (10 + exponent)) + (mantissa << (7 + exponent)) <= 1 << 26, "window too large")?;
    }
    let content_size = match descriptor >> 6 {
        0 if single_segment => u64::from(fields.u8()?),
        0 => return Err("no content size".to_owned()),
        1 => u64::from(u16::from_le_bytes(fields.array()?)) + 256,
        2 => u64::from(fields.u32()?),
        _ => fields.u64()?,
    };
    check(content_size == len, "content size is not len")
}
