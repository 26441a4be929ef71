//! PKCS#7 padding for blocks of 16 bytes (RFC 5652, section 6.3): one byte or more, each of which says how many.

const BLOCK: usize = 16;

pub(crate) fn pad(data: &mut Vec<u8>) {
    let padding = BLOCK - data.len() % BLOCK;
    data.resize(data.len() + padding, padding.to_le_bytes()[0]);
}

/// Takes the padding off, if it is one.
pub(crate) fn unpad(data: &mut Vec<u8>) -> Option<()> {
    let len = unpadded_len(data)?;
    data.truncate(len);
    Some(())
}

/// The length without the padding, if it is one.
pub(crate) fn unpadded_len(data: &[u8]) -> Option<usize> {
    let padding = *data.last()?;
    let len = data.len().checked_sub(usize::from(padding))?;
    let sound =
        (1..=BLOCK).contains(&usize::from(padding)) && data[len..].iter().all(|&byte| byte == padding);
    sound.then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_at_every_length() {
        for len in 0..100 {
            let mut data = vec![7; len];
            pad(&mut data);
            assert!(data.len() > len && data.len().is_multiple_of(BLOCK));
            unpad(&mut data).unwrap();
            assert_eq!(data, vec![7; len]);
        }
    }

    #[test]
    fn what_is_no_padding_is_refused_and_left() {
        for mut data in [vec![], vec![0; 16], vec![17; 32], vec![2; 1], [&[9; 14][..], &[1, 2]].concat()] {
            let before = data.clone();
            assert!(unpad(&mut data).is_none());
            assert_eq!(data, before);
        }
    }
}
