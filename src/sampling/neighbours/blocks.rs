//! Blocked products for dense rows of many columns.

use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

use super::arrange::arranged;
use super::groups::{GROUP, Group, LANES, Lanes, each, greatest, lanes, others};
use super::rounding::Rounding;
use super::{Best, Metric, Place};
use crate::data::Scalar;
use crate::parallel;

/// Most numbers of points prepared at once: 8 MiB of rounded ones, and up to 16 MiB as they are.
const ROUNDED: usize = 1 << 21;

/// Up to this many columns each query looks for its own packs. With more, most packs are as near as the nearest
/// rows, and one product that serves both of its rows is better (20,000 and 50,000 rows, measured).
const FEW_COLUMNS: usize = 10;

#[derive(Debug)]
pub(super) struct Blocks {
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

/// Rows that search together.
struct Seekers<'r, 'f, F> {
    group: Group<'r, F>,
    finds: Finds<'f>,
}

impl Blocks {
    pub(super) fn new<F: Scalar>(x: &ArrayView2<'_, F>, points: &[usize]) -> Self {
        let (rounding, central) = Rounding::new(x, points);
        Self { rounding, central }
    }

    /// Whether a query skips most points, because there are few columns.
    pub(super) fn skip_most(&self) -> bool {
        self.rounding.columns() <= FEW_COLUMNS
    }

    /// Some points among which most queries have near ones, if there are such.
    pub(super) fn central(&self) -> &[usize] {
        if self.skip_most() { &[] } else { &self.central }
    }

    /// The most central group.
    fn sampled<F: Scalar>(&self, x: &ArrayView2<'_, F>) -> Group<'_, F> {
        Group::new(&self.rounding, x, &self.central[..GROUP.min(self.central.len())])
    }

    /// Rows that lie together are searched for, and searched, together.
    pub(super) fn search<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        points: &[usize],
        queries: &[usize],
        found: &mut [Best],
    ) {
        let order = arranged::<F, LANES>(x, queries, &Metric::euclidean());
        let rows: Vec<usize> = order.iter().map(|&at| queries[at]).collect();
        let mut ordered: Vec<Best> =
            order.iter().map(|&at| std::mem::take(&mut found[at])).collect();
        let most = (ROUNDED / x.ncols()).max(GROUP);
        let themselves = queries == points && points.len() <= most;
        if themselves && !self.skip_most() {
            self.search_one_another(x, &rows, &mut ordered);
        } else if themselves {
            self.search_one_sided(x, &rows, &rows, &mut ordered);
        } else {
            for points in points.chunks(most) {
                let order = arranged::<F, LANES>(x, points, &Metric::euclidean());
                let points: Vec<usize> = order.iter().map(|&at| points[at]).collect();
                self.search_one_sided(x, &points, &rows, &mut ordered);
            }
        }
        order.into_iter().zip(ordered).for_each(|(at, best)| found[at] = best);
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
            let mut seekers = self.seekers(group, found);
            if self.skip_most() {
                self.visit_all(&mut seekers, &groups);
            } else {
                self.sample(&mut seekers, &sampled);
                self.meet_all(&mut seekers, &groups);
            }
        });
    }

    /// For many columns: pack by pack.
    fn meet_all<F: Scalar>(&self, seekers: &mut Seekers<'_, '_, F>, groups: &[Group<'_, F>]) {
        let Seekers { group, finds } = seekers;
        let mut nothing = Finds::nothing();
        for other in groups {
            self.meet((group, finds), (other, &mut nothing));
        }
    }

    /// For few columns: row by row, because from one row most points are farther than from a box around
    /// several; the probably nearest groups first.
    fn visit_all<F: Scalar>(&self, seekers: &mut Seekers<'_, '_, F>, groups: &[Group<'_, F>]) {
        let gap = |other| (seekers.group.between(other), other);
        let mut order: Vec<(f32, &Group<'_, F>)> = groups.iter().map(gap).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, nearest)) = order.first() {
            self.sample(seekers, nearest);
        }
        let Seekers { group: one, finds } = seekers;
        let mut nothing = Finds::nothing();
        for (_, other) in order {
            if one.apart(other) > greatest(&finds.most) {
                continue;
            }
            let (ours, theirs) = (&mut *finds, &mut nothing);
            let rounding = &self.rounding;
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
                self.sample(seekers, &sampled);
                let Seekers { group, finds } = seekers;
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
        let mut reach = vec![[f32::NEG_INFINITY; LANES]; group.packs()];
        for (at, best) in found.iter().enumerate() {
            reach[at / LANES][at % LANES] = self.rounding.reach(best);
        }
        let mut most = [f32::NEG_INFINITY; LANES];
        most.iter_mut().zip(&reach).for_each(|(most, reach)| *most = greatest(reach));
        Seekers { group, finds: Finds { reach, most, found } }
    }

    /// Bounds the reach of rows by a sample of the points, so that few points are measured in vain.
    fn sample<F: Scalar>(&self, seekers: &mut Seekers<'_, '_, F>, sample: &Group<'_, F>) {
        Arch::new().dispatch(Sampling { rounding: &self.rounding, seekers, sample });
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
    seekers: &'s mut Seekers<'r, 'f, F>,
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
        let Seekers { group, finds } = self.seekers;
        // They are all sought alike.
        let Some(k) = finds.found.first().and_then(Best::sought) else { return };
        for pack in 0..group.packs() {
            let within = group.within::<S, Q, V>(simd, pack, self.sample, k);
            for (reach, within) in finds.reach[pack].iter_mut().zip(within) {
                let within = self.rounding.widened(f64::from(within));
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
                        self.consider(&lanes(simd, products), (pack, lane), theirs);
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

    /// Measures those of a pack that are not ruled out.
    #[inline(always)]
    fn consider(&mut self, products: &Lanes, (pack, lane): (usize, usize), theirs: usize) {
        let (reach, norm) = (self.ours.reach[pack][lane], self.one.norms[pack][lane]);
        // Without branches (`&`, not `&&`), so that lanes are compared at once.
        let points = products.iter().zip(&self.theirs.reach[theirs]);
        let all_ruled_out = points
            .fold(true, |all, (&product, &theirs)| all & ruled_out(product, reach, theirs, norm));
        if !all_ruled_out {
            self.measure(products, (pack, lane), theirs);
        }
    }

    #[inline(never)]
    fn measure(&mut self, products: &Lanes, (pack, lane): (usize, usize), their_pack: usize) {
        let Self { rounding, one, ours, other, theirs } = self;
        let at = pack * LANES + lane;
        let Some(&own) = one.rows.get(at) else { return };
        let norm = one.norms[pack][lane];
        let (best, reach) = (&mut ours.found[at], &mut ours.reach[pack][lane]);
        let points = other.rows.iter().enumerate().skip(their_pack * LANES);
        let reaches = &mut theirs.reach[their_pack];
        for (((place, &point), &product), their_reach) in points.zip(products).zip(reaches) {
            if ruled_out(product, *reach, *their_reach, norm) || point == own {
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
        for pack in 0..one.packs() {
            let reach = &meeting.ours.reach[pack];
            for lane in each(one.rows_near::<S, V>(simd, pack, reach, other)) {
                // Where equal rows abound, most groups hold none before those found.
                let best = meeting.ours.found.get(pack * LANES + lane);
                if !best.is_some_and(|best| best.admits(other.first)) {
                    continue;
                }
                let reach = meeting.ours.reach[pack][lane];
                let near = one.packs_near::<S, V>(simd, (pack, lane), reach, other);
                for theirs in each(near).take_while(|&theirs| theirs < other.packs()) {
                    let [products] = one.products::<S, 1, V>(simd, (pack, lane), other, theirs);
                    meeting.consider(&lanes(simd, products), (pack, lane), theirs);
                }
            }
            meeting.ours.renew(pack);
        }
    }
}

#[inline(always)]
fn ruled_out(product: f32, ours: f32, theirs: f32, norm: f32) -> bool {
    // Not `max`, which also looks for NaN. NaN rules nothing out.
    product > if ours > theirs { ours } else { theirs } - norm
}
