//! How often intervals at 95 % leave out the truth when there are few positives: of the difference of two AUCs that
//! are equal, and of one AUC.
//!
//! `cargo run --release --example few_events -- 2000`, with the number of samples for each row of the table.

use imbalance::metrics::{
    Bootstrap, RankedScores, compare_roc_auc, roc_auc_interval, roc_auc_wald_interval,
};

/// Uniform and normal numbers from a counter (`SplitMix64`).
struct Stream(u64);

impl Stream {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / 2_f64.powi(53)
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Shift of normal scores of the positives, and the AUC Φ(shift/√2) that it makes.
const MODELS: [(f64, f64); 3] = [(0.0, 0.5), (1.190_232_3, 0.8), (2.326_174_3, 0.95)];

const NEGATIVES: usize = 300;

fn main() -> imbalance::Result<()> {
    let samples = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    println!(
        "Percent of {samples} samples; {NEGATIVES} negatives. Difference: two models of the same true AUC.\n"
    );
    println!(
        "| | difference, bootstrap | difference, DeLong | difference, groups | AUC, DeLong, logit | AUC, bootstrap | AUC, groups | AUC, Wald | of these, reliable |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    println!(
        "| positives | AUC ½, .95 | ½, .95 | ½ | ½, .8, .95 | ½, .8, .95 | .8 | ½, .8, .95 | ½, .8, .95 |"
    );
    for positives in [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30] {
        let mut stream = Stream(positives as u64);
        let mut alarms = [0_u32; 18];
        for sample in 0..samples {
            let missed = one(positives, sample, &mut stream)?;
            alarms.iter_mut().zip(missed).for_each(|(count, missed)| *count += u32::from(missed));
        }
        let percent =
            alarms.map(|count| format!("{:.1}", 100.0 * f64::from(count) / samples as f64));
        let cells = [
            &percent[..2],
            &percent[2..4],
            &percent[4..5],
            &percent[5..8],
            &percent[8..11],
            &percent[11..12],
            &percent[12..15],
            &percent[15..],
        ];
        println!("| {positives} | {} |", cells.map(|cell| cell.join(", ")).join(" | "));
    }
    Ok(())
}

/// Whether each interval leaves out the truth in one sample.
fn one(positives: usize, sample: u64, stream: &mut Stream) -> imbalance::Result<[bool; 18]> {
    let labels: Vec<bool> = (0..positives + NEGATIVES).map(|row| row < positives).collect();
    let mut scores = |shift: f64| -> Vec<f64> {
        labels.iter().map(|&label| stream.normal() + if label { shift } else { 0.0 }).collect()
    };
    let models = MODELS.map(|(shift, _)| [scores(shift), scores(shift)]);
    let bootstrap = Bootstrap::new(200, sample)?;
    let auc = |rows: &RankedScores| Ok([rows.roc_auc()?]);
    let (mut missed, mut claimed) = (Vec::new(), Vec::new());
    for [first, second] in [&models[0], &models[2]] {
        missed.push(!bootstrap.differences(&labels, [first, second], None, auc)?[0].contains(0.0));
    }
    for [first, second] in [&models[0], &models[2]] {
        let pair = compare_roc_auc(&labels, first, second, None, 0.95)?;
        missed.push(!pair.difference.contains(0.0));
    }
    // Groups of one positive and negatives beside it, or of negatives alone.
    let groups: Vec<u32> = (0..labels.len() as u32)
        .map(|row| if (row as usize) < positives { row } else { (row - positives as u32) % 100 })
        .collect();
    let grouped = bootstrap.clone().by_group(&groups);
    let [first, second] = &models[0];
    missed.push(!grouped.differences(&labels, [first, second], None, auc)?[0].contains(0.0));
    for ([scores, _], (_, truth)) in models.iter().zip(MODELS) {
        missed.push(!roc_auc_interval(&labels, scores, None, 0.95)?.contains(truth));
    }
    for ([scores, _], (_, truth)) in models.iter().zip(MODELS) {
        missed.push(!bootstrap.intervals(&labels, scores, None, auc)?[0].contains(truth));
    }
    missed.push(!grouped.intervals(&labels, &models[1][0], None, auc)?[0].contains(0.8));
    for ([scores, _], (_, truth)) in models.iter().zip(MODELS) {
        let wald = roc_auc_wald_interval(&labels, scores, None, 0.95)?;
        missed.push(!wald.interval.contains(truth));
        claimed.push(wald.is_reliable && !wald.interval.contains(truth));
    }
    missed.extend(claimed);
    Ok(std::array::from_fn(|i| missed[i]))
}
