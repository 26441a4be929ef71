//! Who runs when.

use selfenc_bench::Result;

/// Runs each of `count` once in each of `rounds` and once before that, which is not counted; what each gave, by
/// round. Another one is first each time, so that nobody always comes after the same.
pub(crate) fn interleave<T>(
    rounds: u32,
    count: usize,
    mut run: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut runs: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for place in 0..count {
            let which = (place + round as usize) % count;
            let result = run(which)?;
            if round > 0 {
                runs[which].push(result);
            }
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runs_once_a_round_and_the_first_round_does_not_count() {
        let mut order = Vec::new();
        let runs = interleave(2, 3, |which| {
            order.push(which);
            Ok(order.len())
        });
        assert_eq!(order, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert_eq!(runs.unwrap(), [vec![6, 8], vec![4, 9], vec![5, 7]]);
    }

    #[test]
    fn a_failure_ends_it() {
        let runs = interleave(2, 2, |which| if which == 1 { Err("no".into()) } else { Ok(()) });
        assert_eq!(runs.unwrap_err().to_string(), "no");
    }
}
