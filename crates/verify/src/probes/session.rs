//! What a connection keeps between requests: the context after COMMIT, prepared statements, cursors, and whatever it
//! already had when it was opened.

use bastide_sql::{Sql, sql};

use super::{
    Case, Context, Ground,
    attempt::{Answer, set_tenant},
    subject::{Side, Subject},
};
use crate::{Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    best: Option<&Subject<'_>>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let app = ground.posture.app.to_string();
    let sides = best.and_then(|subject| Some((subject, subject.own.as_ref()?, subject.other.as_ref()?)));
    let Some((subject, own, other)) = sides else {
        for verb in ["context_outlives", "prepared", "cursor"] {
            let case = Case { object: &app, verb, context: "own tenant" };
            probes.push(case.untested("no scoped table in reach has rows"));
        }
        return Ok(());
    };
    probes.push(preset(ground, &app).await?);
    probes.push(outlives(ground, subject, own, &app).await?);
    probes.push(prepared(ground, subject, own, other, &app).await?);
    probes.push(cursor(ground, subject, own, other, &app).await?);
    Ok(())
}

/// Rows of one tenant, as many as prove the point.
fn rows_of(subject: &Subject<'_>, side: &Side) -> Sql {
    sql!(
        "SELECT count(*) FROM (SELECT FROM {} WHERE {} = {} LIMIT 1000) AS seen",
        subject.table.name,
        subject.column,
        subject.value(&side.key)
    )
}

/// Nothing sets a tenant before the application does.
async fn preset(ground: &Ground<'_>, app: &str) -> Result<Probe, VerifyError> {
    let case = Case { object: app, verb: "preset", context: "none" };
    let script = [sql!("SELECT (bastide.current_tenant() IS NOT NULL)::int")];
    Ok(match ground.attempt(app, &Context::None, &script).await? {
        Ok(answer) if answer.number(0) == 0 => case.held("bastide.current_tenant() answers NULL"),
        Ok(_) => {
            let how = "a connection has a tenant before anybody has set one";
            case.breached(how, "", ground.app.script(&Context::None, &script))
        }
        Err(refusal) => case.refused(&refusal),
    })
}

async fn outlives(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    own: &Side,
    app: &str,
) -> Result<Probe, VerifyError> {
    let case = Case { object: app, verb: "context_outlives", context: "own tenant" };
    let context = Context::Tenant(own.key.clone());
    let count = [rows_of(subject, own)];
    let control = match ground.attempt(app, &context, &count).await? {
        Ok(answer) if answer.number(0) > 0 => {
            format!("inside the transaction {} rows of {} are seen", answer.number(0), subject.object)
        }
        Ok(_) => return Ok(case.untested("inside the transaction no row is seen either")),
        Err(refusal) => return Ok(case.refused(&refusal)),
    };
    if let Err(refusal) = ground.app.visit(app, &context).await? {
        return Ok(case.refused(&refusal));
    }
    Ok(match ground.attempt(app, &Context::None, &count).await? {
        Ok(answer) if answer.number(0) == 0 => case.held(control),
        Ok(answer) => {
            let how = format!(
                "after COMMIT the next transaction still sees {} rows of that tenant",
                answer.number(0)
            );
            let mut script = ground.app.script(&context, &[]).replace("ROLLBACK;", "COMMIT;");
            script.push_str(&ground.app.script(&Context::None, &count));
            case.breached(how, control, script)
        }
        Err(refusal) => case.refused(&refusal),
    })
}

/// Six executions make the server consider a generic plan; it must ask for the tenant again each time.
async fn prepared(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    own: &Side,
    other: &Side,
    app: &str,
) -> Result<Probe, VerifyError> {
    let case = Case { object: app, verb: "prepared", context: "other tenant" };
    let mut script = vec![sql!("PREPARE bastide_probe AS {}", rows_of(subject, own))];
    script.extend(std::iter::repeat_n(sql!("EXECUTE bastide_probe"), 6));
    script.extend([set_tenant(&other.key), sql!("EXECUTE bastide_probe"), sql!("DEALLOCATE bastide_probe")]);
    let context = Context::Tenant(own.key.clone());
    let answer = match ground.attempt(app, &context, &script).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(case.refused(&refusal)),
    };
    let (before, after) = (count_at(&answer, 1), count_at(&answer, 8));
    let control =
        format!("prepared and executed as the one tenant it counts {before} rows of {}", subject.object);
    Ok(match (before, after) {
        (0, _) => case.untested("the statement counts no row for the tenant it was prepared as"),
        (_, 0) => case.held(control),
        (_, rows) => {
            let how = format!("executed as another tenant, it still counts {rows} rows of the first");
            case.breached(how, control, ground.app.script(&context, &script))
        }
    })
}

/// An open cursor must go on with the tenant it began with, not mix in the next one's rows.
async fn cursor(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    own: &Side,
    other: &Side,
    app: &str,
) -> Result<Probe, VerifyError> {
    let case = Case { object: app, verb: "cursor", context: "other tenant" };
    let script = [
        sql!("DECLARE bastide_probe CURSOR FOR SELECT {}::text FROM {}", subject.column, subject.table.name),
        sql!("FETCH 1 FROM bastide_probe"),
        set_tenant(&other.key),
        sql!("FETCH 100 FROM bastide_probe"),
    ];
    let context = Context::Tenant(own.key.clone());
    let answer = match ground.attempt(app, &context, &script).await? {
        Ok(answer) => answer,
        Err(refusal) => return Ok(case.refused(&refusal)),
    };
    let fetched = |at: usize| answer.results.get(at).map(|result| result.rows.as_slice()).unwrap_or_default();
    if fetched(1).is_empty() {
        return Ok(case.untested("the cursor gave no row to the tenant that opened it"));
    }
    let is_own = |row: &Vec<Option<String>>| row.first().and_then(Option::as_deref) == Some(own.key.as_str());
    let mixed = fetched(1).iter().chain(fetched(3)).filter(|row| !is_own(row)).count();
    let control = format!("it gives rows of {} to the tenant that opened it", subject.object);
    Ok(if mixed == 0 {
        case.held(control)
    } else {
        let how = format!("{mixed} rows of another tenant came out of one cursor");
        case.breached(how, control, ground.app.script(&context, &script))
    })
}

fn count_at(answer: &Answer, statement: usize) -> u64 {
    let row = answer.results.get(statement).and_then(|result| result.rows.first());
    row.and_then(|row| row.first()?.as_deref()?.parse().ok()).unwrap_or_default()
}
