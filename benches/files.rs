//! Rows per CPU second from CSV and Parquet files to tables and to sparse features, batch by batch: a label, a time, four
//! numbers, of which one may be missing, and six texts of 8 to 200,000 levels.
//!
//! ```sh
//! cargo bench -p imbalance-benches --features files --bench files -- 5000000
//! ```
//!
//! On Linux times are CPU seconds of the process, elsewhere seconds.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use imbalance::data::{
    CsvReader, Encoder, FittedEncoder, Frame, ParquetReader, ParquetWriter, Source, Table,
};
use imbalance::{FeaturesView, Matrix, Result};

const LEVELS: [u64; 6] = [8, 50, 500, 5_000, 50_000, 200_000];
const NUMBERS: [&str; 4] = ["price", "age", "rank", "share"];
const TEXTS: [&str; 6] = ["device", "country", "campaign", "site", "page", "user"];
/// Rows that are written at a time.
const BLOCK: u64 = 50_000;

/// A number of 64 bits for a cell (`SplitMix64`).
fn random(row: u64, column: u64) -> u64 {
    let mut z = (row * 16 + column).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Cells {
    click: bool,
    time: f64,
    numbers: [f64; 4],
    texts: [String; 6],
}

fn cells(row: u64) -> Cells {
    let unit = |column| random(row, column) as f64 / 2_f64.powi(64);
    let round = |x: f64, digits: f64| (x * digits).round() / digits;
    let price = if unit(1) < 0.1 { f64::NAN } else { round(1000.0 * unit(2) * unit(2), 100.0) };
    let numbers =
        [price, (18.0 + 60.0 * unit(3)).floor(), (unit(4) * 100.0).floor(), round(unit(5), 1e6)];
    let text = |at: usize| {
        // Low levels are frequent.
        let level = (LEVELS[at] as f64 * unit(6 + at as u64).powi(3)) as u64;
        format!("{}{level:06}", &TEXTS[at][..2])
    };
    Cells {
        click: unit(0) < 0.01,
        time: (1_574_553_600 + row / 20) as f64,
        numbers,
        texts: std::array::from_fn(text),
    }
}

fn write(csv: &Path, parquet: &Path, rows: u64) -> Result<()> {
    let mut out = fs::File::create(csv).unwrap();
    out.write_all(format!("click,time,{},{}\n", NUMBERS.join(","), TEXTS.join(",")).as_bytes())
        .unwrap();
    let mut writer = ParquetWriter::create(parquet)?;
    for begin in (0..rows).step_by(BLOCK as usize) {
        let block: Vec<Cells> = (begin..rows.min(begin + BLOCK)).map(cells).collect();
        let mut text = String::new();
        for cells in &block {
            write!(text, "{},{}", u8::from(cells.click), cells.time).unwrap();
            for number in cells.numbers {
                if number.is_nan() { text.push(',') } else { write!(text, ",{number}").unwrap() }
            }
            cells.texts.iter().for_each(|cell| write!(text, ",{cell}").unwrap());
            text.push('\n');
        }
        out.write_all(text.as_bytes()).unwrap();
        let column = |of: &dyn Fn(&Cells) -> f64| block.iter().map(of).collect::<Vec<_>>();
        let mut frame = Frame::new(block.len())
            .with_labels("click", block.iter().map(|cells| cells.click).collect::<Vec<_>>())?
            .with_numbers("time", column(&|cells| cells.time))?;
        for (at, name) in NUMBERS.iter().enumerate() {
            frame = frame.with_numbers(*name, column(&|cells| cells.numbers[at]))?;
        }
        for (at, name) in TEXTS.iter().enumerate() {
            frame = frame.with_texts(*name, block.iter().map(|cells| &cells.texts[at]))?;
        }
        writer.write(&frame)?;
    }
    writer.finish()
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    thread_local!(static BEGIN: Instant = Instant::now());
    let elapsed = BEGIN.with(|begin| begin.elapsed().as_secs_f64());
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return elapsed };
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, in hundredths of a second.
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Prints the rows per CPU second of a pass, and what the pass adds up.
fn pass(
    name: &str,
    source: &dyn Source,
    mut each: impl FnMut(&Table) -> Result<f64>,
) -> Result<()> {
    let (begin, mut rows, mut sum) = (cpu(), 0, 0.0);
    for part in 0..source.parts() {
        source.read(part, &mut |batch| {
            rows += batch.table.rows();
            sum += each(&batch.table)?;
            Ok(())
        })?;
    }
    let seconds = cpu() - begin;
    println!("{name:<24} {:6.2} M rows/s  {rows} rows, sum {sum}", rows as f64 / seconds / 1e6);
    Ok(())
}

/// A sum over the entries of the sparse features.
fn encoded(encoder: &FittedEncoder, table: &Table) -> Result<f64> {
    fn sum<F: Copy + Into<f64>>(values: &[F], columns: &[usize]) -> f64 {
        let weigh = |(value, column): (&F, &usize)| (*value).into() * (column % 7) as f64;
        values.iter().zip(columns).map(weigh).sum()
    }
    Ok(match encoder.features(table)?.view() {
        FeaturesView::F64(Matrix::Sparse(x)) => sum(x.data(), x.indices()),
        FeaturesView::F32(Matrix::Sparse(x)) => sum(x.data(), x.indices()),
        _ => f64::NAN,
    })
}

fn main() -> Result<()> {
    let rows = std::env::args().skip(1).find_map(|rows| rows.parse().ok()).unwrap_or(200_000);
    let folder = std::env::temp_dir().join(format!("imbalance-files-{rows}"));
    fs::create_dir_all(&folder).unwrap();
    let (csv, parquet) = (folder.join("log.csv"), folder.join("log.parquet"));
    if !parquet.exists() {
        write(&csv, &parquet, rows)?;
    }
    let from_csv = CsvReader::new().label("click").time("time").numeric(NUMBERS).categorical(TEXTS);
    let from_parquet =
        ParquetReader::new().label("click").time("time").numeric(NUMBERS).categorical(TEXTS);
    let (csv, parquet) = (from_csv.batches([csv])?, from_parquet.batches([parquet])?);

    let mut first = None;
    csv.read(0, &mut |batch| {
        first.get_or_insert(batch.table);
        Ok(())
    })?;
    let Some(first) = first else { return Ok(()) };
    let encoder = Encoder::default().fit(&first)?;

    for _ in 0..2 {
        pass("CSV to tables", &csv, |table| Ok(table.labels().len() as f64))?;
        pass("CSV to CSR", &csv, |table| encoded(&encoder, table))?;
        pass("Parquet to tables", &parquet, |table| Ok(table.labels().len() as f64))?;
        pass("Parquet to CSR", &parquet, |table| encoded(&encoder, table))?;
    }
    let begin = cpu();
    let repeats = 20;
    for _ in 0..repeats {
        encoded(&encoder, &first)?;
    }
    let encoded = (repeats * first.rows()) as f64;
    println!("{:<24} {:6.2} M rows/s", "tables to CSR", encoded / (cpu() - begin) / 1e6);
    Ok(())
}
