//! The name of a thing in an address.

use std::fmt;

/// `a-z`, `0-9` and single hyphens between them: nothing that looks like something else, climbs a path or needs escaping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slug(String);

impl Slug {
    pub const MAX_BYTES: usize = 100;
    /// For documents and messages.
    pub const PATTERN: &'static str = "^[a-z0-9]+(-[a-z0-9]+)*$";

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        (text.len() <= Self::MAX_BYTES && text.split('-').all(word)).then(|| Self(text.to_owned()))
    }

    /// What a name suggests. Letters of other scripts are left out; a name of nothing else suggests `otherwise`.
    #[must_use]
    pub fn suggested_by(name: &str, otherwise: &'static str) -> Self {
        let mut slug = String::new();
        for c in name.chars().flat_map(char::to_lowercase) {
            let plain: &str = match c {
                'ä' | 'æ' => "ae",
                'ö' | 'ø' | 'œ' => "oe",
                'ü' => "ue",
                'ß' => "ss",
                'à' | 'á' | 'â' | 'ã' | 'å' | 'ą' => "a",
                'ç' | 'ć' | 'č' => "c",
                'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => "e",
                'ì' | 'í' | 'î' | 'ï' => "i",
                'ł' => "l",
                'ñ' | 'ń' => "n",
                'ò' | 'ó' | 'ô' | 'õ' => "o",
                'ù' | 'ú' | 'û' => "u",
                'ř' => "r",
                'ś' | 'š' => "s",
                'ý' | 'ÿ' => "y",
                'ź' | 'ż' | 'ž' => "z",
                'a'..='z' | '0'..='9' => {
                    slug.push(c);
                    continue;
                }
                '\'' | '’' => continue,
                _ if slug.is_empty() || slug.ends_with('-') => continue,
                _ => "-",
            };
            slug.push_str(plain);
        }
        // Room for the number that tells it from another of the same name.
        slug.truncate(Self::MAX_BYTES - 8);
        let slug = slug.trim_end_matches('-');
        Self(if slug.is_empty() { otherwise.to_owned() } else { slug.to_owned() })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_holds_nothing_that_could_be_taken_for_something_else() {
        for text in ["net-1", "a", "2024-net", &"a".repeat(100)] {
            assert_eq!(Slug::parse(text).map(|slug| slug.to_string()).as_deref(), Some(text));
        }
        let long = "a".repeat(101);
        for text in [
            "",
            "-",
            "a-",
            "-a",
            "a--b",
            "A",
            "a b",
            "a/b",
            "..",
            "a.b",
            "a_b",
            "a%2e",
            "a\0",
            "a\n",
            "а",
            "ｎet",
            "nеt",
            "a\u{200b}",
            "é",
            "\u{202e}ten",
            &long,
        ] {
            assert_eq!(Slug::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_name_suggests_a_slug() {
        let of = |name: &str| Slug::suggested_by(name, "product").to_string();
        assert_eq!(of("  Grüße aus Łódź's Café, No. 7! "), "gruesse-aus-lodzs-cafe-no-7");
        assert_eq!(of("Fisherman's net"), "fishermans-net");
        for name in ["", "日本", "---", "🧶"] {
            assert_eq!(of(name), "product", "{name}");
        }
        for name in ["A".repeat(500), "ß".repeat(90), "a-".repeat(99)] {
            assert!(Slug::parse(&of(&name)).is_some(), "{name}");
        }
    }
}
