//! Simulations of the estimators for rare events with known truth, for the program that prints the tables and
//! for the test that checks their bounds.

use imbalance::model::RareEvents;
use imbalance::model::logistic::Covariance;
use imbalance::ndarray::Array2;
use imbalance::numerics::sigmoid;
use imbalance::prelude::*;
use ndarray_rand::rand::{Rng, SeedableRng};
use ndarray_rand::rand_distr::StandardNormal;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// The true slopes of two independent standard normal features, and the intercept: about 5 % events.
pub(crate) const TRUTH: [f64; 3] = [1.0, -1.0, -3.75];

/// The population's rate, E σ(−3.75 + √2 Z) with Z standard normal: the trapezoidal rule, which is exact
/// to rounding for such an integral.
pub(crate) fn population_rate() -> f64 {
    let step = 0.05;
    let terms = (-200..=200).map(|i| {
        let z = f64::from(i) * step;
        sigmoid(TRUTH[2] + 2_f64.sqrt() * z) * (-0.5 * z * z).exp()
    });
    terms.sum::<f64>() * step / (2.0 * std::f64::consts::PI).sqrt()
}

/// How rows are drawn from the population.
#[derive(Clone, Copy)]
pub(crate) enum Design {
    /// A number of rows at random.
    Random(usize),
    /// A number of events and a number of other rows.
    CaseControl(usize, usize),
}

impl Design {
    fn draw(self, seed: Seed) -> imbalance::Result<Dataset<'static>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed.value());
        let (mut x, mut labels) = (Vec::new(), Vec::new());
        let mut missing = match self {
            Self::Random(_) => [0, 0],
            Self::CaseControl(events, others) => [others, events],
        };
        let rows = match self {
            Self::Random(rows) => rows,
            Self::CaseControl(events, others) => events + others,
        };
        while labels.len() < rows {
            let row: [f64; 2] = [random.sample(StandardNormal), random.sample(StandardNormal)];
            let z = TRUTH[0] * row[0] + TRUTH[1] * row[1] + TRUTH[2];
            let label = random.random::<f64>() < sigmoid(z);
            if let Self::CaseControl(..) = self {
                let missing = &mut missing[usize::from(label)];
                if *missing == 0 {
                    continue;
                }
                *missing -= 1;
            }
            x.extend(row);
            labels.push(label);
        }
        Dataset::new(Array2::from_shape_fn((rows, 2), |(i, j)| x[2 * i + j]), labels)
    }

    /// The design in words.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Random(rows) => format!("{rows} rows at random"),
            Self::CaseControl(events, others) => {
                format!("case-control sample of {events} events and {others} others")
            }
        }
    }
}

/// Methods that are fitted to common samples.
pub(crate) struct Study {
    /// The design of the samples.
    pub(crate) design: Design,
    /// The methods with their names.
    pub(crate) methods: Vec<(&'static str, RareEvents)>,
}

fn plain() -> RareEvents {
    RareEvents::new().maximum_likelihood()
}

/// The methods compared for bias; the first method of each study has no correction.
pub(crate) fn bias_studies() -> imbalance::Result<Vec<Study>> {
    let tau = population_rate();
    let few = Design::CaseControl(25, 75);
    let firth = || RareEvents::new().firth_with_intervals(None);
    Ok(vec![
        Study {
            design: Design::Random(500),
            methods: vec![
                ("maximum likelihood", plain()),
                ("bias correction", RareEvents::new()),
                ("Firth", firth()?),
            ],
        },
        Study {
            design: few,
            methods: vec![
                ("prior correction", plain().prior_correction(tau)?),
                ("prior and bias correction", RareEvents::new().prior_correction(tau)?),
                ("prior correction, Firth", firth()?.prior_correction(tau)?),
            ],
        },
        Study {
            design: few,
            methods: vec![
                ("weighting", plain().weighting(tau)?),
                ("weighting, bias correction", RareEvents::new().weighting(tau)?),
            ],
        },
    ])
}

/// The methods compared for coverage; an asterisk marks King & Zeng's own covariance.
pub(crate) fn coverage_studies() -> imbalance::Result<Vec<Study>> {
    let tau = population_rate();
    Ok(vec![
        Study {
            design: Design::Random(2000),
            methods: vec![
                ("maximum likelihood", plain()),
                ("bias correction", RareEvents::new()),
                ("Firth, profile", RareEvents::new().firth()),
                ("weighting", plain().weighting(tau)?),
                ("weighting, HC0 *", plain().weighting(tau)?.covariance(Covariance::Hc0)),
            ],
        },
        Study {
            design: Design::CaseControl(100, 400),
            methods: vec![
                ("prior correction", plain().prior_correction(tau)?),
                ("prior and bias correction", RareEvents::new().prior_correction(tau)?),
                (
                    "prior correction, Firth, profile",
                    RareEvents::new().firth().prior_correction(tau)?,
                ),
                (
                    "prior correction, whole information *",
                    plain().prior_correction(tau)?.covariance(Covariance::Fisher),
                ),
                ("weighting", plain().weighting(tau)?),
                ("weighting, bias correction", RareEvents::new().weighting(tau)?),
                ("weighting, HC0 *", plain().weighting(tau)?.covariance(Covariance::Hc0)),
            ],
        },
    ])
}

impl Study {
    /// The `measure` of each method on each sample, by method, then by replication.
    fn replicate<T: Send>(
        &self,
        replications: u64,
        seed: Seed,
        measure: impl Fn(&imbalance::model::logistic::Inference) -> imbalance::Result<T> + Sync,
    ) -> imbalance::Result<Vec<Vec<T>>> {
        let drawn: Vec<Vec<T>> = (0..replications)
            .into_par_iter()
            .map(|i| {
                let data = self.design.draw(seed.child(&format!("{} {i}", self.design.name())))?;
                let fits = self.methods.iter();
                fits.map(|(_, model)| {
                    measure(model.fit(&data, &LogLoss, &Run::default())?.inference())
                })
                .collect()
            })
            .collect::<imbalance::Result<_>>()?;
        let mut methods: Vec<Vec<T>> = self.methods.iter().map(|_| Vec::new()).collect();
        for replication in drawn {
            methods.iter_mut().zip(replication).for_each(|(method, found)| method.push(found));
        }
        Ok(methods)
    }

    /// The errors of the estimates, by method and replication.
    pub(crate) fn errors(
        &self,
        replications: u64,
        seed: Seed,
    ) -> imbalance::Result<Vec<Vec<[f64; 3]>>> {
        self.replicate(replications, seed, |inference| {
            Ok(std::array::from_fn(|j| inference.estimates()[j] - TRUTH[j]))
        })
    }

    /// The share of 95 % intervals that contain the truth, by method.
    pub(crate) fn coverage(
        &self,
        replications: u64,
        seed: Seed,
    ) -> imbalance::Result<Vec<[f64; 3]>> {
        let held = self.replicate(replications, seed, |inference| {
            let intervals = match inference.profile_intervals() {
                Some(intervals) => intervals.to_vec(),
                None => inference.intervals(0.95)?,
            };
            let holds = |j: usize| (intervals[j][0]..=intervals[j][1]).contains(&TRUTH[j]);
            Ok(std::array::from_fn::<bool, 3, _>(holds))
        })?;
        let share = |held: &Vec<[bool; 3]>, j: usize| {
            held.iter().filter(|held| held[j]).count() as f64 / held.len() as f64
        };
        Ok(held.iter().map(|held| std::array::from_fn(|j| share(held, j))).collect())
    }
}

/// The mean and its standard error.
pub(crate) fn mean(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}
