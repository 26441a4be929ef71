use crate::store::{Error, ErrorKind, Result};

/// Fills `bytes` from the system's source: nonces of root records, names of probes.
///
/// # Errors
/// [`ErrorKind::Other`], in operation `op`, if the system gives none.
pub fn fill_random(op: &'static str, bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes)
        .map_err(|e| Error::new(ErrorKind::Other, op, "the system gives no random numbers").with_source(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_not_the_same() {
        let (mut one, mut other) = ([0; 16], [0; 16]);
        fill_random("test", &mut one).unwrap();
        fill_random("test", &mut other).unwrap();
        assert!(one != other && one != [0; 16]);
    }
}
