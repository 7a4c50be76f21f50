//! One number and what it is measured against.

use std::fmt::Write;

use serde::Serialize;

/// The larger `ratio`, the better for Bastide; 1 is as good as the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Measurement {
    /// Stable from release to release.
    pub(crate) name: String,
    /// reference ÷ value, the median of the repetitions; of a rate value ÷ reference.
    pub(crate) ratio: f64,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) reference: f64,
    /// Largest ratio less smallest, as a part of the median; null when there was one repetition.
    pub(crate) spread: Option<f64>,
}

impl Measurement {
    /// Of pairs (Bastide's, reference's), one per repetition; less is better.
    pub(crate) fn of(name: String, unit: &'static str, pairs: &[(f64, f64)]) -> Self {
        Self::by(|value, reference| reference / value, name, unit, pairs)
    }

    /// The same where more is better.
    pub(crate) fn rate(name: String, unit: &'static str, pairs: &[(f64, f64)]) -> Self {
        Self::by(|value, reference| value / reference, name, unit, pairs)
    }

    fn by(ratio: fn(f64, f64) -> f64, name: String, unit: &'static str, pairs: &[(f64, f64)]) -> Self {
        let mut ratios: Vec<f64> = pairs.iter().map(|(value, reference)| ratio(*value, *reference)).collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = median(ratios.iter().copied());
        let spread = match ratios.as_slice() {
            [] | [_] => None,
            [least, .., most] => Some((most - least) / ratio),
        };
        let value = median(pairs.iter().map(|(value, _)| *value));
        let reference = median(pairs.iter().map(|(_, reference)| *reference));
        Self { name, ratio, value, unit, reference, spread }
    }
}

/// Of nothing, NaN.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[at],
        _ => f64::midpoint(values[at - 1], values[at]),
    }
}

pub(crate) fn table(measurements: &[Measurement]) -> String {
    let width = measurements.iter().map(|m| m.name.len()).max().unwrap_or(0).max(4);
    let mut out = format!(
        "{:width$}  {:>7}  {:>10}  {:>10}  {:<3}  {:>6}\n",
        "", "ratio", "Bastide", "reference", "", "spread"
    );
    for m in measurements {
        let spread = m.spread.map_or_else(|| "-".to_owned(), |spread| format!("{:.0} %", spread * 100.0));
        // Writing to a string cannot fail.
        writeln!(
            out,
            "{:width$}  {:>7.2}  {:>10.2}  {:>10.2}  {:<3}  {:>6}",
            m.name, m.ratio, m.value, m.reference, m.unit, spread
        )
        .unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_ratios_and_the_spread_is_relative_to_it() {
        let m = Measurement::of("a.b".to_owned(), "s", &[(10.0, 5.0), (8.0, 6.0), (5.0, 5.0)]);
        assert_eq!((m.ratio, m.value, m.reference), (0.75, 8.0, 5.0));
        assert_eq!(m.spread, Some((1.0 - 0.5) / 0.75));
        assert_eq!(Measurement::of("a".to_owned(), "s", &[(4.0, 2.0)]).spread, None);
        assert_eq!(Measurement::rate("a".to_owned(), "/s", &[(3.0, 4.0)]).ratio, 0.75);
        assert_eq!(median([1.0, 4.0, 3.0, 2.0].into_iter()), 2.5);
    }

    #[test]
    fn people_and_tools_read_the_same_numbers() {
        let all = [
            Measurement::of("legacy.one_hop".to_owned(), "s", &[(4.0, 2.0), (5.0, 2.0)]),
            Measurement::of("x".to_owned(), "MB", &[(20.0, 20.0)]),
        ];
        insta::assert_snapshot!(table(&all), @r"
                          ratio     Bastide   reference       spread
        legacy.one_hop     0.45        4.50        2.00  s      22 %
        x                  1.00       20.00       20.00  MB        -
        ");
        insta::assert_snapshot!(serde_json::to_string(&all).unwrap(), @r#"[{"name":"legacy.one_hop","ratio":0.45,"value":4.5,"unit":"s","reference":2.0,"spread":0.22222222222222215},{"name":"x","ratio":1.0,"value":20.0,"unit":"MB","reference":20.0,"spread":null}]"#);
    }
}
