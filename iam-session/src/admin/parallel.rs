//! Does several things at once. Starts threads, and waits for them.

use std::sync::Mutex;
use std::thread;

/// Does `work` on each of `all`, on `at_once` of them at a time: one that takes long keeps no other waiting.
pub(super) fn parallel<T: Send, R: Send>(
    all: Vec<T>,
    at_once: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = all.len().min(at_once);
    let queue = Mutex::new(all.into_iter());
    let done = Mutex::new(Vec::new());
    // A lock is poisoned by a panic alone, which the scope passes on.
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = next() {
                    let result = work(one);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_whatever_the_number_at_once() {
        for at_once in [1, 3, 100] {
            let mut done = parallel((0..10).collect(), at_once, |number| number * 2);
            done.sort_unstable();
            assert_eq!(done, (0..10).map(|number| number * 2).collect::<Vec<_>>());
        }
    }
}
