//! An amount of money, in integer minor units.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Never a float: 1999 `EUR` is 19.99 €, 1999 `JPY` is ¥1999.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// In the currency's minor unit.
    #[schema(example = 1999)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$", example = "EUR")]
    pub currency: String,
}

impl Money {
    /// Digits after the decimal point (ISO 4217, the currencies that do not have two).
    fn exponent(&self) -> u32 {
        match self.currency.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND"
            | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }
}

/// For people: `€19.99`, `-$5.00`, `CHF 12.00`, `¥1999`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amount < 0 {
            f.write_str("-")?;
        }
        match self.currency.as_str() {
            "EUR" => f.write_str("€")?,
            "USD" => f.write_str("$")?,
            "GBP" => f.write_str("£")?,
            "JPY" => f.write_str("¥")?,
            other => write!(f, "{other} ")?,
        }
        let (amount, exponent) = (self.amount.unsigned_abs(), self.exponent());
        let unit = 10_u64.pow(exponent);
        write!(f, "{}", amount / unit)?;
        if exponent > 0 {
            write!(f, ".{:0width$}", amount % unit, width = exponent as usize)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_the_minor_units_of_the_currency() {
        let shown = |amount, currency: &str| Money { amount, currency: currency.to_owned() }.to_string();
        assert_eq!(shown(1999, "EUR"), "€19.99");
        assert_eq!(shown(-5, "USD"), "-$0.05");
        assert_eq!(shown(1999, "JPY"), "¥1999");
        assert_eq!(shown(1005, "KWD"), "KWD 1.005");
        assert_eq!(shown(i64::MIN, "CHF"), "-CHF 92233720368547758.08");
    }
}
