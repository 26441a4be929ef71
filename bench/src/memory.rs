//! Encryption and decryption in memory, in pairs with the crate `self_encryption`.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use selfenc::compat::Generation;
use selfenc::{Compression, Suite};
use selfenc_bench::{Result, data};

use crate::ours::Ours;
use crate::peer;
use crate::report::{self, Pair, Row};

/// Compares encryption and decryption in memory with the crate self_encryption 0.36.2.
#[derive(Args, Debug)]
pub(crate) struct Memory {
    /// Bytes to encrypt, with an optional K, M or G
    #[arg(long, default_value = "64M", value_parser = parse_size)]
    size: usize,
    /// Folder whose files make the real data [default: cargo's registry sources]
    #[arg(long, value_name = "DIR")]
    real: Option<PathBuf>,
    /// Measure the formats of the peer, written and read by us, instead of our own
    #[arg(long)]
    compat: bool,
    /// Pairs that count; one more comes first and does not
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
}

/// Prints a table for random data and one for real data.
pub(crate) fn run(args: Memory) -> Result<()> {
    let folder = args.real.map_or_else(data::cargo_sources, Ok)?;
    let threads = std::thread::available_parallelism()?;
    println!("self_encryption 0.36.2 against selfenc {}, {threads} threads", env!("CARGO_PKG_VERSION"));
    println!("speeds in MiB/s of plaintext, medians of {} pairs; ratio = ours / theirs\n", args.pairs);

    if args.compat {
        let formats: Vec<_> = Generation::ALL.into_iter().map(Ours::compat).collect::<Result<_>>()?;
        compare("random data", &data::random(args.size), &formats, args.pairs)?;
        let real = data::real(&folder, args.size)?;
        return compare(&format!("files of {}", folder.display()), &real, &formats, args.pairs);
    }
    let mut random = Vec::new();
    for suite in Suite::ALL {
        random.push(Ours::new(format!("{suite}, default"), suite, None)?);
        random.push(Ours::new(format!("{suite}, no compression"), suite, Some(Compression::None))?);
    }
    compare("random data", &data::random(args.size), &random, args.pairs)?;

    let real = data::real(&folder, args.size)?;
    let defaults: Vec<_> = Suite::ALL
        .into_iter()
        .map(|suite| Ours::new(format!("{suite}, default"), suite, None))
        .collect::<Result<_>>()?;
    compare(&format!("files of {}", folder.display()), &real, &defaults, args.pairs)
}

/// Runs each of our configurations against the peer, and prints one table.
fn compare(title: &str, data: &Bytes, configurations: &[Ours], pairs: u32) -> Result<()> {
    let mut rows = Vec::new();
    for ours in configurations {
        let mut measured = Vec::new();
        for pair in 0..=pairs {
            let pair_of_runs = Pair { ours: ours.round_trip(data)?, theirs: peer::round_trip(data)? };
            // The first pair warms caches and allocators.
            if pair > 0 {
                measured.push(pair_of_runs);
            }
        }
        rows.push(Row { name: ours.name.clone(), pairs: measured });
    }
    report::print(title, data.len(), &rows);
    Ok(())
}

fn parse_size(text: &str) -> Result<usize, String> {
    let (digits, shift) = match text.char_indices().last() {
        Some((i, 'k' | 'K')) => (&text[..i], 10),
        Some((i, 'm' | 'M')) => (&text[..i], 20),
        Some((i, 'g' | 'G')) => (&text[..i], 30),
        _ => (text, 0),
    };
    let number: usize =
        digits.parse().map_err(|_| "a size is a number with an optional K, M or G".to_owned())?;
    let bytes = number.checked_mul(1 << shift).ok_or("too large for this machine")?;
    if bytes < 1 << 20 { Err("at least 1M, else there is nothing to measure".to_owned()) } else { Ok(bytes) }
}
