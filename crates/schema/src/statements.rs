//! A script taken apart at its semicolons, for what runs outside of a transaction, and cannot be sent as one message.

/// The statements without their semicolons and the comments around them; what only comments is none.
pub(crate) fn statements(script: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut begun, mut rest) = (None, script);
    while !rest.is_empty() {
        let at = script.len() - rest.len();
        let length = token(rest);
        let piece = &rest[..length];
        rest = &rest[length..];
        if piece == ";" {
            found.extend(begun.take().map(|begun| script[begun..at].trim_end()));
        } else if begun.is_none()
            && !piece.starts_with("--")
            && !piece.starts_with("/*")
            && !piece.trim().is_empty()
        {
            begun = Some(at);
        }
    }
    found.extend(begun.map(|begun| script[begun..].trim_end()));
    found
}

/// The first word that begins or ends a transaction, which a migration leaves to whoever runs it.
pub(crate) fn transaction_control(script: &str) -> Option<String> {
    const WORDS: [&str; 9] =
        ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "PREPARE"];
    let first = |statement: &str| {
        let word: String = statement.chars().take_while(char::is_ascii_alphabetic).collect();
        word.to_ascii_uppercase()
    };
    statements(script).into_iter().map(first).find(|word| WORDS.contains(&word.as_str()))
}

/// The length of what stands first and must not be cut: a string, a quoted name, a body, a comment, else one character.
fn token(text: &str) -> usize {
    let ends = |opening: usize, closing: &str| {
        text[opening..].find(closing).map_or(text.len(), |at| opening + at + closing.len())
    };
    let mut chars = text.chars();
    let first = chars.next().map_or(0, char::len_utf8);
    match text.as_bytes() {
        [b'-', b'-', ..] => ends(2, "\n"),
        [b'/', b'*', ..] => comment(text),
        [b'\'', ..] => ends(1, "'"),
        [b'"', ..] => ends(1, "\""),
        [b'E' | b'e', b'\'', ..] => escaped(text),
        [b'$', ..] => match dollar_tag(text) {
            Some(tag) => ends(tag.len(), tag),
            None => 1,
        },
        // A word as a whole, so that its last letter is not read as the E of a string.
        [letter, ..] if letter.is_ascii_alphanumeric() || *letter == b'_' => {
            text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len())
        }
        _ => first,
    }
}

/// Comments nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn escaped(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 2;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn dollar_tag(text: &str) -> Option<&str> {
    let end = text[1..].find('$')? + 2;
    let name = &text[1..end - 1];
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (plain && !name.starts_with(|c: char| c.is_ascii_digit())).then(|| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_inside_something_ends_nothing() {
        let script = "-- first; a comment\nSELECT ';', E'\\';', \"a;b\" /* ; /* ; */ ; */;\n\
                      CREATE FUNCTION f() AS $do$ BEGIN; x := $1; END; $do$;\nSELECT $1;;\nSELECT NAME'a;b'\n-- the end; really\n";
        assert_eq!(
            statements(script),
            [
                "SELECT ';', E'\\';', \"a;b\" /* ; /* ; */ ; */",
                "CREATE FUNCTION f() AS $do$ BEGIN; x := $1; END; $do$",
                "SELECT $1",
                "SELECT NAME'a;b'\n-- the end; really",
            ]
        );
        assert!(statements("-- nothing;\n/* ; */ ;").is_empty());
    }

    #[test]
    fn what_ends_a_transaction_is_seen_and_a_body_that_does_is_not() {
        assert_eq!(transaction_control("SELECT 1; commit; SELECT 2").as_deref(), Some("COMMIT"));
        assert_eq!(transaction_control("DO $$ BEGIN PERFORM 1; END $$; SELECT 'COMMIT'"), None);
    }
}
