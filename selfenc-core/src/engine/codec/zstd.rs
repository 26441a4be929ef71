//! Codec 2: exactly one zstd frame with its content size, no dictionary and no checksum.

use std::cell::RefCell;

use zstd_safe::{CCtx, CParameter, DCtx};

use super::HEADER;

/// The largest window a reader accepts, as a power of two.
const MAX_WINDOW_LOG: u32 = 26;

thread_local! {
    // A compression context is megabytes: one for each worker, not one for each chunk.
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
    static READING: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

struct Scratch {
    context: CCtx<'static>,
    output: Vec<u8>,
}

/// The frame after room for a header, if it is at most `most` bytes.
pub(super) fn compress(plain: &[u8], level: i32, most: usize) -> Option<Vec<u8>> {
    SCRATCH.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(Scratch { context: CCtx::try_create()?, output: Vec::new() });
        }
        let Scratch { context, output } = slot.as_mut()?;
        // Always the full bound: with less room, libzstd may choose other bytes.
        output.resize(zstd_safe::compress_bound(plain.len()), 0);
        context.set_parameter(CParameter::CompressionLevel(level)).ok()?;
        context.set_parameter(CParameter::ContentSizeFlag(true)).ok()?;
        context.set_parameter(CParameter::ChecksumFlag(false)).ok()?;
        let len = context.compress2(output.as_mut_slice(), plain).ok()?;
        if len > most {
            return None;
        }
        let mut encoded = super::buffer(len);
        encoded.extend_from_slice(&output[..len]);
        debug_assert_eq!(encoded.len(), HEADER + len);
        Some(encoded)
    })
}

/// Fills `plain` with what the frame holds; `None` if it is anything but one frame of exactly that length.
pub(super) fn decompress(frame: &[u8], plain: &mut [u8]) -> Option<()> {
    if frame_content_size(frame)? != plain.len() as u64
        || zstd_safe::find_frame_compressed_size(frame).ok()? != frame.len()
    {
        return None;
    }
    let written = READING.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = DCtx::try_create();
        }
        slot.as_mut()?.decompress(&mut *plain, frame).ok()
    })?;
    (written == plain.len()).then_some(())
}

/// Reads the frame header (RFC 8878, section 3.1.1.1) and refuses what version 1 does not allow.
fn frame_content_size(frame: &[u8]) -> Option<u64> {
    let rest = frame.strip_prefix(&0xFD2F_B528_u32.to_le_bytes())?;
    let (&descriptor, rest) = rest.split_first()?;
    let single_segment = descriptor & 0x20 != 0;
    let (reserved, checksum, dictionary) = (descriptor & 0x08, descriptor & 0x04, descriptor & 0x03);
    if reserved != 0 || checksum != 0 || dictionary != 0 {
        return None;
    }
    let rest = if single_segment {
        rest
    } else {
        let (&window, rest) = rest.split_first()?;
        let base = 1u64 << (10 + (window >> 3));
        if base + base / 8 * u64::from(window & 7) > 1 << MAX_WINDOW_LOG {
            return None;
        }
        rest
    };
    let size = match (descriptor >> 6, single_segment) {
        (0, false) => return None,
        (0, true) => u64::from(*rest.first()?),
        (1, _) => u64::from(u16::from_le_bytes(*rest.first_chunk()?)) + 256,
        (2, _) => u64::from(u32::from_le_bytes(*rest.first_chunk()?)),
        _ => u64::from_le_bytes(*rest.first_chunk()?),
    };
    Some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_p1_is_written_by_libzstd_1_5_7() {
        assert_eq!(zstd_safe::version_number(), 10507);
    }

    #[test]
    fn a_used_context_writes_the_same_bytes_as_a_fresh_one() {
        let inputs: Vec<Vec<u8>> = (1..40u32)
            .map(|n| (0..n * 7919).flat_map(|i| (i % (n * 31 + 1)).to_le_bytes()).collect())
            .collect();
        for level in [1, 3, 19] {
            let used: Vec<_> = inputs.iter().map(|plain| compress(plain, level, usize::MAX)).collect();
            for (plain, used) in inputs.iter().zip(used) {
                SCRATCH.with_borrow_mut(|slot| *slot = None);
                assert_eq!(compress(plain, level, usize::MAX), used);
            }
        }
    }

    #[test]
    fn forbidden_frames_are_refused() {
        let plain = vec![7; 1000];
        let good = compress(&plain, 3, usize::MAX).unwrap().split_off(HEADER);
        let decompress = |frame: &[u8], len| {
            let mut plain = vec![0; len];
            super::decompress(frame, &mut plain).map(|()| plain)
        };
        assert_eq!(decompress(&good, 1000).unwrap(), plain);
        let mut unused_bit = good.clone();
        unused_bit[4] |= 0x10;
        assert_eq!(decompress(&unused_bit, 1000).unwrap(), plain, "a bit that means nothing");
        let two: Vec<u8> = [good.clone(), good.clone()].concat();
        assert_eq!(decompress(&two, 1000), None, "two frames");
        let skippable: Vec<u8> = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], good.as_slice()].concat();
        assert_eq!(decompress(&skippable, 1000), None, "a skippable frame before it");
        for parameter in [CParameter::ChecksumFlag(true), CParameter::ContentSizeFlag(false)] {
            let mut context = CCtx::create();
            context.set_parameter(parameter).unwrap();
            let mut frame = vec![0; 2000];
            let len = context.compress2(frame.as_mut_slice(), &plain).unwrap();
            assert_eq!(decompress(&frame[..len], 1000), None);
        }
    }
}
