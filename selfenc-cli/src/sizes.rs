use std::ops::Range;

/// Parses a number of bytes: `4096`, `64M`, `1MiB`. K, M, G and T count in steps of 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let help = || format!("'{text}' is not a size; write 4096, 512K, 64M or 1MiB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(help()),
    };
    let number: u64 = number.parse().map_err(|_| help())?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("'{text}' is more than there can be"))
}

/// Parses the size of a chunk.
pub(crate) fn parse_chunk_size(text: &str) -> Result<u32, String> {
    u32::try_from(parse_size(text)?)
        .map_err(|_| format!("'{text}' is too large for a chunk; 64M is the most"))
}

/// The sizes of content-defined chunks: `--cdc MIN,AVG,MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cdc {
    pub(crate) min: u32,
    pub(crate) avg: u32,
    pub(crate) max: u32,
}

impl std::str::FromStr for Cdc {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sizes =
            text.split(',').map(|part| parse_chunk_size(part.trim())).collect::<Result<Vec<_>, _>>()?;
        match sizes[..] {
            [min, avg, max] => Ok(Self { min, avg, max }),
            _ => Err("write three sizes: MIN,AVG,MAX, for example 256K,1M,4M".to_owned()),
        }
    }
}

/// A part of a file, `START..END` with the end excluded; either side may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteRange {
    start: u64,
    end: Option<u64>,
}

impl ByteRange {
    /// The range within a file of `len` bytes: what lies beyond its end is left out.
    pub(crate) fn within(self, len: u64) -> Range<u64> {
        let end = self.end.map_or(len, |end| end.min(len));
        self.start.min(end)..end
    }
}

impl std::str::FromStr for ByteRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (start, end) = text
            .split_once("..")
            .ok_or_else(|| format!("'{text}' is not a range; write START..END, 100.. or ..4K"))?;
        let start = if start.is_empty() { 0 } else { parse_size(start)? };
        let end = if end.is_empty() { None } else { Some(parse_size(end)?) };
        if end.is_some_and(|end| end < start) {
            return Err(format!("'{text}' ends before it starts"));
        }
        Ok(Self { start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_steps_of_1024() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("4k", 4096), ("64M", 64 << 20), ("1MiB", 1 << 20), ("2gib", 2 << 30)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "M", "1MB", "-1", "1.5M", "1 M", "99999999999999999999", "99999999T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert!(parse_chunk_size("4G").is_err());
    }

    #[test]
    fn three_sizes_make_a_chunker() {
        assert_eq!("256K,1M,4MiB".parse(), Ok(Cdc { min: 256 << 10, avg: 1 << 20, max: 4 << 20 }));
        for bad in ["", "1,2", "1,2,3,4", "a,b,c"] {
            assert!(bad.parse::<Cdc>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        let range = |text: &str, len| text.parse::<ByteRange>().expect(text).within(len);
        assert_eq!(range("2..5", 10), 2..5);
        assert_eq!(range("..", 10), 0..10);
        assert_eq!(range("1K..", 4096), 1024..4096);
        assert_eq!(range("..4K", 10), 0..10);
        assert_eq!(range("20..30", 10), 10..10);
        for bad in ["", "5", "5..2", "a..b", "1-2"] {
            assert!(bad.parse::<ByteRange>().is_err(), "{bad}");
        }
    }
}
