//! Seeds, and random draws that several stages share.

use ndarray_rand::rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use twox_hash::XxHash64;

/// A seed, from which all randomness comes.
///
/// A seed has named children, one for each stage, so that a new stage does not change the draws of the
/// others. Each fixed block of rows has its own stream of a portable generator (ChaCha8), so that draws
/// depend neither on the platform nor on the number of threads.
///
/// ```
/// use imbalance::Seed;
/// let seed = Seed::new(7);
/// assert_eq!(seed.child("sampler"), seed.child("sampler"));
/// assert_ne!(seed.child("sampler"), seed.child("model"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// A seed from a number.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number, to seed another generator.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The child seed of a name: the XXH64 hash of the name, seeded by this seed.
    #[must_use]
    pub fn child(self, name: &str) -> Self {
        Self(XxHash64::oneshot(self.0, name.as_bytes()))
    }

    /// The stream of a block of rows.
    pub(crate) fn stream(self, block: usize) -> ChaCha8Rng {
        // `seed_from_u64` would make another key with another version of `rand_core`.
        let mut key = [0; 32];
        for (word, bytes) in (0_u64..).zip(key.chunks_exact_mut(8)) {
            bytes.copy_from_slice(&XxHash64::oneshot(self.0, &word.to_le_bytes()).to_le_bytes());
        }
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_stream(block as u64);
        stream
    }

    /// Puts items in random order.
    pub(crate) fn shuffle<T>(self, items: &mut [T]) {
        let mut stream = self.stream(0);
        for last in (1..items.len()).rev() {
            items.swap(last, stream.random_range(0..=last as u64) as usize);
        }
    }
}

impl From<u64> for Seed {
    fn from(value: u64) -> Self {
        Self::new(value)
    }
}

/// A random subset of the positions `0..n`, one bit each.
#[derive(Debug)]
pub(crate) struct RandomSubset {
    words: Vec<u64>,
    /// The bit that means "in the set".
    marked: bool,
}

impl RandomSubset {
    /// `m` of `n` positions without replacement; every subset of this size is equally likely.
    ///
    /// Draws until `m` distinct positions are marked. If `m` is more than half of `n`, the other n − m
    /// positions are drawn and marked, so a mark needs at most 2 ln 2 ≈ 1.4 draws on average.
    pub(crate) fn uniform(n: usize, m: usize, seed: Seed) -> Self {
        let marked = m <= n / 2;
        let mut unmarked = if marked { m } else { n.saturating_sub(m) };
        let mut words = vec![0_u64; n.div_ceil(64)];
        let mut stream = seed.stream(0);
        while unmarked > 0 {
            let position = stream.random_range(0..n as u64) as usize;
            let bit = 1 << (position % 64);
            if words[position / 64] & bit == 0 {
                words[position / 64] |= bit;
                unmarked -= 1;
            }
        }
        Self { words, marked }
    }

    pub(crate) fn contains(&self, position: usize) -> bool {
        (self.words[position / 64] >> (position % 64) & 1 == 1) == self.marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_portable() {
        // Fixed values: a change of the generator, the key or the hash would change all results
        // silently. 0xEF46DB3751D8E999 is the published XXH64 of an empty input with seed 0.
        assert_eq!(Seed::new(0).child("").value(), 0xEF46_DB37_51D8_E999);
        // The key is 4 × XXH64(seed, word as 8 little-endian bytes), the nonce is the block. The values
        // come from an independent Python program for XXH64 and ChaCha8, written from their
        // specifications and checked on published values (XXH64 of "", "a" and "abc"; ChaCha8 and
        // ChaCha20 for a key and nonce of zeros).
        let mut stream = Seed::new(7).stream(3);
        let first: [u64; 2] = [stream.random(), stream.random()];
        assert_eq!(first, [0x62EA_A3DD_1C33_9431, 0x07F7_F9D1_9A64_17C0]);
    }

    #[test]
    fn exactly_m_positions_each_equally_often() {
        for (n, m) in [(0, 0), (1, 0), (1, 1), (10, 3), (10, 7), (10, 10), (129, 64)] {
            let seeds = 2000;
            let mut counts = vec![0_u32; n];
            for s in 0..seeds {
                let chosen = RandomSubset::uniform(n, m, Seed::new(s));
                let picked = (0..n).filter(|&i| chosen.contains(i));
                assert_eq!(picked.clone().count(), m);
                picked.for_each(|i| counts[i] += 1);
            }
            let p = m as f64 / n as f64;
            // 4.5 standard errors: among the 161 positions below, a false alarm has probability
            // 161 × 7e-6 ≈ 0.1 %, and the seeds are fixed.
            let tolerance = 4.5 * (p * (1.0 - p) / seeds as f64).sqrt();
            for count in counts {
                assert!((f64::from(count) / seeds as f64 - p).abs() <= tolerance, "n={n} m={m}");
            }
        }
    }
}
