//! How text and sizes are shown to people.

/// `text` without what would steer a terminal: file names and services' words can hold anything.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// `1234567` bytes as `1.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// `1 chunk`, `2 chunks`.
pub(crate) fn count(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_codes_and_line_breaks_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nü"), r"a\u{1b}[2Jb\nü");
    }
}
