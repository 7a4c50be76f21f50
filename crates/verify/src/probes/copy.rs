//! COPY: out of a table it is a filtered read like any other; into a table under row security PostgreSQL refuses it
//! always (0A000), so that one has no positive control.

use bastide_catalog::TableKind;
use bastide_sql::sql;
use futures_util::TryStreamExt;
use tokio_postgres::error::SqlState;

use super::{
    Case, Context, Ground,
    attempt::{Answer, Reply},
    subject::Subject,
};
use crate::{Probe, VerifyError};

pub(super) async fn out(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let case = Case { object: &subject.object, verb: "copy_out", context: "none" };
    let control = match &subject.own {
        None => "the table is empty, so only the zero-row probe proves that it is filtered".to_owned(),
        Some(_) if ground.production => "none in production: it would stream a whole tenant".to_owned(),
        Some(own) => match lines(ground, subject, &Context::Tenant(own.key.clone())).await? {
            Ok(answer) if answer.affected() > 0 => {
                format!("as a tenant it copies {} rows", answer.affected())
            }
            Ok(_) => {
                probes.push(case.untested("as a tenant that has rows it copies none"));
                return Ok(());
            }
            Err(refusal) => {
                probes.push(case.refused(&refusal));
                return Ok(());
            }
        },
    };
    probes.push(match lines(ground, subject, &Context::None).await? {
        Ok(answer) if answer.affected() == 0 => case.held(control),
        Ok(answer) => {
            let script = [sql!("COPY {} TO STDOUT", subject.table.name)];
            let how = format!("{} rows copied out", answer.affected());
            case.breached(how, control, ground.app.script(&Context::None, &script))
        }
        Err(refusal) => case.refused(&refusal),
    });
    Ok(())
}

/// Text format writes one line a row: a newline inside a value is escaped.
async fn lines(ground: &Ground<'_>, subject: &Subject<'_>, context: &Context) -> Result<Reply, VerifyError> {
    let copy = if subject.table.kind == TableKind::Partitioned {
        sql!("COPY (SELECT * FROM {}) TO STDOUT", subject.table.name)
    } else {
        sql!("COPY {} TO STDOUT", subject.table.name)
    };
    ground
        .app
        .within(&subject.object, context, "ROLLBACK", async |client| {
            let stream = client.copy_out(copy.as_str()).await?;
            let lines = stream.try_fold(0, async |lines, chunk| {
                Ok(lines + chunk.iter().filter(|byte| **byte == b'\n').map(|_| 1).sum::<u64>())
            });
            Ok(Answer::of(lines.await?))
        })
        .await
}

/// Row security is asked about before the options are read, so an option that does not exist tells the two apart (0A000
/// or 42601) and the server never waits for rows.
pub(super) async fn into(
    ground: &Ground<'_>,
    subject: &Subject<'_>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let case = Case { object: &subject.object, verb: "copy_in", context: "none" };
    let script = [sql!("COPY {} FROM STDIN WITH (bastide_probe)", subject.table.name)];
    let reply = ground.attempt(&subject.object, &Context::None, &script).await?;
    probes.push(match reply {
        Err(refusal) if refusal.code == SqlState::FEATURE_NOT_SUPPORTED || refusal.not_permitted() => {
            case.held("none possible: under row security PostgreSQL refuses COPY FROM always")
        }
        Err(refusal) if refusal.code == SqlState::SYNTAX_ERROR => {
            let how = "COPY FROM is not refused: it would write rows that no policy checks (none were sent)";
            case.breached(how, "", ground.app.script(&Context::None, &script))
        }
        Err(refusal) => case.refused(&refusal),
        Ok(_) => case.untested("the server took an option that does not exist"),
    });
    Ok(())
}
