//! What a cart costs: integer minor units, nothing rounded, and no sum that silently wraps.

use std::num::NonZeroU32;

/// One thing, so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub unit: i64,
    pub quantity: NonZeroU32,
}

/// In minor units of the shop's one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    pub subtotal: i64,
    /// Free, until there are rules.
    pub shipping: i64,
    /// None, until there are rules.
    pub tax: i64,
    pub total: i64,
}

/// The sum is more than there is money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amounts add up to more than can be counted")]
pub struct TooMuch;

impl Line {
    /// # Errors
    /// When it is more than can be counted, or the price is negative.
    pub fn total(self) -> Result<i64, TooMuch> {
        if self.unit < 0 {
            return Err(TooMuch);
        }
        self.unit.checked_mul(i64::from(self.quantity.get())).ok_or(TooMuch)
    }
}

/// The one place where shipping and tax come in.
///
/// # Errors
/// When it is more than can be counted.
pub fn totals(lines: impl IntoIterator<Item = Line>) -> Result<Totals, TooMuch> {
    let mut subtotal = 0_i64;
    for line in lines {
        subtotal = subtotal.checked_add(line.total()?).ok_or(TooMuch)?;
    }
    let (shipping, tax) = (0, 0);
    let total = [shipping, tax].into_iter().try_fold(subtotal, i64::checked_add).ok_or(TooMuch)?;
    Ok(Totals { subtotal, shipping, tax, total })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line() -> impl Strategy<Value = Line> {
        let unit = prop_oneof![4 => 0_i64..100_000, 1 => any::<i64>()];
        (unit, 1_u32..=999)
            .prop_map(|(unit, quantity)| Line { unit, quantity: NonZeroU32::new(quantity).unwrap() })
    }

    proptest! {
        #[test]
        fn a_total_is_the_sum_of_its_lines_or_refused(lines in prop::collection::vec(line(), 0..100)) {
            let negative = lines.iter().any(|line| line.unit < 0);
            // Where nothing can overflow.
            let sum: i128 = lines.iter().map(|line| i128::from(line.unit) * i128::from(line.quantity.get())).sum();
            match totals(lines) {
                Ok(totals) => {
                    prop_assert!(!negative);
                    prop_assert_eq!(i128::from(totals.subtotal), sum);
                    prop_assert_eq!(totals.total, totals.subtotal + totals.shipping + totals.tax);
                }
                Err(TooMuch) => prop_assert!(negative || sum > i128::from(i64::MAX)),
            }
        }
    }

    #[test]
    fn nothing_costs_nothing_and_too_much_is_said() {
        let line = |unit| Line { unit, quantity: NonZeroU32::new(2).unwrap() };
        assert_eq!(totals([]).unwrap().total, 0);
        assert_eq!(totals([line(i64::MAX / 2), line(1)]), Err(TooMuch));
        assert_eq!(totals([line(i64::MAX)]), Err(TooMuch));
    }
}
