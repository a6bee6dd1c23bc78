//! Sums over all rows of a log.

use std::ops::Range;

use super::{Batch, Source};
use crate::core::{Meter, Result, Run};
use crate::exec::parallel;

/// A sum over the batches of a [`Source`].
pub(crate) trait Pass: Sync {
    /// The sum over some batches.
    type Sum: Send;

    /// The sum over no batches.
    fn empty(&self) -> Self::Sum;

    /// Adds a batch.
    fn add(&self, sum: &mut Self::Sum, batch: &Batch) -> Result<()>;

    /// Adds the sum over the batches that come next.
    fn merge(&self, sum: &mut Self::Sum, next: Self::Sum) -> Result<()>;
}

/// The sum over all batches: each part of the source is summed by itself, and parts are merged in their order, so that
/// the bits do not depend on the number of threads. At most one sum a thread waits to be merged.
///
/// # Errors
/// Those of the source and of the pass, of the first part that fails; [`Error::Cancelled`](crate::Error::Cancelled).
pub(crate) fn sum<P: Pass>(
    source: &(impl Source + ?Sized),
    pass: &P,
    task: &'static str,
    run: &Run,
) -> Result<P::Sum> {
    let meter = meter(source, task, run);
    let mut total = pass.empty();
    for wave in waves(source.parts()) {
        let sums =
            parallel::map(wave.len(), 1, |at, _| part_sum(source, pass, wave.start + at, &meter));
        for sum in sums {
            match sum {
                Ok(sum) => pass.merge(&mut total, sum)?,
                // The observer's stop reaches a part as an error of its own.
                Err(error) => return meter.finish().and(Err(error)),
            }
        }
    }
    meter.finish()?;
    Ok(total)
}

/// Calls `each` with all batches, one after the other.
///
/// # Errors
/// Those of the source and of `each`; [`Error::Cancelled`](crate::Error::Cancelled).
pub(crate) fn in_order(
    source: &(impl Source + ?Sized),
    task: &'static str,
    run: &Run,
    mut each: impl FnMut(Batch) -> Result<()>,
) -> Result<()> {
    let meter = meter(source, task, run);
    for part in 0..source.parts() {
        let mut read = 0;
        source.read(part, &mut |batch| {
            if !meter.goes_on(saturating(batch.read.saturating_sub(read))) {
                return meter.finish();
            }
            read = batch.read;
            each(batch)
        })?;
    }
    meter.finish()
}

fn meter<'r>(source: &(impl Source + ?Sized), task: &'static str, run: &'r Run) -> Meter<'r> {
    let size = (0..source.parts()).map(|part| source.size(part)).sum::<u64>();
    Meter::new(run, task, source.unit(), saturating(size))
}

fn saturating(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn part_sum<P: Pass>(
    source: &(impl Source + ?Sized),
    pass: &P,
    part: usize,
    meter: &Meter<'_>,
) -> Result<P::Sum> {
    let mut sum = pass.empty();
    let mut read = 0;
    if !meter.goes_on(0) {
        meter.finish()?;
    }
    source.read(part, &mut |batch| {
        pass.add(&mut sum, &batch)?;
        let more = saturating(batch.read.saturating_sub(read));
        read = batch.read;
        if meter.goes_on(more) { Ok(()) } else { meter.finish() }
    })?;
    meter.skip(saturating(source.size(part).saturating_sub(read)));
    Ok(sum)
}

/// As many parts at a time as there are threads.
fn waves(parts: usize) -> impl Iterator<Item = Range<usize>> {
    let threads = parallel::threads();
    (0..parts).step_by(threads).map(move |start| start..(start + threads).min(parts))
}
