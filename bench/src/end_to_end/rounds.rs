//! Who runs when.

use selfenc_bench::Result;

/// Runs each of `count` once in each of `rounds` and once before that, which is not counted; what each gave, by
/// round.
///
/// Another one is first each time, and comes after another: what a program leaves behind does not always meet the
/// same one.
pub(crate) fn interleave<T>(
    rounds: u32,
    count: usize,
    mut run: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut runs: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for which in order(round as usize, count) {
            let result = run(which)?;
            if round > 0 {
                runs[which].push(result);
            }
        }
    }
    Ok(runs)
}

/// Steps of another width in each round, around a circle of a prime number of places, which each step meets.
fn order(round: usize, count: usize) -> impl Iterator<Item = usize> {
    let is_prime = |n: &usize| (2..*n).all(|divisor| !n.is_multiple_of(divisor));
    let places = (count.max(2)..).find(is_prime).expect("there is no last prime");
    let width = 1 + round % (places - 1);
    (0..places).map(move |step| (round + step * width) % places).filter(move |which| *which < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_twice_after_the_same_before_all_orders_were_tried() {
        for count in 1..=11 {
            for round in 0..20 {
                let mut all: Vec<_> = order(round, count).collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..count), "{count} in round {round}");
            }
        }
        // Seven programs have six orders in which each comes after another.
        let mut pairs = std::collections::HashSet::new();
        for round in 0..6 {
            let order: Vec<_> = order(round, 7).collect();
            assert!(order.windows(2).all(|pair| pairs.insert((pair[0], pair[1]))), "round {round}");
        }
    }

    #[test]
    fn each_runs_once_a_round_and_the_first_round_does_not_count() {
        let mut order = Vec::new();
        let runs = interleave(2, 3, |which| {
            order.push(which);
            Ok(order.len())
        });
        assert_eq!(order, [0, 1, 2, 1, 0, 2, 2, 0, 1]);
        assert_eq!(runs.unwrap(), [vec![5, 8], vec![4, 9], vec![6, 7]]);
    }

    #[test]
    fn a_failure_ends_it() {
        let runs = interleave(2, 2, |which| if which == 1 { Err("no".into()) } else { Ok(()) });
        assert_eq!(runs.unwrap_err().to_string(), "no");
    }
}
