//! Cursors: opened as one tenant and read as another, forth and back; opened before there is a tenant; and kept beyond
//! their transaction.

use bastide_record::{Context, Path, Verb};
use bastide_sql::{Sql, sql};

use super::{
    Case, Ground,
    attempt::{Act, Answer, Reply, Trial, set_tenant},
    by_rows::Target,
    carried::begun_as_own,
    subject::Side,
};
use crate::{Probe, VerifyError};

const SWITCHED: [Context; 2] = [Context::Other, Context::Empty];

pub(super) async fn probe(
    ground: &Ground<'_>,
    target: &Target<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let (Some(own), Some(other)) = (&target.subject.own, &target.subject.other) else { return Ok(()) };
    if !target.subject.reach.may("SELECT") {
        return Ok(());
    }
    let mut trials = Vec::new();
    for path in [Path::Cursor, Path::ScrollCursor] {
        trials.extend(SWITCHED.map(|context| switched(target, path, context, other)));
        trials.push(without_tenant(target, path, own));
    }
    if !ground.production {
        let held = SWITCHED.into_iter().chain([Context::AfterReturn]);
        let held = held.map(|context| kept(target, context, own, other));
        if own.rows > 0 {
            trials.extend(held);
        } else {
            probes.extend(held.map(|trial| {
                let case = Case(trial.cell);
                if target.filtered {
                    case.held("the table has no row to keep; the zero-row probe shows that it is filtered")
                } else {
                    case.untested("the table has no row to keep")
                }
            }));
        }
    }
    for (trial, reply) in trials.iter().zip(ground.app.all(&trials).await?) {
        probes.push(judge(ground, target, trial, &reply));
    }
    Ok(())
}

fn declare(target: &Target<'_>, path: Path, name: &Sql) -> Sql {
    let (scroll, hold) = match path {
        Path::ScrollCursor => (sql!("SCROLL"), sql!("WITHOUT HOLD")),
        Path::HeldCursor => (sql!("NO SCROLL"), sql!("WITH HOLD")),
        _ => (sql!("NO SCROLL"), sql!("WITHOUT HOLD")),
    };
    sql!(
        "DECLARE {} {} CURSOR {} FOR SELECT {}::text FROM {} LIMIT 101",
        name,
        scroll,
        hold,
        target.column,
        target.name
    )
}

fn switch(context: Context, other: &Side) -> Sql {
    match context {
        Context::Other => set_tenant(&other.key),
        _ => sql!("SET LOCAL bastide.tenant = ''"),
    }
}

fn switched(target: &Target<'_>, path: Path, context: Context, other: &Side) -> Trial {
    let mut statements = vec![
        declare(target, path, &sql!("bastide_probe")),
        sql!("FETCH 1 FROM bastide_probe"),
        switch(context, other),
        sql!("FETCH 100 FROM bastide_probe"),
    ];
    if path == Path::ScrollCursor {
        statements.push(sql!("FETCH BACKWARD 100 FROM bastide_probe"));
    }
    begun_as_own(target, (path, Verb::Select, context), statements)
}

/// The second cursor, opened when there is a tenant, is the control.
fn without_tenant(target: &Target<'_>, path: Path, own: &Side) -> Trial {
    let again = if path == Path::ScrollCursor { sql!("ABSOLUTE 1") } else { sql!("100") };
    let statements = vec![
        declare(target, path, &sql!("bastide_probe")),
        sql!("FETCH 100 FROM bastide_probe"),
        set_tenant(&own.key),
        declare(target, path, &sql!("bastide_control")),
        sql!("FETCH 1 FROM bastide_control"),
        sql!("FETCH {} FROM bastide_probe", again),
    ];
    let mut cell = target.cell(Verb::Select, Context::Unset);
    cell.path = path;
    target.subject.trial(cell, statements)
}

/// In one message from DECLARE to CLOSE: what a pooler hands on in between, somebody else could read. It commits, so it has no
/// rows made before it, neither of the one nor of the other.
fn kept(target: &Target<'_>, context: Context, own: &Side, other: &Side) -> Trial {
    let mut statements = vec![
        sql!("SET TRANSACTION READ ONLY"),
        declare(target, Path::HeldCursor, &sql!("bastide_probe")),
        sql!("FETCH 1 FROM bastide_probe"),
    ];
    if context != Context::AfterReturn {
        statements.push(switch(context, other));
    }
    statements.extend([
        sql!("COMMIT"),
        sql!("BEGIN"),
        sql!("FETCH 100 FROM bastide_probe"),
        sql!("CLOSE bastide_probe"),
    ]);
    let mut trial = Trial::new(target.cell(Verb::Select, Context::Own), &own.key, statements);
    (trial.cell.path, trial.cell.context) = (Path::HeldCursor, context);
    trial.after = Some(sql!("CLOSE bastide_probe"));
    trial
}

fn judge(ground: &Ground<'_>, target: &Target<'_>, trial: &Trial, reply: &Reply) -> Probe {
    let case = Case(trial.cell.clone());
    let answer = match reply {
        Ok(answer) => answer,
        Err(refusal) => return case.refused(refusal),
    };
    let mut fetched = fetches(trial, answer);
    let before = match trial.cell.context {
        Context::Unset => fetched.first().map_or(0, |rows| rows.len()),
        _ => 0,
    };
    if trial.cell.context == Context::Unset && !fetched.is_empty() {
        fetched.remove(0);
    }
    if before > 0 {
        let how = format!("{before} rows came out of a cursor that was opened without a tenant");
        return case.breached(how, "", ground.app.script(trial));
    }
    let own = target.subject.own.as_ref();
    if fetched.first().is_none_or(|rows| rows.is_empty()) {
        return case.untested(if own.is_some_and(|side| side.seen() > 0) {
            "the cursor gave no row to the tenant that opened it"
        } else {
            "the table is empty, and no row could be made in it"
        });
    }
    let is_own = |row: &&Vec<Option<String>>| {
        row.first().and_then(Option::as_deref) == own.map(|side| side.key.as_str())
    };
    let foreign = fetched.into_iter().flatten().filter(|row| !is_own(row)).count();
    let control = match trial.cell.path {
        Path::HeldCursor => {
            "it gives a row to the tenant that opened it, and no other tenant's later (CLOSE ALL ends it)"
        }
        _ => "it gives a row to the tenant that opened it",
    };
    if foreign == 0 {
        case.held(control)
    } else {
        let how = format!("{foreign} rows of another tenant came out of one cursor");
        case.breached(how, control, ground.app.script(trial))
    }
}

/// What each FETCH gave, in order.
fn fetches<'a>(trial: &Trial, answer: &'a Answer) -> Vec<&'a [Vec<Option<String>>]> {
    let Act::Statements(statements) = &trial.act else { return Vec::new() };
    let pairs = statements.iter().zip(&answer.results);
    pairs
        .filter(|(statement, _)| statement.as_str().starts_with("FETCH"))
        .map(|(_, results)| results.rows.as_slice())
        .collect()
}
