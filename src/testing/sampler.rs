//! The laws of samplers.

use super::findings::{BrokenLaw, Findings, Law};
use super::inputs::{Columns, Numbers, ROWS, dense, mean_and_error, on_threads};
use crate::core::{Dataset, Distortion, Error, Precision, Result, Run};
use crate::sampling::{Resample, Rows, Sampler};

/// The laws of a [`Sampler`], on 5,000 rows with 8 % positives, weighted and not.
///
/// [`Provenance`](Law::Provenance), [`Threads`](Law::Threads), [`Storage`](Law::Storage), [`Seed`](Law::Seed),
/// [`RowOrder`](Law::RowOrder), [`Scale`](Law::Scale) of weights, [`Distortion`](Law::Distortion) against the realised
/// odds, [`Finite`](Law::Finite), [`Name`](Law::Name), and [`Answers`](Law::Answers) of the right kind for rows of one
/// class.
///
/// The rows have three columns of features, the numeric attributes `last_active_days` and `impressions`, and those of
/// [`attributes`](Self::attributes).
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::{Resample, Sampler};
/// use imbalance::testing::SamplerSuite;
///
/// /// Keeps every positive, and the negatives last seen within a week.
/// #[derive(Debug)]
/// struct Recent;
///
/// impl Sampler for Recent {
///     fn resample(&self, data: &Dataset<'_>, _: &Run) -> imbalance::Result<Resample> {
///         data.totals().ensure_both("recent rows")?;
///         let days = data.numbers("last_active_days")?;
///         let kept = (0..data.rows()).filter(|&row| data.labels()[row] || days[row] < 7.0).collect();
///         let kept = Resample::kept(kept, Distortion::None);
///         let moved = kept.clone().apply(data)?.totals().log_odds() - data.totals().log_odds();
///         let (sampler, nominal_log_odds) = (self.name().into(), Some(moved));
///         let distortion = Distortion::FeatureDependent { sampler, nominal_log_odds };
///         Ok(Resample { distortion, ..kept })
///     }
/// }
///
/// let suite = SamplerSuite { is_deterministic: true, ..SamplerSuite::default() };
/// assert_eq!(suite.run(&Recent), []);
/// ```
#[derive(Debug, Clone)]
pub struct SamplerSuite {
    /// The seed changes nothing. Default: false.
    pub is_deterministic: bool,
    /// It makes new rows. Default: false.
    pub makes_rows: bool,
    /// What it does with sparse rows. Default: [`SparseRows::AsDense`].
    pub sparse: SparseRows,
    /// Rows of `f32` give the rows of `f64`, rounded. Default: true.
    pub rounds_once: bool,
    /// It trains a model, whose sums are in another order in other storage and whose penalty has a unit: rows at an
    /// edge may differ. Default: false.
    pub trains: bool,
    /// It needs rows of both classes. Default: true.
    pub needs_both_classes: bool,
    /// Where nothing is distorted, each class stands for its whole weight, and not for another share of it.
    /// Default: true.
    pub keeps_totals: bool,
    /// More attributes of numbers that it reads, each by its name and the number of a row. Default: none.
    pub attributes: Vec<Numbers>,
}

/// What a sampler does with sparse rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SparseRows {
    /// Sparse rows give the rows of dense ones.
    AsDense,
    /// As dense ones, but with other random numbers: one for each element that is stored.
    OtherDraws,
    /// Sparse rows are an [`Error::InvalidArgument`].
    Refused,
}

impl Default for SamplerSuite {
    fn default() -> Self {
        Self {
            is_deterministic: false,
            makes_rows: false,
            sparse: SparseRows::AsDense,
            rounds_once: true,
            trains: false,
            needs_both_classes: true,
            keeps_totals: true,
            attributes: Vec::new(),
        }
    }
}

type SamplerLaw = fn(&SamplerSuite, &dyn Sampler, &Columns, &mut Findings) -> Result<()>;

impl SamplerSuite {
    /// The laws that the sampler breaks.
    #[must_use]
    pub fn run(&self, sampler: &dyn Sampler) -> Vec<BrokenLaw> {
        const BOTH: [SamplerLaw; 3] =
            [SamplerSuite::provenance, SamplerSuite::storage, SamplerSuite::distortion];
        const WEIGHTED: [SamplerLaw; 2] = [SamplerSuite::threads, SamplerSuite::units];
        const UNWEIGHTED: [SamplerLaw; 5] = [
            SamplerSuite::orders,
            SamplerSuite::one_class,
            SamplerSuite::earlier_distortion,
            SamplerSuite::finite,
            SamplerSuite::names,
        ];
        let mut found = Findings::default();
        let forms =
            [("rows without weights", false, &UNWEIGHTED[..]), ("weighted rows", true, &WEIGHTED)];
        for (form, weighted, more) in forms {
            found.on(form);
            let Some(columns) = found.answer(self.columns(weighted)) else { continue };
            for law in BOTH.iter().chain(more) {
                found.on(form);
                let answer = law(self, sampler, &columns, &mut found);
                found.answer(answer);
            }
        }
        found.into_broken()
    }

    fn columns(&self, weighted: bool) -> Result<Columns> {
        Columns::new(weighted, &self.attributes)
    }

    fn provenance(
        &self,
        sampler: &dyn Sampler,
        columns: &Columns,
        found: &mut Findings,
    ) -> Result<()> {
        let law = Law::Provenance;
        let data = columns.data::<f64>(false)?;
        let resample = sampler.resample(&data, &Run::seeded(3))?;
        let sample = resample.clone().apply(&data)?;
        let kept = kept_rows(&resample);
        let parents: Vec<usize> = resample.parents().collect();
        let made = format!("{} new rows", parents.len());
        let expected = if self.makes_rows { "new rows" } else { "none" };
        found.holds(law, None, self.makes_rows != parents.is_empty(), || (made, expected));
        let both = sample.totals().ensure_both("the sample").is_ok();
        found.holds(law, None, both, || ("one class", "rows of both classes"));
        // Kept rows bit for bit, in any kind of column, and new rows have all but their features from a positive.
        let (x, before) = (dense(sample.features()), dense(data.features()));
        let own = |data: &Dataset<'_>, row: usize| data.weights().map_or(1.0, |w| w[row]);
        let bits = |values: Option<&[f64]>, at: usize| values.map(|v| v[at].to_bits());
        for (at, &row) in kept.iter().chain(&parents).enumerate() {
            if at < kept.len() {
                found.equal(law, at, &x.row(at).to_vec(), &before.row(row).to_vec());
            } else {
                found.holds(law, at, data.labels()[row], || {
                    ("the parent is negative", "a positive one")
                });
            }
            found.equal(law, at, &sample.labels()[at], &data.labels()[row]);
            for name in data.attribute_names() {
                let [after, before] = [sample.numbers(name)?[at], data.numbers(name)?[row]];
                found.equal(law, at, &after.to_bits(), &before.to_bits());
            }
            let factor = resample.weights.as_ref().map_or(1.0, |weights| weights[at]);
            found.equal(
                law,
                at,
                &own(&sample, at).to_bits(),
                &(factor * own(&data, row)).to_bits(),
            );
            let offset = bits(resample.offsets.as_deref(), at);
            found.equal(law, at, &bits(sample.offsets(), at), &offset);
        }
        Ok(())
    }

    fn threads(
        &self,
        sampler: &dyn Sampler,
        columns: &Columns,
        found: &mut Findings,
    ) -> Result<()> {
        let data = columns.data::<f64>(false)?;
        let on = |threads| on_threads(threads, || sampled(sampler, &data, 3).map(bits));
        let one = on(1)?;
        for threads in [1, 2, 3, 7] {
            found.on(format!("{threads} threads after 1"));
            same_rows(found, Law::Threads, &on(threads)?, &one);
        }
        Ok(())
    }

    /// `f32` stays `f32`, whose rows are those of `f64`, rounded; sparse stays sparse, and stores nothing that no row of
    /// the input stores.
    fn storage(
        &self,
        sampler: &dyn Sampler,
        columns: &Columns,
        found: &mut Findings,
    ) -> Result<()> {
        let law = Law::Storage;
        // Values that both types hold.
        let single = |value| f64::from(value as f32);
        let columns = Columns { x: columns.x.mapv(single), ..columns.clone() };
        let data = [columns.data::<f64>(false)?, columns.data::<f32>(false)?];
        let [from_double, from_single] =
            [sampled(sampler, &data[0], 3)?, sampled(sampler, &data[1], 3)?];
        let form =
            |sample: &Dataset<'_>| (sample.features().precision(), sample.features().is_sparse());
        found.on("the storage of dense rows of f64");
        found.equal(law, None, &form(&from_double), &(Precision::F64, false));
        found.on("the storage of dense rows of f32");
        found.equal(law, None, &form(&from_single), &(Precision::F32, false));
        let (double, single) = (bits(from_double), bits(from_single));
        if self.rounds_once {
            found.on("rows of f32 and of f64");
            same_rows(found, law, &single, &rounded(&double));
        }
        let sparse = [columns.data::<f64>(true)?, columns.data::<f32>(true)?];
        if self.sparse == SparseRows::Refused {
            found.on("sparse rows");
            let is_right = |error: &Error| matches!(error, Error::InvalidArgument { .. });
            found.refuses(
                &sampler.resample(&sparse[0], &Run::seeded(3)),
                is_right,
                "InvalidArgument",
            );
            return Ok(());
        }
        let samples = [sampled(sampler, &sparse[0], 3)?, sampled(sampler, &sparse[1], 3)?];
        for (sample, precision) in samples.iter().zip([Precision::F64, Precision::F32]) {
            found.on(format!("the storage of sparse rows of {precision:?}"));
            found.equal(law, None, &form(sample), &(precision, true));
        }
        if !self.makes_rows {
            let stored = samples[0].features().stored();
            let entries = dense(samples[0].features()).iter().filter(|&&x| x != 0.0).count();
            found.on("stored entries of sparse rows");
            found.equal(law, None, &stored, &entries);
        }
        if self.trains {
            return Ok(());
        }
        let stored = [0, 1].map(|i| samples[i].features().stored());
        let [sparse, sparse_single] = samples.map(bits);
        found.on("the numbers of rows, sparse and dense");
        found.equal(law, None, &sparse.labels.len(), &double.labels.len());
        found.on("stored entries of f32 and of f64");
        found.equal(law, None, &stored[1], &stored[0]);
        if self.sparse == SparseRows::AsDense {
            found.on("sparse and dense rows of f64");
            same_rows(found, law, &sparse, &double);
            found.on("sparse and dense rows of f32");
            same_rows(found, law, &sparse_single, &single);
        }
        Ok(())
    }

    /// In another order of the rows, a random sampler gives other rows by the same law, and a deterministic one gives
    /// the same rows. Columns tell rows apart here, so no two are equally near to a third, where the order would decide.
    fn orders(&self, sampler: &dyn Sampler, columns: &Columns, found: &mut Findings) -> Result<()> {
        const SEEDS: u64 = 200;
        let (data, permuted) =
            (columns.data::<f64>(false)?, columns.permuted().data::<f64>(false)?);
        // Rows are told apart by their last column.
        let ids = |data: &Dataset<'_>, seed| -> Result<Vec<u64>> {
            let sample = sampled(sampler, data, seed)?;
            let mut ids: Vec<u64> = sample.features().rows().map(|row| row.get(2) as u64).collect();
            ids.sort_unstable();
            Ok(ids)
        };
        let first = ids(&data, 0)?;
        let fixed = first == ids(&data, 1)?;
        found.on("the seeds 0 and 1");
        let texts = |fixed| if fixed { "the same rows" } else { "other rows" };
        let expected = self.is_deterministic;
        found.holds(Law::Seed, None, fixed == expected, || (texts(fixed), texts(expected)));
        if fixed {
            let other = ids(&permuted, 0)?;
            let length = first.len().max(other.len());
            let lost = (0..length).find(|&at| first.get(at) != other.get(at));
            let row = lost.map(|at| first.get(at).map_or(ROWS, |id| *id as usize - 1));
            found.on("rows in another order");
            let counts =
                || (format!("other rows, {}", other.len()), format!("the same {}", first.len()));
            found.holds(Law::RowOrder, row, lost.is_none(), counts);
            return Ok(());
        }
        // Random: the same law. Three statistics, each over 200 seeds in either order: how many rows, the mean of their
        // first column, and its variance, which new rows between two others lower. Within 4.5 standard errors of their
        // difference: one comparison fails for a fair sampler with probability 7e-6; seeds are fixed.
        let mut statistics = [const { Vec::new() }; 6];
        for (order, data) in [&data, &permuted].into_iter().enumerate() {
            for seed in 0..SEEDS {
                let sample = sampled(sampler, data, seed + 1_000 * order as u64)?;
                let rows = sample.rows() as f64;
                let first = || sample.features().rows().map(|row| row.get(0));
                let moment = |power| first().map(|x| x.powi(power)).sum::<f64>() / rows;
                let mean = moment(1);
                for (at, value) in [rows, mean, moment(2) - mean.powi(2)].into_iter().enumerate() {
                    statistics[2 * at + order].push(value);
                }
            }
        }
        let names = ["the number of rows", "the mean of column 0", "the variance of column 0"];
        for (pair, name) in statistics.chunks(2).zip(names) {
            let [(a, error_a), (b, error_b)] = [&pair[0], &pair[1]].map(|v| mean_and_error(v));
            found.on(format!("{name}, over {SEEDS} seeds, rows in another order"));
            found.near(Law::RowOrder, None, [b, a], 4.5 * error_a.hypot(error_b) + 1e-9);
        }
        Ok(())
    }

    /// The distortion says what happened to the odds. Three kinds of reports, each checked as it allows:
    ///
    /// * A shift is claimed to be the realised one, so each sample is checked exactly. [`FEW`] samples are enough, one
    ///   of a deterministic sampler: chance has no part in the check.
    /// * "None", with weights that make each class weigh what it did: exact too, so after `FEW` samples without any
    ///   spread there is nothing to estimate.
    /// * "None" or "offset" in expectation. The share of its class's weight that a sample stands for is averaged over
    ///   [`SEEDS`] samples, and must be 1 within 4.5 standard errors. One sample deviates by 2 to 10 %, the mean of 200
    ///   by 0.15 to 0.7 %, so an error of 0.7 to 3 % in the odds is found; an omitted or inverted weight, a missing
    ///   offset or a nominal instead of a realised rate is wrong by 20 % or more. A false alarm in one comparison has
    ///   probability 7e-6; seeds are fixed.
    fn distortion(
        &self,
        sampler: &dyn Sampler,
        columns: &Columns,
        found: &mut Findings,
    ) -> Result<()> {
        const SEEDS: usize = 200;
        const FEW: usize = 8;
        // For sums that do not vary at all.
        const ROUNDING: f64 = 1e-9;
        let law = Law::Distortion;
        let data = columns.data::<f64>(false)?;
        let before = data.totals();
        let weighted = if data.weights().is_some() { "weighted rows" } else { "rows" };
        // By seed, the share of the negatives' and of the positives' weight that the sample stands for.
        let mut shares: [Vec<f64>; 2] = [vec![], vec![]];
        let mut exact = 0;
        for seed in 0..SEEDS {
            let sample = sampled(sampler, &data, seed as u64)?;
            match sample.distortion() {
                Distortion::None | Distortion::Offset { .. } => {
                    let sums = stands_for(&sample);
                    shares[0].push(sums[0] / before.negative_weight);
                    shares[1].push(sums[1] / before.positive_weight);
                }
                distortion => {
                    let moved = sample.totals().log_odds() - before.log_odds();
                    let shift = distortion.log_odds().unwrap_or(f64::NAN);
                    found.on(format!("the shift of the log-odds, {weighted}, seed {seed}"));
                    found.near(law, None, [shift, moved], 1e-12);
                    exact += 1;
                }
            }
            let varies = |share: &f64| (share - 1.0).abs() > ROUNDING;
            let few = if self.is_deterministic { 1 } else { FEW };
            if seed + 1 == few && (exact == few || !shares.iter().flatten().any(varies)) {
                break;
            }
        }
        found.on(format!("{weighted}, by seed"));
        if exact > 0 {
            let texts = || ("now a shift, now none", "one kind of distortion");
            found.holds(law, None, shares[0].is_empty(), texts);
            return Ok(());
        }
        if shares[0].len() < SEEDS {
            return Ok(());
        }
        // The odds survive: both classes stand for the same multiple of their weight.
        let pairs = shares[0].iter().zip(&shares[1]);
        let differences: Vec<f64> = pairs.map(|(negative, positive)| negative - positive).collect();
        let mut unbiased = |what: &str, values: &[f64], expected: f64| {
            let (mean, error) = mean_and_error(values);
            found.on(format!("{what}, {weighted}, mean of {SEEDS} seeds"));
            found.near(law, None, [mean, expected], 4.5 * error + ROUNDING);
        };
        unbiased("the share of the negatives less that of the positives", &differences, 0.0);
        if self.keeps_totals {
            unbiased("the share of the negatives", &shares[0], 1.0);
            unbiased("the share of the positives", &shares[1], 1.0);
        }
        Ok(())
    }

    /// A power of two is an exact factor: the same rows, weighted in the new unit.
    fn units(&self, sampler: &dyn Sampler, columns: &Columns, found: &mut Findings) -> Result<()> {
        if self.trains {
            return Ok(());
        }
        let data = columns.data::<f64>(false)?;
        let expected = bits(sampled(sampler, &data, 3)?);
        for power in [20, -20] {
            let unit = 2_f64.powi(power);
            let weights = columns.weights.iter().flatten().map(|weight| weight * unit);
            let scaled = data.view().with_weights(weights.collect::<Vec<_>>())?;
            let mut sample = bits(sampled(sampler, &scaled, 3)?);
            sample.weights.iter_mut().for_each(|weight| *weight /= unit);
            found.on(format!("weights times 2^{power}"));
            same_rows(found, Law::Scale, &sample, &expected);
        }
        Ok(())
    }

    fn one_class(
        &self,
        sampler: &dyn Sampler,
        columns: &Columns,
        found: &mut Findings,
    ) -> Result<()> {
        for label in [false, true] {
            let data =
                Columns { labels: vec![label; ROWS], ..columns.clone() }.data::<f64>(false)?;
            found.on(format!("rows that are all {label}"));
            let answer = sampler.resample(&data, &Run::seeded(3));
            if self.needs_both_classes {
                found.refuses(&answer, |error| matches!(error, Error::OneClass { .. }), "OneClass");
            } else {
                found.answer(answer);
            }
        }
        Ok(())
    }

    fn earlier_distortion(
        &self,
        sampler: &dyn Sampler,
        columns: &Columns,
        found: &mut Findings,
    ) -> Result<()> {
        let earlier = Distortion::PriorShift { log_odds: 0.7 };
        let data = columns.data::<f64>(false)?;
        let shifted = data.clone().with_distortion(earlier.clone());
        let own = sampler.resample(&data, &Run::seeded(3))?.distortion;
        let both = sampled(sampler, &shifted, 3)?.distortion().clone();
        found.on("rows with an earlier distortion");
        found.equal(Law::Distortion, None, &both, &earlier.then(own));
        Ok(())
    }

    /// Features and weights near the limits of `f64`: what comes out is finite, or there is an error.
    fn finite(&self, sampler: &dyn Sampler, columns: &Columns, found: &mut Findings) -> Result<()> {
        for unit in [1e-300, 1e-150, 1e150, 1e300] {
            let x = columns.x.mapv(|value| value * unit);
            let scaled = Columns { x, ..columns.clone() }.data::<f64>(false)?;
            let weighted = columns.data::<f64>(false)?.with_weights(vec![unit; ROWS])?;
            for (what, data) in [("features", scaled), ("weights", weighted)] {
                let Ok(sample) = sampled(sampler, &data, 3) else { continue };
                let Bits { features, weights, offsets, .. } = bits(sample);
                found.on(format!("{what} times {unit:e}"));
                for row in features.iter().map(Vec::as_slice).chain([&weights[..], &offsets]) {
                    let finite = row.iter().all(|value| value.is_finite());
                    found.holds(Law::Finite, None, finite, || {
                        (format!("{row:?}"), "finite numbers")
                    });
                }
            }
        }
        Ok(())
    }

    fn names(&self, sampler: &dyn Sampler, columns: &Columns, found: &mut Findings) -> Result<()> {
        let text = format!("{sampler:?}");
        found.on("the text of Debug");
        found.holds(Law::Name, None, !text.contains("0x"), || (&text, "no address"));
        // A distortion calls a sampler by its name; one that shifts the prior alone is not named there.
        let name = sampler.name();
        let parts: Vec<&str> = name.split(" then ").collect();
        let resample = sampler.resample(&columns.data::<f64>(false)?, &Run::seeded(3))?;
        if let Distortion::FeatureDependent { sampler, .. } | Distortion::Offset { sampler, .. } =
            resample.distortion
        {
            let known = sampler.split(" then ").all(|part| parts.contains(&part));
            found.on("the sampler's name in its distortion");
            found.holds(Law::Name, None, known, || (&sampler, &name));
        }
        Ok(())
    }
}

fn sampled<'a>(sampler: &dyn Sampler, data: &'a Dataset<'_>, seed: u64) -> Result<Dataset<'a>> {
    sampler.resample(data, &Run::seeded(seed))?.apply(data)
}

fn kept_rows(resample: &Resample) -> Vec<usize> {
    match &resample.rows {
        Rows::All => (0..ROWS).collect(),
        Rows::Kept(rows) => rows.clone(),
    }
}

/// How many negatives and positives a sample stands for. Offsets say how much likelier a row's class was to be kept: a
/// row with the offset o stands for 1/σ(o) positives or 1/σ(−o) negatives.
fn stands_for(sample: &Dataset<'_>) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for (row, &label) in sample.labels().iter().enumerate() {
        let weight = sample.weights().map_or(1.0, |weights| weights[row]);
        let offset = sample.offsets().map(|offsets| offsets[row]);
        let kept = offset.map_or(1.0, |o| 1.0 / (1.0 + if label { -o } else { o }.exp()));
        sums[usize::from(label)] += weight / kept;
    }
    sums
}

/// Everything that comes out.
struct Bits {
    features: Vec<Vec<f64>>,
    labels: Vec<bool>,
    weights: Vec<f64>,
    offsets: Vec<f64>,
}

#[allow(clippy::needless_pass_by_value, reason = "its features are gathered and dropped here")]
fn bits(sample: Dataset<'_>) -> Bits {
    let column = |values: Option<&[f64]>| values.unwrap_or_default().to_vec();
    Bits {
        features: dense(sample.features()).outer_iter().map(|row| row.to_vec()).collect(),
        labels: sample.labels().to_vec(),
        weights: column(sample.weights()),
        offsets: column(sample.offsets()),
    }
}

/// The same, with features rounded to `f32`.
fn rounded(sample: &Bits) -> Bits {
    let row = |row: &Vec<f64>| row.iter().map(|&value| f64::from(value as f32)).collect();
    Bits {
        features: sample.features.iter().map(row).collect(),
        labels: sample.labels.clone(),
        weights: sample.weights.clone(),
        offsets: sample.offsets.clone(),
    }
}

/// The same features, labels, weights and offsets, to the bit.
fn same_rows(found: &mut Findings, law: Law, sample: &Bits, expected: &Bits) {
    let lengths = |s: &Bits| [s.labels.len(), s.weights.len(), s.offsets.len()];
    let numbers = |s: &Bits| {
        let [rows, weights, offsets] = lengths(s);
        format!("{rows} rows, {weights} weights, {offsets} offsets")
    };
    let equal = lengths(sample) == lengths(expected);
    found.holds(law, None, equal, || (numbers(sample), numbers(expected)));
    if !equal {
        return;
    }
    let row = |s: &Bits, at: usize| {
        let number = |values: &[f64]| values.get(at).copied();
        (s.features[at].clone(), s.labels[at], number(&s.weights), number(&s.offsets))
    };
    let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    for at in 0..sample.labels.len() {
        let part = |values: &[f64]| if values.is_empty() { 0.0 } else { values[at] };
        let equal = same(&sample.features[at], &expected.features[at])
            && sample.labels[at] == expected.labels[at]
            && part(&sample.weights).to_bits() == part(&expected.weights).to_bits()
            && part(&sample.offsets).to_bits() == part(&expected.offsets).to_bits();
        let texts = || (format!("{:?}", row(sample, at)), format!("{:?}", row(expected, at)));
        found.holds(law, at, equal, texts);
    }
}
