//! Code that a new column would break. Where the server keeps it as a tree the answer is certain, and a question; of text
//! that only its language can read, words are looked for, and a note says that it *may* break.
//!
//! Views and rules are safe: the server spelt out their stars, and the columns of their natural joins, when they were made.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use bastide_sql::{Ident, QualifiedName};

use crate::{
    Code, ColumnOrigin, Config, Question, Refusal, SeenStatement, Survey,
    classify::{Classification, answer},
};

/// The column may break it all the same: it was mended, or nobody needs it.
const ACCEPT: &str = "accept";

#[derive(Default)]
pub(crate) struct AtRisk {
    pub(crate) questions: Vec<Question>,
    pub(crate) notes: Vec<String>,
}

pub(crate) fn of(
    config: &Config,
    survey: &Survey,
    classification: &Classification,
) -> Result<AtRisk, Refusal> {
    let grows: Vec<&QualifiedName> = classification
        .tables
        .iter()
        .filter(|(_, table)| {
            table.tenant_column.as_ref().is_some_and(|column| column.origin == ColumnOrigin::Added)
        })
        .map(|(name, _)| name)
        .collect();
    let mut found = AtRisk::default();
    let mut ask = |id: String, text: String| -> Result<(), Refusal> {
        let mut question =
            Question { id, text, choices: vec![ACCEPT.to_owned()], default: None, answer: None };
        question.answer = answer(config, &question)?;
        found.questions.push(question);
        Ok(())
    };
    for code in survey.code.iter().filter(|code| code.parsed) {
        let Some(table) = code.returns.as_ref().filter(|table| grows.contains(table)) else { continue };
        if !whole_row(&code.source) {
            let text = format!(
                "the function {} returns rows of {table} column by column, as its body was read when it was made: each call fails once \
                 {table} has its tenant column. Have it return whole rows (SELECT t FROM {table} AS t) and plan again, or `{ACCEPT}`.",
                code.function
            );
            ask(format!("code:{}", code.function), text)?;
        }
    }
    for (table, (calls, statement)) in copies(survey, &grows) {
        let text = format!(
            "the server has run `{statement}` and the like {calls} times, which names no columns: it fails for want of a value once {table} \
             has its tenant column. Name the columns there, then `{ACCEPT}`."
        );
        ask(format!("copy:{table}"), text)?;
    }
    for code in survey.code.iter().filter(|code| !code.parsed) {
        if let Some((table, why)) = suspicion(code, &grows) {
            found.notes.push(format!(
                "the function {} may break when {table} gets its tenant column: {why}; name the columns there",
                code.function
            ));
        }
    }
    Ok(found)
}

/// The server prints a whole row as `t.*::t`, and a star as the columns it stood for.
fn whole_row(body: &str) -> bool {
    words(body).windows(2).any(|pair| pair == [".", "*"])
}

/// `COPY t FROM` without a list of columns, by table: how often, and one such statement.
fn copies<'a>(survey: &Survey, grows: &[&'a QualifiedName]) -> BTreeMap<&'a QualifiedName, (u64, String)> {
    let mut copies: BTreeMap<&QualifiedName, (u64, String)> = BTreeMap::new();
    for seen in &survey.seen {
        let words = words(&seen.text);
        let Some(name) = copied(&words) else { continue };
        for table in grows.iter().filter(|table| table.name.as_str() == name) {
            let entry = copies.entry(table).or_insert_with(|| (0, shortened(&seen.text)));
            entry.0 += seen.calls;
        }
    }
    copies
}

/// `COPY … FROM`, with or without columns, as the login was seen to run it: the three most frequent, shortened.
pub(crate) fn loads(survey: &Survey, login: &Ident) -> Vec<String> {
    let mut loads: Vec<&SeenStatement> = survey
        .seen
        .iter()
        .filter(|seen| seen.logins.contains(login) && loads_rows(&words(&seen.text)))
        .collect();
    loads.sort_by_key(|seen| Reverse(seen.calls));
    loads.iter().take(3).map(|seen| shortened(&seen.text)).collect()
}

/// `copy [schema .] table [(columns)] from …`; in `copy (query) to …` a FROM is inside the brackets.
fn loads_rows(words: &[String]) -> bool {
    let mut depth = 0_u32;
    words.first().is_some_and(|word| word == "copy")
        && words.iter().skip(1).any(|word| {
            match word.as_str() {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && word == "from"
        })
}

/// Of `copy [schema .] table from …`.
fn copied(words: &[String]) -> Option<&str> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["copy", _, ".", table, "from", ..] | ["copy", table, "from", ..] => Some(table),
        _ => None,
    }
}

fn shortened(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 60 { line.chars().take(60).chain(['…']).collect() } else { line }
}

/// The first thing in the text that a new column of a table it names could break. A name in another schema, or one that
/// is only a column's, counts as well: rather one function too many.
fn suspicion<'a>(code: &Code, grows: &[&'a QualifiedName]) -> Option<(&'a QualifiedName, &'static str)> {
    let all = words(&code.source);
    let known: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    let named =
        |words: &BTreeSet<&str>| grows.iter().find(|table| words.contains(table.name.as_str())).copied();
    let returned =
        code.returns.as_ref().and_then(|table| grows.iter().find(|grown| **grown == table).copied());
    for statement in all.split(|word| word == ";") {
        let here: BTreeSet<&str> = statement.iter().map(String::as_str).collect();
        let Some(table) = named(&here) else { continue };
        let has = |word: &str| here.contains(word);
        let star = starred(statement);
        let copies = (0..statement.len()).any(|at| copied(&statement[at..]).is_some());
        let why = if has("natural") {
            "a NATURAL JOIN compares the new column, too"
        } else if copies {
            "COPY without a list of columns"
        } else if star && has("insert") {
            "INSERT … SELECT *"
        } else if star && ["union", "intersect", "except"].into_iter().any(has) {
            "SELECT * in a UNION, INTERSECT or EXCEPT"
        } else if star
            && returned.is_none()
            && (has("query") || (code.language == "sql" && code.returns_rows))
        {
            "it returns SELECT * as columns of its own"
        } else if has("row") && here.contains(":") {
            "a row is built from its columns"
        } else {
            continue;
        };
        return Some((table, why));
    }
    // Whoever returns rows of the table has them whole, or puts them together.
    let whole = starred(&all) || known.contains("rowtype") || whole_row(&code.source);
    returned.filter(|_| !whole).map(|table| (table, "it returns the table's rows column by column"))
}

/// A star that stands for columns: not that of `count(*)`, and no product.
fn starred(words: &[String]) -> bool {
    words.windows(2).any(|pair| {
        pair[1] == "*" && matches!(pair[0].as_str(), "select" | "distinct" | "all" | "," | "." | "returning")
    })
}

/// Names and signs, in lower case but for quoted names. Comments are left out; what is in quotes or dollars is read like
/// the rest, since it may be run.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
            words.push(rest[1..end].trim_end_matches('"').to_owned());
            end
        } else if name(first) {
            let end = rest.find(|c| !name(c)).unwrap_or(rest.len());
            words.push(rest[..end].to_lowercase());
            end
        } else {
            if !first.is_whitespace() && !matches!(first, '\'' | '$') {
                words.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(language: &str, source: &str, returns: Option<&str>) -> Option<&'static str> {
        let orders: QualifiedName = "public.orders".parse().unwrap();
        let odd: QualifiedName = r#"public."Odd""#.parse().unwrap();
        let code = Code {
            function: "f()".to_owned(),
            language: language.to_owned(),
            parsed: false,
            source: source.to_owned(),
            returns_rows: true,
            returns: returns.map(|table| table.parse().unwrap()),
        };
        suspicion(&code, &[&orders, &odd]).map(|(_, why)| why)
    }

    #[test]
    fn what_may_break_is_suspected_and_what_cannot_is_not() {
        let plpgsql = |source| of("plpgsql", source, None);
        assert_eq!(plpgsql("BEGIN INSERT INTO archive SELECT * FROM orders; END"), Some("INSERT … SELECT *"));
        assert_eq!(
            plpgsql("BEGIN EXECUTE 'INSERT INTO a SELECT o.* FROM orders o'; END"),
            Some("INSERT … SELECT *")
        );
        assert_eq!(
            plpgsql("BEGIN INSERT INTO archive (id) SELECT id FROM orders; SELECT * INTO r FROM x; END"),
            None
        );
        assert_eq!(plpgsql("-- INSERT INTO a SELECT * FROM orders\nBEGIN /* orders; * */ RETURN; END"), None);
        assert!(plpgsql("BEGIN RETURN QUERY SELECT * FROM public.orders; END").is_some());
        assert_eq!(plpgsql("BEGIN RETURN QUERY SELECT count(*), total * 2 FROM orders; END"), None);
        assert!(plpgsql("BEGIN PERFORM 1 FROM lines NATURAL JOIN orders; END").is_some());
        assert!(plpgsql("BEGIN COPY orders FROM '/tmp/x'; END").is_some());
        assert_eq!(plpgsql("BEGIN COPY orders (id) FROM '/tmp/x'; END"), None);
        assert!(
            plpgsql(r#"BEGIN CREATE TABLE x AS SELECT * FROM "Odd" UNION SELECT * FROM y; END"#).is_some()
        );
        assert_eq!(plpgsql(r#"BEGIN CREATE TABLE x AS SELECT * FROM odd UNION SELECT * FROM y; END"#), None);
        assert!(of("sql", "SELECT * FROM orders", None).is_some());
        assert_eq!(of("sql", "SELECT * FROM orders", Some("public.orders")), None);
        assert!(of("sql", "SELECT id, total FROM orders", Some("public.orders")).is_some());
        assert_eq!(
            of("plpgsql", "DECLARE r orders%ROWTYPE; BEGIN RETURN NEXT r; END", Some("public.orders")),
            None
        );
        assert!(of("sql", "SELECT ROW(1, 2)::orders", None).is_some());
    }

    #[test]
    fn a_copy_without_columns_is_told_from_one_with_them() {
        let table = |text: &str| copied(&words(text)).map(str::to_owned);
        assert_eq!(table("COPY public.\"Orders\" FROM STDIN"), Some("Orders".to_owned()));
        assert_eq!(table("copy orders from stdin with (format csv)"), Some("orders".to_owned()));
        assert_eq!(table("COPY orders (id) FROM STDIN"), None);
        assert_eq!(table("COPY orders TO STDOUT"), None);
        let loads = |text: &str| loads_rows(&words(text));
        assert!(loads("COPY orders FROM STDIN") && loads("copy public.orders (id, total) from '/tmp/x'"));
        assert!(!loads("COPY orders TO STDOUT") && !loads("COPY (SELECT id FROM orders) TO STDOUT"));
    }
}
