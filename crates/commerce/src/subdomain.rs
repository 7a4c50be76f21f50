//! The name of a shop in addresses: a DNS label that cannot be taken for one of ours.

/// Why a text is no slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlugFault {
    TooShort,
    TooLong,
    /// Something else than a-z, 0-9 and single hyphens within.
    Malformed,
    /// It is, or looks like, a word the platform needs.
    Reserved,
}

const SHORTEST: usize = 3;
/// Of a DNS label.
const LONGEST: usize = 63;

/// Words that address the platform itself, that mail and certificates rely on, or that a fraud would like to have.
const RESERVED: [&str; 58] = [
    "about",
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "api",
    "app",
    "assets",
    "auth",
    "autoconfig",
    "autodiscover",
    "bastide",
    "billing",
    "blog",
    "canary",
    "cdn",
    "checkout",
    "dashboard",
    "demo",
    "docs",
    "ftp",
    "health",
    "help",
    "hostmaster",
    "imap",
    "legal",
    "localhost",
    "login",
    "mail",
    "media",
    "merchant",
    "metrics",
    "mta-sts",
    "news",
    "official",
    "operator",
    "pay",
    "payment",
    "payments",
    "pop",
    "postmaster",
    "quarantine",
    "root",
    "sales",
    "security",
    "shop",
    "signup",
    "smtp",
    "static",
    "status",
    "store",
    "storefront",
    "support",
    "system",
    "tenant",
    "webmaster",
    "www",
];

/// # Errors
/// With what is wrong first.
pub fn check(text: &str) -> Result<(), SlugFault> {
    if text.len() < SHORTEST {
        return Err(SlugFault::TooShort);
    }
    if text.len() > LONGEST {
        return Err(SlugFault::TooLong);
    }
    let plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    // Two hyphens are how other scripts are written (xn--), and how a label is made to look like two.
    if !plain || text.starts_with('-') || text.ends_with('-') || text.contains("--") {
        return Err(SlugFault::Malformed);
    }
    let looks = skeleton(text);
    if RESERVED.iter().any(|word| skeleton(word) == looks) { Err(SlugFault::Reserved) } else { Ok(()) }
}

/// What might be meant: free of faults, and not yet known to be free.
#[must_use]
pub fn suggestions(text: &str) -> Vec<String> {
    let mut base = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            base.push(c);
        } else if !base.is_empty() && !base.ends_with('-') {
            base.push('-');
        }
    }
    base.truncate(LONGEST - "-online".len());
    let base = base.trim_end_matches('-');
    if base.is_empty() {
        return Vec::new();
    }
    let ends = ["", "-shop", "-store", "-online", "-2", "-3", "-4", "-5"];
    let whole = ends.iter().map(|end| format!("{base}{end}"));
    whole.filter(|slug| slug != text && check(slug).is_ok()).collect()
}

/// Letters that are read for one another are one, and hyphens are not seen.
fn skeleton(text: &str) -> String {
    let mut looks = text.replace('-', "");
    for (seen, read) in [("0", "o"), ("1", "l"), ("i", "l"), ("3", "e"), ("5", "s"), ("rn", "m"), ("vv", "w")]
    {
        looks = looks.replace(seen, read);
    }
    looks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_label_of_its_own() {
        for fine in ["lagoon", "lagoon-and-sons", "a1b", "7-days", &"a".repeat(63)] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (text, fault) in [
            ("ab", SlugFault::TooShort),
            ("", SlugFault::TooShort),
            ("-ab", SlugFault::Malformed),
            ("ab-", SlugFault::Malformed),
            ("xn--lgoon-gra", SlugFault::Malformed),
            ("Lagoon", SlugFault::Malformed),
            ("lagoön", SlugFault::Malformed),
            ("lаgoon", SlugFault::Malformed),
            ("lagoon\u{200b}", SlugFault::Malformed),
            ("la.goon", SlugFault::Malformed),
            ("canary/x", SlugFault::Malformed),
            ("www", SlugFault::Reserved),
            ("adm1n", SlugFault::Reserved),
            ("admin-istrator", SlugFault::Reserved),
            ("supp0rt", SlugFault::Reserved),
            ("vvww", SlugFault::Reserved),
            ("adrnin", SlugFault::Reserved),
        ] {
            assert_eq!(check(text), Err(fault), "{text}");
        }
        assert_eq!(check(&"a".repeat(64)), Err(SlugFault::TooLong));
    }

    #[test]
    fn what_is_suggested_can_be_taken() {
        assert_eq!(suggestions("Lagoon & Sons!")[..2], ["lagoon-sons", "lagoon-sons-shop"]);
        assert!(
            !suggestions("admin").is_empty() && suggestions("ñ").is_empty() && suggestions("").is_empty()
        );
        for text in ["lagoon", "a", "admin", "x".repeat(200).as_str(), "--", "a--b", "Ünï cödé"] {
            for slug in suggestions(text) {
                assert!(check(&slug).is_ok() && slug != text, "{slug}");
            }
        }
    }
}
