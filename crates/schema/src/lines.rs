//! The file `isolate`: of each table that a migration makes, one line that says how it is kept apart.
//!
//! `public.variants tenant_id` · `public.variants tenant_id legacy keys` · `public.merchants root id` · `public.units shared read` ·
//! `public.jobs closed`. A table is named as everywhere; `#` begins a comment.

use bastide_plan::isolate::Treatment;
use bastide_sql::{Ident, QualifiedName};

/// What of a line is not understood.
pub(crate) fn parse(text: &str) -> Result<Vec<(QualifiedName, Treatment)>, String> {
    let mut tables: Vec<(QualifiedName, Treatment)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let words = words(line.split('#').next().unwrap_or_default());
        let Some((name, treatment)) = words.split_first() else { continue };
        let wrong = |why: String| format!("line {}: {why}", at + 1);
        let name: QualifiedName = name.parse().map_err(|error| wrong(format!("{error}")))?;
        let column = |text: &str| {
            let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            let column = plain.map_or_else(|| text.to_owned(), |text| text.replace("\"\"", "\""));
            Ident::new(column).map_err(|error| wrong(error.to_string()))
        };
        let words: Vec<&str> = treatment.iter().map(String::as_str).collect();
        let treatment = match words.as_slice() {
            ["closed"] => Treatment::Closed,
            ["shared", "read"] => Treatment::Shared,
            ["root", key] => Treatment::Root(column(key)?),
            // Half of what is said with two words; a column of such a name is quoted.
            [tenant] if !["shared", "root"].contains(tenant) => {
                Treatment::Scoped { column: column(tenant)?, legacy_keys: false }
            }
            [tenant, "legacy", "keys"] => Treatment::Scoped { column: column(tenant)?, legacy_keys: true },
            _ => {
                return Err(wrong(format!(
                    "`{}` is no way to keep {name} apart; write its tenant column, `shared read` or `closed`",
                    words.join(" ")
                )));
            }
        };
        if tables.iter().any(|(known, _)| *known == name) {
            return Err(wrong(format!("{name} is named twice")));
        }
        tables.push((name, treatment));
    }
    Ok(tables)
}

/// Separated by blanks, but for those in double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        quoted ^= c == '"';
        if c.is_whitespace() && !quoted {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else {
            word.push(c);
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_meant() {
        let text = "# a comment\n\npublic.merchants root id\npublic.\"Order Notes\" \"Tenant\"  # late\n\
                    public.orders merchant_id legacy keys\npublic.units shared read\n\"My Jobs\".x closed";
        let read: Vec<String> = parse(text)
            .unwrap()
            .into_iter()
            .map(|(name, treatment)| format!("{name} {treatment:?}"))
            .collect();
        insta::assert_snapshot!(read.join("\n"), @r#"
    public.merchants Root(id)
    public."Order Notes" Scoped { column: "Tenant", legacy_keys: false }
    public.orders Scoped { column: merchant_id, legacy_keys: true }
    public.units Shared
    "My Jobs".x Closed
    "#);
    }

    #[test]
    fn a_line_that_says_nothing_clear_is_refused() {
        let said = |text: &str| parse(text).unwrap_err();
        insta::assert_snapshot!(
            ["variants tenant_id", "public.variants", "public.variants shared", "\npublic.a closed\npublic.a x"].map(said).join("\n"),
            @"
    line 1: `variants` does not name a schema; write it as `schema.name`, for example `public.variants`
    line 1: `` is no way to keep public.variants apart; write its tenant column, `shared read` or `closed`
    line 1: `shared` is no way to keep public.variants apart; write its tenant column, `shared read` or `closed`
    line 3: public.a is named twice
    "
        );
    }
}
