//! Blocked products for dense rows of many columns.

use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

use super::arrange::arranged;
use super::groups::{GROUP, Group, LANES, Lanes, each, greatest, lanes, others};
use super::rounding::Rounding;
use super::{Best, Metric, Place};
use crate::core::Scalar;
use crate::exec::parallel;

/// Most numbers of points prepared at once: 8 MiB of rounded ones, and up to 16 MiB as they are.
const ROUNDED: usize = 1 << 21;

/// Up to this many columns each query looks for its own packs. With more, most packs are as near as the nearest
/// rows, and one product that serves both of its rows is better (20,000 and 50,000 rows, measured).
const FEW_COLUMNS: usize = 10;

#[derive(Debug)]
pub(crate) struct Blocks {
    rounding: Rounding,
    /// The points nearest to the centre. In many columns they are the neighbours of most others.
    central: Vec<usize>,
}

/// What the rows of a group have found.
struct Finds<'f> {
    /// D(1 + 8u) of each row, and the greatest in each pack.
    reach: Vec<Lanes>,
    most: Lanes,
    found: &'f mut [Best],
}

/// A group and what its rows have found.
struct Seekers<'r, 'f, F> {
    group: Group<'r, F>,
    finds: Finds<'f>,
}

impl Blocks {
    pub(crate) fn new<F: Scalar>(x: &ArrayView2<'_, F>, points: &[usize]) -> Self {
        let (rounding, central) = Rounding::new(x, points);
        Self { rounding, central }
    }

    /// Whether a query skips most points, because there are few columns.
    pub(crate) fn skip_most(&self) -> bool {
        self.rounding.columns() <= FEW_COLUMNS
    }

    /// Some points among which most queries have near ones, if there are such.
    pub(crate) fn central(&self) -> &[usize] {
        if self.skip_most() { &[] } else { &self.central }
    }

    /// The most central group.
    fn sampled<F: Scalar>(&self, x: &ArrayView2<'_, F>) -> Group<'_, F> {
        Group::new(&self.rounding, x, &self.central[..GROUP.min(self.central.len())])
    }

    /// Whether [`nearest`](Self::nearest) can answer: all points are prepared at once, and queries are not
    /// better off as each other's points.
    pub(crate) fn prepares_all(&self, points: &[usize], queries: &[usize]) -> bool {
        points.len() <= self.most() && (self.skip_most() || queries != points)
    }

    /// What `read` makes of the `k` nearest points of each query: `width` values. What a query has found is
    /// forgotten when it has been read.
    pub(crate) fn nearest<F: Scalar, T: Copy + Send>(
        &self,
        x: &ArrayView2<'_, F>,
        (points, queries): (&[usize], &[usize]),
        k: usize,
        (width, empty): (usize, T),
        read: impl Fn(&[Place], &mut [T]) + Sync + Send,
    ) -> Vec<T> {
        let (order, rows) = in_order(x, queries);
        let themselves = queries == points;
        let others = if themselves { Vec::new() } else { in_order(x, points).1 };
        let groups = Group::of(&self.rounding, x, if themselves { &rows } else { &others });
        let sampled = self.sampled(x);
        let mut ordered = vec![empty; queries.len() * width];
        parallel::map_into(&mut ordered, width, GROUP, |block, range, out| {
            let mut found: Vec<Best> = range.clone().map(|_| Best::nearest(k)).collect();
            let apart: Group<'_, F>;
            let group = if themselves {
                &groups[block]
            } else {
                apart = Group::new(&self.rounding, x, &rows[range]);
                &apart
            };
            self.seek(group, &mut found, &groups, &sampled);
            let out = out.chunks_exact_mut(width);
            found.iter().zip(out).for_each(|(best, out)| read(best.places(), out));
        });
        let mut values = vec![empty; ordered.len()];
        for (at, ordered) in order.into_iter().zip(ordered.chunks_exact(width)) {
            values[at * width..(at + 1) * width].copy_from_slice(ordered);
        }
        values
    }

    /// Rows that lie together are searched for, and searched, together.
    pub(crate) fn search<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        points: &[usize],
        queries: &[usize],
        found: &mut [Best],
    ) {
        let (order, rows) = in_order(x, queries);
        let mut ordered: Vec<Best> =
            order.iter().map(|&at| std::mem::take(&mut found[at])).collect();
        if queries == points && points.len() <= self.most() && !self.skip_most() {
            self.search_one_another(x, &rows, &mut ordered);
        } else {
            for points in points.chunks(self.most()) {
                let (_, points) = in_order(x, points);
                self.search_one_sided(x, &points, &rows, &mut ordered);
            }
        }
        order.into_iter().zip(ordered).for_each(|(at, best)| found[at] = best);
    }

    /// How many points are prepared at once.
    fn most(&self) -> usize {
        (ROUNDED / self.rounding.columns()).max(GROUP)
    }

    /// Each group of queries meets the groups of points.
    fn search_one_sided<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        points: &[usize],
        queries: &[usize],
        found: &mut [Best],
    ) {
        let groups = Group::of(&self.rounding, x, points);
        let sampled = self.sampled(x);
        parallel::map_into(found, 1, GROUP, |_, range, found| {
            let group = Group::new(&self.rounding, x, &queries[range]);
            self.seek(&group, found, &groups, &sampled);
        });
    }

    /// A group of queries meets groups of points.
    fn seek<F: Scalar>(
        &self,
        group: &Group<'_, F>,
        found: &mut [Best],
        groups: &[Group<'_, F>],
        sampled: &Group<'_, F>,
    ) {
        let mut finds = self.finds(group, found);
        if self.skip_most() {
            self.visit_all(group, &mut finds, groups);
        } else {
            self.sample(group, &mut finds, sampled);
            let mut nothing = Finds::nothing();
            for other in groups {
                self.meet((group, &mut finds), (other, &mut nothing));
            }
        }
    }

    /// For few columns: row by row, because from one row most points are farther than from a box around
    /// several; the probably nearest groups first.
    fn visit_all<F: Scalar>(
        &self,
        one: &Group<'_, F>,
        ours: &mut Finds<'_>,
        groups: &[Group<'_, F>],
    ) {
        let gap = |other| (one.between(other), other);
        let mut order: Vec<(f32, &Group<'_, F>)> = groups.iter().map(gap).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, nearest)) = order.first() {
            self.sample(one, ours, nearest);
        }
        let (rounding, mut nothing) = (&self.rounding, Finds::nothing());
        for (_, other) in order {
            let (ours, theirs) = (&mut *ours, &mut nothing);
            Arch::new().dispatch(Visit(Meeting { rounding, one, ours, other, theirs }));
        }
    }

    /// Rows that search among themselves: a product of two serves both. In each round of a tournament
    /// every group meets another one, so that the meetings of a round are independent.
    fn search_one_another<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        rows: &[usize],
        found: &mut [Best],
    ) {
        let groups = Group::of(&self.rounding, x, rows);
        let sampled = self.sampled(x);
        let members = groups.into_iter().zip(found.chunks_mut(GROUP));
        let mut groups: Vec<Seekers<'_, '_, F>> =
            members.map(|(group, found)| self.seekers(group, found)).collect();
        parallel::map_into(&mut groups, 1, 1, |_, _, groups| {
            for seekers in groups {
                let Seekers { group, finds } = seekers;
                self.sample(group, finds, &sampled);
                self.meet((group, finds), (group, &mut Finds::nothing()));
            }
        });
        // Of an odd number n of groups, those at places i and n − i meet and the first rests; then all
        // move on by one place. So two of them meet in the one round in which their places add up to n.
        if groups.len().is_multiple_of(2) {
            groups.push(self.seekers(Group::new(&self.rounding, x, &[]), &mut []));
        }
        for _ in 0..groups.len() {
            let half = groups.len() / 2;
            let (one, other) = groups[1..].split_at_mut(half);
            let mut pairs: Vec<_> = one.iter_mut().zip(other.iter_mut().rev()).collect();
            parallel::map_into(&mut pairs, 1, 1, |_, _, pairs| {
                for (one, other) in pairs {
                    let theirs = (&other.group, &mut other.finds);
                    self.meet((&one.group, &mut one.finds), theirs);
                }
            });
            groups.rotate_left(1);
        }
    }

    fn seekers<'r, 'f, F: Scalar>(
        &self,
        group: Group<'r, F>,
        found: &'f mut [Best],
    ) -> Seekers<'r, 'f, F> {
        let finds = self.finds(&group, found);
        Seekers { group, finds }
    }

    fn finds<'f, F: Scalar>(&self, group: &Group<'_, F>, found: &'f mut [Best]) -> Finds<'f> {
        let mut reach = vec![[f32::NEG_INFINITY; LANES]; group.packs()];
        for (at, best) in found.iter().enumerate() {
            reach[at / LANES][at % LANES] = self.rounding.reach(best);
        }
        let mut most = [f32::NEG_INFINITY; LANES];
        most.iter_mut().zip(&reach).for_each(|(most, reach)| *most = greatest(reach));
        Finds { reach, most, found }
    }

    /// Bounds the reach of rows by a sample of the points, so that few points are measured in vain.
    fn sample<F: Scalar>(
        &self,
        group: &Group<'_, F>,
        finds: &mut Finds<'_>,
        sample: &Group<'_, F>,
    ) {
        Arch::new().dispatch(Sampling { rounding: &self.rounding, group, finds, sample });
    }

    fn meet<F: Scalar>(
        &self,
        (one, ours): (&Group<'_, F>, &mut Finds<'_>),
        (other, theirs): (&Group<'_, F>, &mut Finds<'_>),
    ) {
        if one.packs() > 0 {
            let rounding = &self.rounding;
            Arch::new().dispatch(Meeting { rounding, one, ours, other, theirs });
        }
    }
}

impl Finds<'_> {
    /// Rows that search for nothing.
    fn nothing() -> Self {
        let (reach, most) = (vec![[f32::NEG_INFINITY; LANES]; LANES], [f32::NEG_INFINITY; LANES]);
        Self { reach, most, found: &mut [] }
    }

    #[inline(always)]
    fn renew(&mut self, pack: usize) {
        self.most[pack] = greatest(&self.reach[pack]);
    }
}

/// Runs `$work::<S, Q, V>` with as many sums as there are registers for.
macro_rules! by_registers {
    ($self:ident.$work:ident::<$S:ident>($simd:ident)) => {
        match $S::F32_LANES {
            16 => $self.$work::<$S, 16, 1>($simd),
            8 => $self.$work::<$S, 4, 2>($simd),
            4 => $self.$work::<$S, 4, 4>($simd),
            _ => $self.$work::<$S, 1, LANES>($simd),
        }
    };
}

struct Sampling<'s, 'r, 'f, 't, F> {
    rounding: &'s Rounding,
    group: &'s Group<'r, F>,
    finds: &'s mut Finds<'f>,
    sample: &'s Group<'t, F>,
}

impl<F: Scalar> WithSimd for Sampling<'_, '_, '_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_registers!(self.sample::<S>(simd));
    }
}

impl<F: Scalar> Sampling<'_, '_, '_, '_, F> {
    #[inline(always)]
    fn sample<S: Simd, const Q: usize, const V: usize>(self, simd: S) {
        let Self { rounding, group, finds, sample } = self;
        // They are all sought alike.
        let Some(k) = finds.found.first().and_then(Best::sought) else { return };
        for pack in 0..group.packs() {
            let within = group.within::<S, Q, V>(simd, pack, sample, k);
            for (reach, within) in finds.reach[pack].iter_mut().zip(within) {
                let within = rounding.widened(f64::from(within));
                // Not `min`: NaN, from numbers too large, says nothing.
                *reach = if within < *reach { within } else { *reach };
            }
            finds.renew(pack);
        }
    }
}

/// Two groups. It is compiled for the widest registers of the machine; products only rule out, so that no bit
/// depends on them.
struct Meeting<'m, 'r, 's, 'f, 't, F> {
    rounding: &'m Rounding,
    one: &'m Group<'r, F>,
    ours: &'m mut Finds<'f>,
    other: &'m Group<'s, F>,
    theirs: &'m mut Finds<'t>,
}

impl<F: Scalar> WithSimd for Meeting<'_, '_, '_, '_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        by_registers!(self.meet::<S>(simd));
    }
}

impl<F: Scalar> Meeting<'_, '_, '_, '_, '_, F> {
    #[inline(always)]
    fn meet<S: Simd, const Q: usize, const V: usize>(mut self, simd: S) {
        for pack in 0..self.one.packs() {
            let apart = self.other.boxes.apart(&self.one.boxes, pack);
            for (theirs, apart) in apart.into_iter().enumerate().take(self.other.packs()) {
                let (a, b) = (self.ours.most[pack], self.theirs.most[theirs]);
                if apart > if a > b { a } else { b } {
                    continue;
                }
                for first in (0..LANES).step_by(Q) {
                    let products =
                        self.one.products::<S, Q, V>(simd, (pack, first), self.other, theirs);
                    if self.all_ruled_out(simd, &products, (pack, first), theirs) {
                        continue;
                    }
                    for (lane, products) in (first..).zip(products) {
                        self.consider(simd, products, (pack, lane), theirs);
                    }
                }
                self.ours.renew(pack);
                self.theirs.renew(theirs);
            }
        }
    }

    /// Whether the products of `Q` rows rule out all.
    #[inline(always)]
    fn all_ruled_out<S: Simd, const Q: usize, const V: usize>(
        &self,
        simd: S,
        products: &[[S::f32s; V]; Q],
        (pack, first): (usize, usize),
        theirs: usize,
    ) -> bool {
        let own = self.ours.reach[pack][first..].iter().zip(&self.one.norms[pack][first..]);
        let (theirs, _) = S::as_simd_f32s(&self.theirs.reach[theirs]);
        let mut out = [simd.equal_f32s(simd.splat_f32s(0.0), simd.splat_f32s(0.0)); V];
        for (products, (&reach, &norm)) in products.iter().zip(own) {
            let (reach, norm) = (simd.splat_f32s(reach), simd.splat_f32s(norm));
            for ((out, &product), &theirs) in out.iter_mut().zip(products).zip(theirs) {
                let farthest = simd.sub_f32s(simd.max_f32s(reach, theirs), norm);
                *out = simd.and_m32s(*out, simd.greater_than_f32s(product, farthest));
            }
        }
        others(simd, out) == 0
    }

    /// The rows of a pack that the products of a row do not rule out, as bits.
    #[inline(always)]
    fn possible<S: Simd, const V: usize>(
        &self,
        simd: S,
        products: [S::f32s; V],
        (pack, lane): (usize, usize),
        theirs: usize,
    ) -> u32 {
        let reach = simd.splat_f32s(self.ours.reach[pack][lane]);
        let norm = simd.splat_f32s(self.one.norms[pack][lane]);
        let (theirs, _) = S::as_simd_f32s(&self.theirs.reach[theirs]);
        let mut out = [simd.equal_f32s(norm, norm); V];
        for ((out, product), &theirs) in out.iter_mut().zip(products).zip(theirs) {
            let farthest = simd.sub_f32s(simd.max_f32s(reach, theirs), norm);
            *out = simd.greater_than_f32s(product, farthest);
        }
        others(simd, out)
    }

    /// Measures those of a pack that the products of a row do not rule out.
    #[inline(always)]
    fn consider<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        products: [S::f32s; V],
        row: (usize, usize),
        theirs: usize,
    ) {
        let possible = self.possible(simd, products, row, theirs);
        if possible != 0 {
            self.measure(possible, &lanes(simd, products), row, theirs);
        }
    }

    #[inline(never)]
    fn measure(
        &mut self,
        possible: u32,
        products: &Lanes,
        (pack, lane): (usize, usize),
        their_pack: usize,
    ) {
        let Self { rounding, one, ours, other, theirs } = self;
        let at = pack * LANES + lane;
        let Some(&own) = one.rows.get(at) else { return };
        let norm = one.norms[pack][lane];
        let (best, reach) = (&mut ours.found[at], &mut ours.reach[pack][lane]);
        for their_lane in each(possible) {
            let place = their_pack * LANES + their_lane;
            let Some(&point) = other.rows.get(place) else { return };
            let their_reach = &mut theirs.reach[their_pack][their_lane];
            if ruled_out(products[their_lane], *reach, *their_reach, norm) || point == own {
                continue;
            }
            let back = theirs.found.get_mut(place);
            if !(best.admits(point) || back.as_ref().is_some_and(|back| back.admits(own))) {
                continue;
            }
            let distance = one.distance(at, other, place);
            rounding.offer(best, Place { distance, row: point }, reach);
            if let Some(back) = back {
                rounding.offer(back, Place { distance, row: own }, their_reach);
            }
        }
    }
}

/// A meeting of which each row of the first group looks for itself which packs of the other are near.
struct Visit<'m, 'r, 's, 'f, 't, F>(Meeting<'m, 'r, 's, 'f, 't, F>);

impl<F: Scalar> WithSimd for Visit<'_, '_, '_, '_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.visit::<S, 1>(simd),
            8 => self.visit::<S, 2>(simd),
            4 => self.visit::<S, 4>(simd),
            _ => self.visit::<S, LANES>(simd),
        }
    }
}

impl<F: Scalar> Visit<'_, '_, '_, '_, '_, F> {
    #[inline(always)]
    fn visit<S: Simd, const V: usize>(self, simd: S) {
        let Self(mut meeting) = self;
        let (one, other) = (meeting.one, meeting.other);
        let packs = each(one.packs_reaching::<S, V>(simd, &meeting.ours.most, other));
        for pack in packs.take_while(|&pack| pack < one.packs()) {
            let mut near = [0; LANES];
            for lane in each(one.rows_near::<S, V>(simd, pack, &meeting.ours.reach[pack], other)) {
                // Where equal rows abound, most groups hold none before those found.
                let best = meeting.ours.found.get(pack * LANES + lane);
                if best.is_some_and(|best| best.admits(other.first)) {
                    let reach = meeting.ours.reach[pack][lane];
                    near[lane] = one.packs_near::<S, V>(simd, (pack, lane), reach, other);
                }
            }
            for (lane, near) in near.into_iter().enumerate() {
                for theirs in each(near).take_while(|&theirs| theirs < other.packs()) {
                    let [products] = one.products::<S, 1, V>(simd, (pack, lane), other, theirs);
                    meeting.consider(simd, products, (pack, lane), theirs);
                }
            }
            meeting.ours.renew(pack);
        }
    }
}

/// Some rows so that those that lie together follow each other, after their places.
fn in_order<F: Scalar>(x: &ArrayView2<'_, F>, rows: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let order = arranged::<F, LANES>(x, rows, &Metric::euclidean());
    let rows = order.iter().map(|&at| rows[at]).collect();
    (order, rows)
}

#[inline(always)]
fn ruled_out(product: f32, ours: f32, theirs: f32, norm: f32) -> bool {
    // Not `max`, which also looks for NaN. NaN rules nothing out.
    product > if ours > theirs { ours } else { theirs } - norm
}
