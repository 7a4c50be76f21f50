//! How a shop looks.

use std::fmt;

use bastide_tenancy::Row;

use super::Columns;
use crate::Error;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storefront {
    pub accent: Option<Accent>,
    pub tagline: Option<String>,
}

/// A colour, `#rrggbb` and nothing else: it ends up in a style sheet, so it must not be able to say anything more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent([u8; 3]);

impl Accent {
    /// Reads `#rgb` and `#rrggbb`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix('#')?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        match digits.len() {
            6 => Some(Self([red, green, blue])),
            3 => {
                let short = |shift: u32| u8::try_from((number >> shift) & 0xf).ok().map(|digit| digit * 17);
                Some(Self([short(8)?, short(4)?, short(0)?]))
            }
            _ => None,
        }
    }

    /// Whether dark text reads better on it than white (relative luminance, WCAG 2).
    #[must_use]
    pub fn wants_dark_text(self) -> bool {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0;
        let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        luminance > 0.179
    }
}

impl fmt::Display for Accent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl TryFrom<&Row> for Storefront {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let columns = Columns { entity: "storefront", row };
        let theme: Option<serde_json::Value> = columns.get("theme")?;
        let word = |names: &[&str]| {
            let theme = theme.as_ref()?;
            names.iter().find_map(|name| theme.get(name)?.as_str()).map(str::to_owned)
        };
        Ok(Self {
            accent: word(&["accent", "accent_colour", "accent_color"]).and_then(|text| Accent::parse(&text)),
            tagline: word(&["tagline"]).filter(|text| !text.trim().is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_colour_reaches_the_style_sheet() {
        let read = |text: &str| Accent::parse(text).map(|accent| accent.to_string());
        assert_eq!(read("#0a7"), Some("#00aa77".to_owned()));
        assert_eq!(read(" #0AA77f "), Some("#0aa77f".to_owned()));
        for text in ["red", "#12345", "#+12345", "#fff;}body{display:none", "url(x)", "#", "#éé"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn text_on_the_accent_stays_readable() {
        assert!(Accent::parse("#ffd400").unwrap().wants_dark_text());
        assert!(!Accent::parse("#1d3557").unwrap().wants_dark_text());
    }
}
