//! The everyday job on a log that does not fit in memory: under-sample Parquet files into memory, fit, calibrate, check on
//! rows held out, evaluate on all rows, and write every row's probability back, batch by batch.
//!
//! `cargo run --release --features parquet --example larger_than_memory -- --rows 50000000`
//!
//! With `--all-rows`, a logistic regression is then fitted to all rows, in passes over the files.
//!
//! The log is synthetic, so the probability of each row is known: 20 columns, about 0.5 % positive.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use imbalance::data::{Frame, ParquetBatches, ParquetReader, ParquetWriter, Source};
use imbalance::prelude::*;
use imbalance::sampling::RowKey;
use imbalance::stream::SourceFit;
use imbalance::{FromSource, Precision};
use rayon::prelude::*;

const NUMBERS: usize = 8;
/// Levels of the categorical columns.
const LEVELS: [u64; 10] = [8, 20, 50, 100, 300, 1_000, 3_000, 10_000, 50_000, 200_000];
const BATCH: usize = 1 << 16;
const FILES: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = pico_args::Arguments::from_env();
    let rows: usize = arguments.opt_value_from_str("--rows")?.unwrap_or(400_000);
    let all_rows = arguments.contains("--all-rows");
    let out: Option<PathBuf> = arguments.opt_value_from_str("--folder")?;
    let temporary = tempfile::tempdir()?;
    let folder = out.unwrap_or_else(|| temporary.path().join("log"));
    fs::create_dir_all(&folder)?;

    let mut clock = Clock { rows, begun: Instant::now() };
    let truth: f64 = (0..FILES)
        .into_par_iter()
        .map(|file| write_file(&folder, file, rows * file / FILES..rows * (file + 1) / FILES))
        .sum::<Result<f64, imbalance::Error>>()?;
    clock.stage("written");

    let log = reader().batches([folder.join("part-*.parquet")])?;
    read_alone(&log)?;
    clock.stage("read alone");

    let pipeline = Pipeline::new(LogisticRegression::new())
        .sampler(RandomUnderSampler::negatives_per_positive(5.0)?)
        .calibrator(PlattScaling::new())
        .seed(7);
    let how = FromSource::new(Encoder::hashing(18)?.precision(Precision::F32))
        .key(RowKey::column("id"))
        .hold_out(0.1, 500_000)?;
    let scorer = pipeline.fit_source(&log, &how)?;
    clock.stage("under-sampled, fitted, checked");
    println!("\n{}\n", scorer.pipeline().report());

    let mut clock = Clock { rows, begun: Instant::now() };
    let metrics = scorer.evaluate(&log, &Run::default())?;
    clock.stage("evaluated");
    let mut sum = 0.0;
    let mut writer = ParquetWriter::create(folder.join("scored.parquet"))?;
    scorer.score(&log, &Run::default(), |batch, probabilities| {
        sum += probabilities.iter().sum::<f64>();
        let frame = Frame::new(probabilities.len())
            .with_numbers("id", batch.table.numbers("id")?)?
            .with_numbers("probability", probabilities)?;
        writer.write(&frame)
    })?;
    writer.finish()?;
    clock.stage("scored and written");
    println!("\n{metrics}predicted / truth        {:.4}\n", sum / truth);

    if all_rows {
        let mut clock = Clock { rows, begun: Instant::now() };
        let fitted = SourceFit::new(LogisticRegression::new())
            .key(RowKey::column("id"))
            .negatives_per_positive(10.0)?
            .fit(&log, scorer.encoder(), &LogLoss, &Run::seeded(7))?;
        clock.stage("fitted to all rows");
        println!("\n{fitted}");
    }
    Ok(())
}

fn reader() -> ParquetReader {
    ParquetReader::new()
        .label("click")
        .attribute_numbers(["id"])
        .numeric((0..NUMBERS).map(|column| format!("n{column}")))
        .categorical((0..LEVELS.len()).map(|column| format!("c{column}")))
}

/// Reads all batches, on all cores.
fn read_alone(log: &ParquetBatches) -> Result<(), imbalance::Error> {
    (0..log.parts()).into_par_iter().try_for_each(|part| log.read(part, &mut |_| Ok(())))
}

/// Writes rows; returns the sum of their probabilities.
fn write_file(
    folder: &Path,
    file: usize,
    rows: std::ops::Range<usize>,
) -> Result<f64, imbalance::Error> {
    let mut writer = ParquetWriter::create(folder.join(format!("part-{file}.parquet")))?;
    let names: Vec<Vec<String>> = LEVELS
        .iter()
        .map(|&levels| (0..levels).map(|level| format!("level {level}")).collect())
        .collect();
    let mut sum = 0.0;
    for start in rows.clone().step_by(BATCH) {
        let ids = start..(start + BATCH).min(rows.end);
        let mut numbers = vec![Vec::new(); NUMBERS];
        let mut levels = vec![Vec::new(); LEVELS.len()];
        let mut labels = Vec::with_capacity(ids.len());
        for id in ids.clone() {
            let mut logit = -6.4;
            for (column, numbers) in numbers.iter_mut().enumerate() {
                let value = uniform(id as u64, column as u64);
                logit += (value - 0.5) * [1.0, -0.5, 0.25, 0.0][column % 4];
                numbers.push(value);
            }
            for (column, levels) in levels.iter_mut().enumerate() {
                // The logarithm of the rank is uniform: frequencies of 1/rank.
                let level =
                    f64::powf(LEVELS[column] as f64, uniform(id as u64, 100 + column as u64))
                        as u64;
                logit += 2.0 * (uniform(level, 200 + column as u64) - 0.5);
                levels.push(level as u32);
            }
            let p = 1.0 / (1.0 + f64::exp(-logit));
            sum += p;
            labels.push(uniform(id as u64, 300) < p);
        }
        let mut frame = Frame::new(ids.len())
            .with_labels("click", labels)?
            .with_numbers("id", ids.map(|id| id as f64).collect::<Vec<_>>())?;
        for (column, numbers) in numbers.into_iter().enumerate() {
            frame = frame.with_numbers(format!("n{column}"), numbers)?;
        }
        for (column, levels) in levels.iter().enumerate() {
            let texts = levels.iter().map(|&level| names[column][level as usize].as_str());
            frame = frame.with_texts(format!("c{column}"), texts)?;
        }
        writer.write(&frame)?;
    }
    writer.finish()?;
    Ok(sum)
}

/// A number from 0 to 1 that depends on nothing but these two (`SplitMix64`).
fn uniform(id: u64, what: u64) -> f64 {
    let mut z = id
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(what.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Prints how long each stage took, and the most memory until then.
struct Clock {
    rows: usize,
    begun: Instant,
}

impl Clock {
    fn stage(&mut self, name: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let speed = self.rows as f64 / seconds / 1e6;
        let peak = peak_memory().unwrap_or_default();
        println!("{name:<32} {seconds:>8.1} s  {speed:>8.2} M rows/s   peak so far {peak}");
        self.begun = Instant::now();
    }
}

/// The most memory that this process has held, where the system tells.
fn peak_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.trim_start_matches("VmHWM:").trim().to_owned())
}
