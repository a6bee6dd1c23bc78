//! Pictures: well-formed, labelled, and drawn for any predictions.

use ab_glyph::{Font, FontRef};
use imbalance::metrics::{ProbabilityScale, RankedScores, Slice, slices_by_period};
use imbalance::ndarray::Array2;
use imbalance::plot::{self, Options, Picture, Scale};
use imbalance::{Dataset, Error};
use proptest::prelude::*;

/// All pictures of some models.
fn all(names: &[String], models: &[(Vec<bool>, Vec<f64>)], options: &Options) -> Vec<Picture> {
    let ranked: Vec<RankedScores> =
        models.iter().map(|(labels, p)| RankedScores::new(labels, p, None).unwrap()).collect();
    fn named<'a, T>(names: &'a [String], parts: &'a [T]) -> Vec<(&'a str, &'a T)> {
        names.iter().map(String::as_str).zip(parts).collect()
    }
    let curves: Vec<_> = ranked.iter().map(|r| r.reliability_curve(10, 0.95).unwrap()).collect();
    let corps: Vec<_> = ranked.iter().map(|r| r.corp().unwrap()).collect();
    let roc: Vec<_> = ranked.iter().map(|r| r.roc_curve().unwrap()).collect();
    let pr: Vec<_> = ranked.iter().map(|r| r.precision_recall_curve().unwrap()).collect();
    let gain: Vec<_> = ranked.iter().map(|r| r.gain_curve().unwrap()).collect();
    let deciles: Vec<_> = ranked.iter().map(|r| r.deciles(10).unwrap()).collect();
    let histograms: Vec<_> =
        ranked.iter().map(|r| r.score_histogram(20, ProbabilityScale::Logit).unwrap()).collect();
    let slices: Vec<Vec<Slice>> = models
        .iter()
        .map(|(labels, p)| {
            let times: Vec<f64> = (0..labels.len()).map(|row| row as f64).collect();
            slices_by_period(&times, labels.len() as f64 / 3.0, labels, p, None).unwrap()
        })
        .collect();
    let slices: Vec<_> =
        names.iter().map(String::as_str).zip(slices.iter().map(|s| &s[..])).collect();
    let with = named(names, &curves).into_iter().zip(&corps).map(|((n, c), k)| (n, c, Some(k)));
    let without = named(names, &curves).into_iter().map(|(n, c)| (n, c, None));
    vec![
        plot::reliability(&with.collect::<Vec<_>>(), options).unwrap(),
        plot::reliability(&without.collect::<Vec<_>>(), options).unwrap(),
        plot::roc(&named(names, &roc), options).unwrap(),
        plot::precision_recall(&named(names, &pr), options).unwrap(),
        plot::gain(&named(names, &gain), options).unwrap(),
        plot::deciles(&named(names, &deciles), options).unwrap(),
        plot::histogram(&named(names, &histograms), options).unwrap(),
        plot::slices("day", &slices, options).unwrap(),
    ]
}

/// A rectangle of the page: left, top, right, bottom.
type Frame = [f64; 4];

/// Where a text lies, in the font of the bitmaps, which is wider than most.
fn frame(node: roxmltree::Node<'_, '_>) -> Frame {
    let font = FontRef::try_from_slice(dejavu::sans::regular()).unwrap();
    let number = |name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let (x, y, size) = (number("x"), number("y"), number("font-size"));
    let letters = node.text().unwrap_or("").trim().chars();
    let advances = letters.map(|c| font.h_advance_unscaled(font.glyph_id(c)));
    let width = size * f64::from(advances.sum::<f32>() / font.units_per_em().unwrap());
    // Letters reach from 0.76 of the size above the line they stand on to 0.24 below.
    let line = match node.attribute("dy").unwrap() {
        "0.76em" => 0.76 * size,
        "0.5ex" => 0.27 * size,
        other => panic!("{other}"),
    };
    let left = match node.attribute("text-anchor").unwrap() {
        "start" => 0.0,
        "middle" => -0.5 * width,
        "end" => -width,
        other => panic!("{other}"),
    };
    let (top, bottom) = (line - 0.76 * size, line + 0.24 * size);
    match node.attribute("transform") {
        None => [x + left, y + top, x + left + width, y + bottom],
        Some(turn) => {
            assert!(turn.starts_with("rotate(270"), "{turn}");
            [x + top, y - left - width, x + bottom, y - left]
        }
    }
}

/// The texts of a picture; fails unless it is well-formed XML with every coordinate on the page, and no
/// text lies on another.
fn texts(picture: &Picture) -> Vec<String> {
    let document = roxmltree::Document::parse(picture.svg()).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "svg");
    let page: Vec<f64> =
        root.attribute("viewBox").unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
    for node in document.descendants() {
        let points = node.attribute("points").unwrap_or("");
        for point in points.split_whitespace() {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!((0.0..=page[2]).contains(&x) && (0.0..=page[3]).contains(&y), "{point}");
        }
    }
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    let texts: Vec<(String, Frame)> =
        texts.map(|node| (node.text().unwrap_or("").trim().to_owned(), frame(node))).collect();
    for (place, (text, one)) in texts.iter().enumerate() {
        let on_page = one[0] >= 0.0 && one[1] >= 0.0 && one[2] <= page[2] && one[3] <= page[3];
        assert!(on_page || text.is_empty(), "{text:?} at {one:?} leaves the page {page:?}");
        for (other, two) in &texts[..place] {
            let apart =
                one[2] <= two[0] || two[2] <= one[0] || one[3] <= two[1] || two[3] <= one[1];
            assert!(apart, "{text:?} at {one:?} lies on {other:?} at {two:?}");
        }
    }
    texts.into_iter().map(|(text, _)| text).collect()
}

#[test]
fn precision_and_recall_are_steps() {
    // By falling score: a positive, a negative, a positive.
    let ranked = RankedScores::new(&[true, false, true], &[0.9, 0.8, 0.7], None).unwrap();
    let curve = ranked.precision_recall_curve().unwrap();
    for scale in [Scale::Linear, Scale::Logit] {
        let options = Options::default().scale(scale);
        let picture = plot::precision_recall(&[("m", &curve)], &options).unwrap();
        let document = roxmltree::Document::parse(picture.svg()).unwrap();
        let lines = document.descendants().filter(|node| node.has_tag_name("polyline"));
        let points = |node: roxmltree::Node<'_, '_>| -> Vec<(f64, f64)> {
            let points = node.attribute("points").unwrap().split_whitespace();
            let numbers = points.map(|point| point.split_once(',').unwrap());
            numbers.map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).collect()
        };
        let lines: Vec<_> = lines.map(points).collect();
        // The longest line is the curve: level at 1 to a recall of ½, then level at ⅔, as the negative
        // finds nothing. It starts at the top, also where a precision of 100 % is beyond a logit axis.
        let curve = lines.iter().max_by_key(|points| points.len()).unwrap();
        let [a, b, c, d] = curve[..] else { panic!("{curve:?}") };
        assert!(a.1 == b.1 && b.0 == c.0 && c.1 == d.1, "{curve:?}");
        assert!(c.1 > b.1 && d.0 > c.0 && b.0 > a.0, "{curve:?}");
        // Points are rounded to a tenth of a point of the page, one unit here.
        assert!((2.0 * (b.0 - a.0) - (d.0 - a.0)).abs() <= 2.0, "{curve:?}");
        let top = lines.iter().flatten().map(|point| point.1).fold(f64::INFINITY, f64::min);
        assert_eq!(a.1, top);
    }
}

#[test]
fn slices_without_positives_lie_at_the_end_of_the_axis() {
    // Ten slices that promise 50 positives; in the fourth none comes.
    let n = 50_000;
    let labels: Vec<bool> = (0..n).map(|row| row % 100 == 0 && row / 5000 != 3).collect();
    let times: Vec<f64> = (0..n).map(f64::from).collect();
    let slices = slices_by_period(&times, 5000.0, &labels, &vec![0.01; n as usize], None).unwrap();
    let picture = plot::slices("day", &[("m", &slices)], &Options::default()).unwrap();
    assert!(texts(&picture).iter().any(|text| text.contains("Hollow: none came")));
    let document = roxmltree::Document::parse(picture.svg()).unwrap();
    let markers = document.descendants().filter(|node| node.has_tag_name("polygon"));
    let hollow = markers.filter(|node| node.attribute("fill") == Some("#FFFFFF"));
    assert_eq!(hollow.count(), 1);
}

/// Nothing comes and nothing is promised.
#[test]
fn a_picture_of_nothing_but_zeros() {
    let ranked = RankedScores::new(&[false; 5], &[0.0; 5], None).unwrap();
    let (curve, corp) = (ranked.reliability_curve(10, 0.95).unwrap(), ranked.corp().unwrap());
    for scale in [Scale::Auto, Scale::Linear, Scale::Logit] {
        let options = Options::default().scale(scale);
        texts(&plot::reliability(&[("zeros", &curve, Some(&corp))], &options).unwrap());
        texts(&plot::reliability(&[("zeros", &curve, None)], &options).unwrap());
    }
}

/// Values that differ by less than the distance of ticks can be, and by more than the largest number.
#[test]
fn pictures_of_rows_at_the_ends_of_f64() {
    for unit in [5e-324, 1e-310, 1e-290, 1e308, f64::MAX / 2.0] {
        let x = Array2::from_shape_fn((12, 2), |(row, column)| {
            (((row * (column + 2)) % 5) as f64 * 0.5 - 1.0) * unit
        });
        let data = Dataset::new(&x, (0..12).map(|row| row % 3 == 0).collect::<Vec<_>>()).unwrap();
        match plot::rows(&[("rows", &data)], [0, 1], &Options::default()) {
            Ok(picture) => assert!(!picture.svg().contains("NaN") && unit < 1e307, "{unit:e}"),
            Err(error) => {
                assert!(unit >= 1e307 && matches!(error, Error::InvalidArgument { .. }), "{error}");
            }
        }
    }
}

/// Rows at a base rate of `rate`, with probabilities that are right up to the factor.
fn rows(n: usize, rate: f64, factor: f64) -> (Vec<bool>, Vec<f64>) {
    let every = (1.0 / rate) as usize;
    let p = |row: usize| (rate * factor * (0.2 + 1.6 * (row as f64 * 0.618).fract())).min(1.0);
    ((0..n).map(|row| row % every == 0).collect(), (0..n).map(p).collect())
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.into()).collect()
}

#[test]
fn pictures_are_labelled_and_show_the_rare_end() {
    let names = strings(&["a <b> & \"c\"", "second"]);
    let models = [rows(20_000, 0.001, 1.0), rows(20_000, 0.001, 10.0)];
    let pictures = all(&names, &models, &Options::default());
    let labels = [
        ["Predicted probability", "Observed rate"],
        ["Predicted probability", "Observed rate"],
        ["False positive rate", "True positive rate"],
        ["Recall", "Precision, logit scale"],
        ["Share of the rows, log scale", "Lift, log scale"],
        ["Group, highest predictions first", "Rate"],
        ["Predicted probability", "Share of the class"],
        ["day", "Predicted / observed"],
    ];
    for (picture, labels) in pictures.iter().zip(labels) {
        let texts = texts(picture);
        for label in labels.iter().chain(&["second", "a <b> & \"c\""]) {
            // The histogram and the decile bars name the models above their panels.
            assert!(texts.iter().any(|text| text == label), "{label} in {texts:?}");
        }
    }
    // At a base rate of 0.1 % the axis has ticks on both sides of it; a linear one starts at 0.
    let reliability = texts(&pictures[0]);
    assert!(reliability.contains(&"0.1 %".into()) && reliability.contains(&"1 %".into()));
    let linear = all(&names, &models, &Options::default().scale(Scale::Linear));
    assert!(texts(&linear[0]).iter().any(|text| text == "0 %" || text == "0.0 %"));
    let titled = all(&names, &models, &Options::default().title("Clicks > 3 May"));
    assert!(titled.iter().all(|picture| texts(picture).contains(&"Clicks > 3 May".into())));
}

#[test]
fn hard_cases_are_drawn() {
    let n = 1000;
    let one = |positive: usize| (0..n).map(|row| row == positive).collect::<Vec<bool>>();
    let even: Vec<f64> = (0..n).map(|row| row as f64 / n as f64).collect();
    let certain: Vec<f64> = (0..n).map(|row| f64::from(u8::from(row % 3 == 0))).collect();
    let tiny: Vec<f64> = (0..n).map(|row| 1e-300 * (1.0 + row as f64)).collect();
    let cases = [
        (one(3), vec![0.001; n]),
        (one(0), vec![0.0; n]),
        (one(0), vec![1.0; n]),
        (one(999), even.clone()),
        (one(0), even),
        (one(3), certain.clone()),
        (certain.iter().map(|&p| p == 1.0).collect(), certain),
        (one(500), tiny),
        rows(n, 0.5, 1.0),
        (vec![false, true], vec![0.5, 0.5]),
    ];
    let long = "a very long name ".repeat(100);
    let names: Vec<String> = (0..10).map(|k| format!("model {k} {long}")).collect();
    for scale in [Scale::Auto, Scale::Linear, Scale::Logit] {
        for (case, name) in cases.iter().zip(&names) {
            let name = std::slice::from_ref(name);
            for picture in all(name, std::slice::from_ref(case), &Options::default().scale(scale)) {
                assert!(!texts(&picture).is_empty());
            }
        }
    }
    // All ten in one picture; a name too long is cut.
    for picture in all(&names, &cases, &Options::default()) {
        let texts = texts(&picture);
        assert!(texts.iter().all(|text| text.chars().count() < 130), "{texts:?}");
    }
}

#[test]
fn files_are_written_by_their_ending() {
    let pictures = all(&strings(&["m"]), &[rows(2000, 0.01, 1.0)], &Options::default());
    let directory = tempfile::tempdir().unwrap();
    for (k, picture) in pictures.iter().enumerate() {
        let (svg, png) =
            (directory.path().join(format!("{k}.svg")), directory.path().join(format!("{k}.PNG")));
        picture.save(&svg).unwrap();
        picture.save(&png).unwrap();
        assert_eq!(std::fs::read_to_string(svg).unwrap(), picture.svg());
        let bytes = std::fs::read(png).unwrap();
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        // The header's width: 1440 dots.
        assert_eq!(&bytes[16..20], &1440_u32.to_be_bytes());
        let pixels =
            png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap().info().size();
        assert!(pixels.1 > 400);
    }
    let error = pictures[0].save(directory.path().join("picture.pdf")).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "path", .. }), "{error}");
    let error = pictures[0].save(directory.path().join("none/x.svg")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let error = plot::roc(&[], &Options::default()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "models", .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_predictions_are_drawn(
        rows in prop::collection::vec((any::<bool>(), prop_oneof![0.0..=1.0, Just(0.0), Just(1.0), 1e-12..1e-3]), 2..60),
        name in any::<String>(),
        scale in prop_oneof![Just(Scale::Auto), Just(Scale::Linear), Just(Scale::Logit)],
    ) {
        let (mut labels, p): (Vec<bool>, Vec<f64>) = rows.into_iter().unzip();
        (labels[0], labels[1]) = (true, false);
        for picture in all(&[name], &[(labels, p)], &Options::default().scale(scale)) {
            texts(&picture);
        }
    }
}
