//! Numbers, labels and texts from bytes.

/// The bytes that are left of an input; 0 once there are none.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

/// Numbers at the edges of `f64`.
const EDGES: [f64; 16] = [
    0.0,
    -0.0,
    5e-324,
    -1e-310,
    f64::MIN_POSITIVE,
    1e-160,
    1e160,
    1e308,
    f64::MAX,
    f64::MIN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::EPSILON,
    1.0 - f64::EPSILON / 2.0,
    1e4,
];

impl Cursor<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number below `n`, which is at most 256.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    /// A small number mostly, often a repeated one; an edge, or any bits.
    pub(crate) fn number(&mut self) -> f64 {
        match self.byte() {
            0..=127 => f64::from(self.byte() as i8) / 16.0,
            128..=191 => f64::from(self.byte() as i8 / 32),
            192..=223 => 1.0 + f64::from(self.byte()) * f64::EPSILON,
            224..=243 => EDGES[self.below(EDGES.len())],
            _ => f64::from_bits(u64::from_le_bytes(std::array::from_fn(|_| self.byte()))),
        }
    }

    /// A text of tokens.
    pub(crate) fn text(&mut self, tokens: &[&str]) -> Vec<u8> {
        let mut text = Vec::new();
        while !self.is_empty() {
            match self.byte() {
                255 => text.push(self.byte()),
                token => {
                    text.extend_from_slice(tokens[usize::from(token) % tokens.len()].as_bytes())
                }
            }
        }
        text
    }
}
