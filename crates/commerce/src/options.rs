//! What a product's variants differ in.

use std::collections::{BTreeMap, BTreeSet};

use crate::rows::ProductOption;

/// Which of the variants (by their place) do not fit the options: a value is missing, or none of the option's, or there is an option the product
/// does not have, or another variant before has all the same values.
#[must_use]
pub fn misfits<'a>(
    options: &[ProductOption],
    variants: impl IntoIterator<Item = &'a BTreeMap<String, String>>,
) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let fits = |chosen: &BTreeMap<String, String>| {
        chosen.len() == options.len()
            && options
                .iter()
                .all(|option| chosen.get(&option.name).is_some_and(|value| option.values.contains(value)))
    };
    let each = variants.into_iter().enumerate();
    each.filter(|(_, chosen)| !fits(chosen) || !seen.insert(*chosen)).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variant_has_one_value_of_each_option_and_no_two_the_same() {
        let option = |name: &str, values: &[&str]| ProductOption {
            name: name.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let chosen = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let options = [option("Size", &["S", "M"]), option("Colour", &["red"])];
        let fine = [chosen(&[("Size", "S"), ("Colour", "red")]), chosen(&[("Size", "M"), ("Colour", "red")])];
        assert!(misfits(&options, &fine).is_empty());
        assert_eq!(misfits(&options, &[fine[0].clone(), fine[0].clone()]), [1]);
        for wrong in [
            &[("Size", "S")][..],
            &[("Size", "L"), ("Colour", "red")],
            &[("size", "S"), ("Colour", "red")],
            &[("Size", "S"), ("Colour", "red"), ("Fit", "wide")],
        ] {
            assert_eq!(misfits(&options, &[chosen(wrong)]), [0], "{wrong:?}");
        }
        assert!(misfits(&[], &[chosen(&[])]).is_empty());
        assert_eq!(misfits(&[], &[chosen(&[]), chosen(&[])]), [1], "two that nothing tells apart");
    }
}
