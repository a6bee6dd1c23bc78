//! Samplers on small matrices.

use bolero::check;
use imbalance::ndarray::Array2;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, DrawMode, EditedNearestNeighbours, NearMiss, NearMissVersion,
    NeighbourhoodCleaning, RandomOverSampler, RandomUnderSampler, Sampler, Smote, SmoteNc,
    TomekLinks,
};
use imbalance::sprs::CsMat;
use imbalance::{Dataset, Features, Result, Run};

use crate::cursor::Cursor;

fn sampler(cursor: &mut Cursor<'_>) -> Result<Box<dyn Sampler>> {
    let k = 1 + cursor.below(4);
    let ratio = cursor.number().abs().min(8.0);
    let flag = cursor.byte() % 2 == 0;
    Ok(match cursor.below(14) {
        0 => Box::new(RandomUnderSampler::negatives_per_positive(ratio)?.reweight(flag)),
        1 => Box::new(RandomUnderSampler::rate(ratio)?.draw(DrawMode::Bernoulli).reweight(flag)),
        2 => Box::new(
            RandomOverSampler::positives_per_negative(ratio)?.shrinkage(f64::from(k as u8))?,
        ),
        3 => Box::new(Smote::positives_per_negative(ratio)?.neighbours(k)?.per_element(flag)),
        4 => Box::new(BorderlineSmote::borderline1(ratio)?.neighbours(k)?.m_neighbours(k + 1)?),
        5 => Box::new(BorderlineSmote::borderline2(ratio)?.neighbours(k)?),
        6 => Box::new(Adasyn::positives_per_negative(ratio)?.neighbours(k)?),
        7 => Box::new(SmoteNc::positives_per_negative(ratio, [0])?.neighbours(k)?),
        8 => Box::new(TomekLinks::new().both_classes(flag)),
        9 => Box::new(EditedNearestNeighbours::new(k)?.both_classes(flag).repeated(10)?),
        10 => Box::new(EditedNearestNeighbours::new(k)?.all_knn(true)),
        11 => Box::new(NeighbourhoodCleaning::new(k)?),
        12 => Box::new(
            NearMiss::rate(0.5)?.neighbours(k)?.version(NearMissVersion::FarthestPositives),
        ),
        _ => Box::new(
            NearMiss::negatives_per_positive(ratio)?.version(NearMissVersion::AroundPositives),
        ),
    })
}

fn data(cursor: &mut Cursor<'_>) -> Result<Dataset<'static>> {
    let (columns, kind) = (1 + cursor.below(4), cursor.below(3));
    let weighted = cursor.byte() % 4 == 0;
    let (mut values, mut labels, mut weights) = (vec![], vec![], vec![]);
    while !cursor.is_empty() && labels.len() < 40 {
        labels.push(cursor.byte() % 3 == 0);
        weights.push(if weighted { cursor.number().abs() } else { 1.0 });
        values.extend((0..columns).map(|_| cursor.number()));
    }
    let dense =
        Array2::from_shape_vec((labels.len(), columns), values).expect("rows × columns values");
    let x: Features<'static> = match kind {
        0 => dense.into(),
        1 => dense.map(|&value| value as f32).into(),
        _ => CsMat::csr_from_dense(dense.view(), 0.0).into(),
    };
    Dataset::new(x, labels)?.with_weights(weights)
}

#[test]
fn samplers() {
    check!().for_each(|input| {
        let mut cursor = Cursor(input);
        let (Ok(sampler), Ok(data)) = (sampler(&mut cursor), data(&mut cursor)) else { return };
        let Ok(resample) = sampler.resample(&data, &Run::seeded(7)) else { return };
        assert!(resample.parents().all(|parent| parent < data.rows()));
        let Ok(sample) = resample.apply(&data) else { return };
        assert!(
            sample.features().rows().all(|row| row.entries().all(|(_, value)| value.is_finite())),
            "{sampler:?}"
        );
        assert!(
            sample.weights().is_none_or(|w| w.iter().all(|w| w.is_finite() && *w >= 0.0)),
            "{sampler:?}"
        );
        assert!(sample.distortion().log_odds().is_none_or(|shift| !shift.is_nan()), "{sampler:?}");
    });
}
