//! Enough of SPDX licence expressions to hold them against an allow-list.

/// Whether the licence expression can be met with licences of `allowed` alone.
///
/// Knows `OR` (also written `/`), `AND`, brackets and `WITH`, whose operand is part of the licence's name.
pub(crate) fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = Words { rest: spaced.split_whitespace().collect(), allowed };
    words.rest.reverse();
    let met = words.any_of();
    met && words.rest.is_empty()
}

struct Words<'a> {
    /// The words still to be read, the next one last.
    rest: Vec<&'a str>,
    allowed: &'a [String],
}

impl Words<'_> {
    fn any_of(&mut self) -> bool {
        let mut met = self.all_of();
        while self.skip("OR") {
            met |= self.all_of();
        }
        met
    }

    fn all_of(&mut self) -> bool {
        let mut met = self.one();
        while self.skip("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.skip("(") {
            let met = self.any_of();
            return self.skip(")") && met;
        }
        let mut name = self.rest.pop().unwrap_or_default().to_owned();
        if self.skip("WITH") {
            name = format!("{name} WITH {}", self.rest.pop().unwrap_or_default());
        }
        self.allowed.contains(&name)
    }

    fn skip(&mut self, word: &str) -> bool {
        self.rest.pop_if(|next| *next == word).is_some()
    }
}

#[test]
fn expressions_are_read_as_spdx_does() {
    let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for good in [
        "MIT",
        "MIT/GPL-3.0",
        "GPL-3.0-only OR MIT",
        "(GPL-3.0-only OR MIT) AND Unicode-3.0",
        "GPL-2.0 AND X OR MIT",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(satisfied(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0", "(MIT", "MIT)", "MIT MIT"] {
        assert!(!satisfied(bad, &allowed), "{bad}");
    }
}
