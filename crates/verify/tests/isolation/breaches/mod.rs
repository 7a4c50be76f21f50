//! Mutation score: a catalogue of ways to break a good database, a few lines of SQL each. Every one must be caught, by the
//! finding that names the object; where that finding prints SQL, running it must mend the database.
//!
//! `cargo nextest run -p bastide-verify breaches` prints the score of each theme.

mod context;
mod functions;
mod grants;
mod keys;
mod predicates;
mod protection;
mod roles;
mod views;

use bastide_sql::Ident;
use bastide_testkit::Database;
use bastide_verify::{Finding, Options, Severity, posture};

use super::{sound, verdict};

/// A way to break isolation.
#[derive(Clone, Copy)]
struct Breach {
    name: &'static str,
    sql: &'static str,
    /// Only for what the whole server shares.
    undo: &'static str,
    /// The finding that must name it, and the object it must name; `{database}` stands for the database's name.
    finding: (&'static str, &'static str),
    /// Whether a probe must see it, too.
    probed: bool,
    /// The first major version that has what it takes.
    since: u32,
}

const fn breach(
    name: &'static str,
    id: &'static str,
    object: &'static str,
    probed: bool,
    sql: &'static str,
) -> Breach {
    Breach { name, sql, undo: "", finding: (id, object), probed, since: 15 }
}

const fn role(
    name: &'static str,
    id: &'static str,
    probed: bool,
    sql: &'static str,
    undo: &'static str,
) -> Breach {
    breach(name, id, "bastide_app", probed, sql).undone_by(undo)
}

impl Breach {
    const fn undone_by(self, undo: &'static str) -> Self {
        Self { undo, ..self }
    }

    const fn since(self, since: u32) -> Self {
        Self { since, ..self }
    }
}

/// How one breach went.
enum Caught {
    /// The SQL that was printed mended it.
    Mended,
    /// What to do is a decision, not SQL.
    Advised,
}

async fn findings(db: &Database) -> Vec<Finding> {
    let app = Ident::constant("bastide_app");
    let found = posture(&mut db.client().await, &app).await.unwrap();
    found
        .into_iter()
        .filter(|finding| finding.severity > Severity::Info && !finding.pending_cutover)
        .collect()
}

/// # Errors
/// With what was found instead, or what is still found after mending.
async fn judge(db: &Database, breach: &Breach) -> Result<Caught, String> {
    db.execute(breach.sql).await;
    let (id, object) = breach.finding;
    let object = object.replace("{database}", db.name());
    let named = |finding: &&Finding| finding.id == id && finding.object == object;
    let open = findings(db).await;
    let Some(found) = open.iter().find(named).cloned() else {
        return Err(format!("{id} of {object} is not among {open:#?}"));
    };
    if breach.probed {
        let verdict = verdict(db, Options::default()).await;
        let breached: Vec<_> = verdict.breaches().collect();
        if breached.is_empty() || breached.iter().any(|probe| probe.reproduce.is_none()) {
            return Err(format!("no probe sees it, or one has no script: {breached:#?}"));
        }
    }
    mend(db, found, id, &object).await
}

/// Runs what the finding prints, then what others of the same breach print, until nothing is open or all is advice.
async fn mend(db: &Database, first: Finding, id: &str, object: &str) -> Result<Caught, String> {
    let mut next = Some(first);
    let mut tried: Vec<Finding> = Vec::new();
    while let Some(finding) = next.filter(|finding| finding.mend.ends_with(';')) {
        let client = db.client().await;
        // One by one, as somebody would paste them: CONCURRENTLY does not run in a transaction.
        for statement in finding.mend.split_inclusive("; ") {
            match client.batch_execute(statement).await {
                Ok(()) => {}
                // Another weakness of the same breach that takes more than its SQL.
                Err(_) if !tried.is_empty() => return Ok(Caught::Advised),
                Err(error) => return Err(format!("{statement} cannot be run: {error:?}")),
            }
        }
        tried.push(finding);
        let open = findings(db).await;
        if let Some(stays) = tried.iter().find(|tried| open.contains(tried)) {
            return Err(format!("its own SQL does not mend {stays:#?}"));
        }
        next = open.iter().find(|finding| finding.mend.ends_with(';')).cloned();
    }
    let open = findings(db).await;
    match open.iter().find(|finding| finding.id == id && finding.object == object) {
        None if open.is_empty() => Ok(Caught::Mended),
        // What is left is another weakness of the same breach, or the very one, and somebody has to decide.
        _ => Ok(Caught::Advised),
    }
}

#[expect(clippy::print_stdout, reason = "the score is what the test is for")]
async fn score(theme: &str, breaches: &[Breach]) {
    let (server, original) = sound().await;
    let major = server.postgres().installation().version().major;
    let breaches: Vec<&Breach> = breaches.iter().filter(|breach| breach.since <= major).collect();
    let (mut mended, mut advised, mut missed) = (0, 0, Vec::new());
    for (number, breach) in breaches.iter().enumerate() {
        let db = server.copy_of(&original, &format!("breach_{number}")).await;
        match judge(&db, breach).await {
            Ok(Caught::Mended) => mended += 1,
            Ok(Caught::Advised) => advised += 1,
            Err(why) => missed.push(format!("{}: {why}", breach.name)),
        }
        if !breach.undo.is_empty() {
            db.execute(breach.undo).await;
        }
    }
    let caught = mended + advised;
    println!(
        "mutation score, {theme}: {caught}/{} = {:.2}; mended by the SQL printed: {mended}, by a decision: {advised}",
        breaches.len(),
        f64::from(caught) / breaches.len() as f64
    );
    assert!(missed.is_empty(), "{theme}: {} missed\n{}", missed.len(), missed.join("\n"));
}

macro_rules! themes {
    ($($theme:ident,)*) => {
        const THEMES: &[(&str, &[Breach])] = &[$((stringify!($theme), $theme::BREACHES),)*];

        $(#[tokio::test]
        async fn $theme() {
            score(stringify!($theme), $theme::BREACHES).await;
        })*
    };
}

themes! { context, functions, grants, keys, predicates, protection, roles, views, }

#[test]
fn the_catalogue_is_long_and_no_breach_stands_in_it_twice() {
    let all: Vec<&Breach> = THEMES.iter().flat_map(|(_, breaches)| *breaches).collect();
    assert!(all.len() >= 90);
    for (number, breach) in all.iter().enumerate() {
        let twice = all[..number].iter().find(|other| other.name == breach.name || other.sql == breach.sql);
        assert!(twice.is_none(), "{}", breach.name);
    }
}
