//! Section 6.5 and rules K11 to K13: compressed bodies.

use zstd_safe::{CCtx, CParameter};

use super::chunks::{one_chunk, rejects_envelope};
use super::writer::envelope;
use super::{LEN, SUITES, reads};

/// Bytes that compress, but not to nothing.
fn text(len: usize) -> Vec<u8> {
    (0..len).flat_map(|i| format!("{i}\n").into_bytes()).take(len).collect()
}

fn zstd(content: &[u8], parameters: &[CParameter]) -> Vec<u8> {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(content.len()));
    let mut context = CCtx::create();
    for parameter in parameters {
        context.set_parameter(*parameter).expect("a valid parameter");
    }
    context.compress2(&mut out, content).expect("room for the result");
    out
}

fn brotli(content: &[u8], lgwin: i32, large_window: bool) -> Vec<u8> {
    let parameters =
        brotli::enc::BrotliEncoderParams { quality: 5, lgwin, large_window, ..Default::default() };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &content[..], &mut out, &parameters).expect("writing to memory");
    out
}

/// `change` is given a right frame of `text(LEN)`.
#[track_caller]
fn rejects_zstd(rule: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut body = zstd(&text(LEN), &[]);
    change(&mut body);
    rejects_envelope(rule, &envelope(2, LEN, &body));
}

#[test]
fn every_codec_comes_back() {
    for len in [LEN, 70_000, 400_000] {
        let content = text(len);
        let bodies = [
            (0, content.clone()),
            (1, brotli(&content, 10, false)),
            (1, brotli(&content, 16, false)),
            (1, brotli(&content, 24, false)),
            (2, zstd(&content, &[])),
            (2, zstd(&content, &[CParameter::WindowLog(10)])),
            (2, zstd(&content, &[CParameter::CompressionLevel(19)])),
        ];
        for (codec, body) in bodies {
            for suite in SUITES {
                let (root, writer) = one_chunk(suite, &envelope(codec, len, &body), len);
                reads(&root, &writer, &content);
            }
        }
    }
}

#[test]
fn both_forms_of_zstd_header_are_met() {
    let single_segment = |body: &[u8]| body[4] & 0b10_0000 != 0;
    assert!(single_segment(&zstd(&text(LEN), &[])));
    assert!(!single_segment(&zstd(&text(LEN), &[CParameter::WindowLog(10)])));
}

#[test]
fn wrong_zstd_headers() {
    rejects_zstd("K12", Vec::clear);
    rejects_zstd("K12", |body| body[0] = 0x50);
    // A skippable frame of eight bytes before the right one.
    rejects_zstd("K12", |body| drop(body.splice(0..0, [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])));
    rejects_zstd("K12", |body| body[4] |= 0b1000);
    rejects_zstd("K12", |body| body[4] |= 0b01);
    // The content size stands after the descriptor, in two bytes.
    rejects_zstd("K12", |body| body[5] ^= 1);
    let content = text(LEN);
    let with = |parameter| envelope(2, LEN, &zstd(&content, &[parameter]));
    rejects_envelope("K12", &with(CParameter::ChecksumFlag(true)));
    rejects_envelope("K12", &with(CParameter::ContentSizeFlag(false)));
}

/// The window descriptor is after the frame header descriptor of a frame that is not one segment.
#[test]
fn zstd_windows() {
    let content = text(LEN);
    let frame = zstd(&content, &[CParameter::WindowLog(10)]);
    for (descriptor, right) in
        [(16 << 3, true), ((15 << 3) | 7, true), ((16 << 3) | 1, false), (31 << 3, false)]
    {
        let mut body = frame.clone();
        body[5] = descriptor;
        let envelope = envelope(2, LEN, &body);
        if right {
            let (root, writer) = one_chunk(0x10, &envelope, LEN);
            reads(&root, &writer, &content);
        } else {
            rejects_envelope("K12", &envelope);
        }
    }
}

#[test]
fn wrong_zstd_frames() {
    rejects_zstd("K13", |body| body.push(0));
    rejects_zstd("K13", |body| body.truncate(body.len() - 1));
    rejects_zstd("K13", |body| body.extend(zstd(b"more", &[])));
    // A decoder would read over these two: an empty frame, and a skippable one.
    rejects_zstd("K13", |body| body.extend(zstd(b"", &[])));
    rejects_zstd("K13", |body| body.extend([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]));
    // A frame that decodes to more, or less, than its header and len say.
    for len in [LEN - 1, LEN + 1, 60_000] {
        let mut body = zstd(&text(len), &[]);
        let size = u16::try_from(LEN - 256).unwrap().to_le_bytes();
        body[5..7].copy_from_slice(&size);
        rejects_envelope("K13", &envelope(2, LEN, &body));
    }
}

#[test]
fn wrong_brotli() {
    let content = text(LEN);
    let good = brotli(&content, 22, false);
    let rejects_brotli = |body: &[u8]| rejects_envelope("K11", &envelope(1, LEN, body));
    rejects_brotli(&[]);
    rejects_brotli(&good[..good.len() - 1]);
    rejects_brotli(&[good.as_slice(), &[0]].concat());
    rejects_brotli(&[good.as_slice(), &good].concat());
    rejects_brotli(&brotli(&text(LEN - 1), 22, false));
    rejects_brotli(&brotli(&text(LEN + 1), 22, false));
    // A bomb: stops at len.
    rejects_brotli(&brotli(&vec![0; 64 << 20], 22, false));
    let large = brotli(&content, 26, true);
    assert_eq!(large[0] & 0x7f, 0b001_0001);
    rejects_brotli(&large);
}
