//! The baseline's file: TOML, kept beside the code, reviewed like it.
//!
//! ```toml
//! format = 1
//!
//! [database]
//! name = "shop"
//! oid = 16384
//! system_identifier = "7480…"
//!
//! [[accept]]
//! id = "BST-040"
//! object = "public.orders"
//! reason = "the nightly job truncates it; SHOP-812"
//! expires = 2027-01-31
//! ```

use std::{fmt::Write, path::Path};

use bastide_record::{Accepted, Baseline, DatabaseId, Verdict};
use serde::Deserialize;
use time::{Date, Month};

use crate::exit::Unusable;

const FORMAT: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    database: Database,
    #[serde(default)]
    accept: Vec<toml::Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    name: String,
    oid: u32,
    system_identifier: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    object: String,
    reason: String,
    expires: toml::value::Datetime,
}

/// Reads a baseline.
pub(crate) fn read(path: &Path) -> Result<Baseline, Unusable> {
    let said = |problem: String| Unusable(format!("--baseline {}: {problem}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            said("there is no such file; `--write-baseline FILE --reason WHY` makes one".to_owned())
        }
        _ => said(error.to_string()),
    })?;
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let file: File = toml::from_str(&text).map_err(|error| {
        let at = line(error.span().map_or(0, |span| span.start));
        said(format!("line {at}: {}", error.message()))
    })?;
    if file.format != FORMAT {
        return Err(said(format!("its format is {}, and this bastide knows {FORMAT}", file.format)));
    }
    let mut accepted: Vec<Accepted> = Vec::new();
    for spanned in file.accept {
        let at = line(spanned.span().start);
        let entry = spanned.into_inner();
        let wrong = |problem: &str| said(format!("line {at}: {}: {}: {problem}", entry.id, entry.object));
        if entry.reason.trim().is_empty() {
            return Err(wrong("say in `reason` why it is accepted"));
        }
        let expires = day(&entry.expires).ok_or_else(|| wrong("`expires` is a day, as in 2027-01-31"))?;
        if accepted.iter().any(|known| known.id == entry.id && known.object == entry.object) {
            return Err(wrong("it is there twice"));
        }
        accepted.push(Accepted { id: entry.id, object: entry.object, reason: entry.reason, expires });
    }
    let Database { name, oid, system_identifier } = file.database;
    Ok(Baseline { database: DatabaseId { name, oid, system_identifier }, accepted })
}

/// A baseline of another database accepts nothing here, and must not look as if it did.
pub(crate) fn check(path: &Path, baseline: &Baseline, database: &DatabaseId) -> Result<(), Unusable> {
    let theirs = &baseline.database;
    let another = match (&theirs.system_identifier, &database.system_identifier) {
        (Some(theirs_id), Some(ours)) => theirs_id != ours || theirs.oid != database.oid,
        _ => theirs.oid != database.oid || theirs.name != database.name,
    };
    if !another {
        return Ok(());
    }
    let who = |database: &DatabaseId| {
        let system = database.system_identifier.as_deref().unwrap_or("unknown");
        format!("`{}` (OID {} of system {system})", database.name, database.oid)
    };
    Err(Unusable(format!(
        "--baseline {}: it is of the database {}, and this is {}; `--write-baseline FILE --reason WHY` makes one for this database",
        path.display(),
        who(theirs),
        who(database)
    )))
}

/// All that is wrong now, accepted until `expires`.
pub(crate) fn written(verdict: &Verdict, reason: &str, expires: Date) -> String {
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let mut out = format!(
        "# What `bastide rls validate --baseline` accepts. Review each, and give it a reason of its own.\n\
         format = {FORMAT}\n\n[database]\nname = {}\noid = {}\n",
        text(&verdict.database.name),
        verdict.database.oid
    );
    let mut line =
        |text: String| writeln!(out, "{text}").unwrap_or_else(|_| unreachable!("a String takes everything"));
    if let Some(system) = &verdict.database.system_identifier {
        line(format!("system_identifier = {}", text(system)));
    }
    for known in verdict.wrong() {
        line(format!(
            "\n[[accept]]\nid = {}\nobject = {}\nreason = {}\nexpires = {expires}",
            text(&known.id),
            text(&known.object),
            text(reason)
        ));
    }
    out
}

/// A day alone: a time would make it depend on where it is read.
fn day(given: &toml::value::Datetime) -> Option<Date> {
    let date = given.date.filter(|_| given.time.is_none() && given.offset.is_none())?;
    Date::from_calendar_date(date.year.into(), Month::try_from(date.month).ok()?, date.day).ok()
}

/// `2027-01-31`, as typed.
pub(crate) fn typed_day(text: &str) -> Result<Date, String> {
    let given: Option<toml::value::Datetime> = text.parse().ok();
    given.as_ref().and_then(day).ok_or_else(|| format!("`{text}` is no day, as 2027-01-31 is"))
}
