//! How much it says that a key has a column's values.

use bastide_record::Strength;

/// What was seen of one column and one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Distinct values looked at; those that the key has; those that are no small number and longer than two characters.
    pub(crate) distinct: u64,
    pub(crate) contained: u64,
    pub(crate) telling: u64,
    /// The column's name speaks of the table.
    pub(crate) named: bool,
}

/// So many distinct values are no coincidence.
const MANY: u64 = 20;
/// Without a telling name or value, so many.
const VERY_MANY: u64 = 50;

impl Seen {
    /// `None`: it says nothing.
    pub(crate) fn strength(self) -> Option<Strength> {
        let Self { distinct, contained, telling, named } = self;
        let share = |percent: u64| distinct > 0 && contained * 100 >= distinct * percent;
        let telling = telling * 2 >= distinct;
        if !share(80) || !(named || telling && share(95)) {
            return None;
        }
        Some(match (named, telling) {
            (true, _) if share(95) && distinct >= MANY => Strength::Strong,
            (true, true) if share(95) && distinct >= 3 => Strength::Strong,
            (true, _) if share(95) => Strength::Likely,
            (false, _) if distinct >= MANY => Strength::Strong,
            (false, _) if distinct >= 3 => Strength::Likely,
            _ => Strength::Weak,
        })
    }

    /// For small numbers without a telling name: the column has nearly every value of the key, and those are many.
    /// `complete`: all its values were looked at. Whether no other key has them is for the caller to find out.
    pub(crate) fn exhausts(self, complete: bool, keys: u64) -> bool {
        complete
            && self.distinct >= VERY_MANY
            && self.contained == self.distinct
            && keys * 10 <= self.distinct * 11
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(distinct: u64, contained: u64, telling: u64, named: bool) -> Option<Strength> {
        Seen { distinct, contained, telling, named }.strength()
    }

    #[test]
    fn small_numbers_are_in_every_key() {
        assert_eq!(seen(500, 500, 0, false), None);
        assert_eq!(seen(500, 500, 0, true), Some(Strength::Strong));
        assert_eq!(seen(3, 3, 0, true), Some(Strength::Likely));
        assert_eq!(seen(100, 85, 0, true), Some(Strength::Weak));
        assert_eq!(seen(100, 79, 0, true), None);
        assert_eq!(seen(0, 0, 0, true), None);
    }

    #[test]
    fn telling_values_need_no_name() {
        assert_eq!(seen(500, 500, 500, false), Some(Strength::Strong));
        assert_eq!(seen(5, 5, 5, false), Some(Strength::Likely));
        assert_eq!(seen(1, 1, 1, false), Some(Strength::Weak));
        assert_eq!(seen(100, 94, 100, false), None);
    }

    #[test]
    fn a_column_may_use_up_a_key() {
        let all = Seen { distinct: 200, contained: 200, telling: 0, named: false };
        assert!(all.exhausts(true, 210));
        assert!(!all.exhausts(false, 210));
        assert!(!all.exhausts(true, 5_000));
        assert!(!Seen { contained: 199, ..all }.exhausts(true, 210));
        assert!(!Seen { distinct: 49, contained: 49, ..all }.exhausts(true, 49));
    }
}
