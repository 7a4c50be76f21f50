//! What the application must not reach at all: closed tables, children only their parents lead to, and Bastide's own.

use bastide_sql::{QualifiedName, sql};

use super::{Case, Context, Ground};
use crate::{Probe, VerifyError};

pub(super) async fn probe(ground: &Ground<'_>, name: &QualifiedName) -> Result<Probe, VerifyError> {
    let object = name.to_string();
    let case = Case { object: &object, verb: "closed", context: "none" };
    let script = [sql!("SELECT FROM {} LIMIT 0", name)];
    Ok(match ground.attempt(&object, &Context::None, &script).await? {
        Err(refusal) if refusal.not_permitted() => case.held("the owner reads it"),
        Err(refusal) => case.refused(&refusal),
        Ok(_) => {
            let how = "the application may read it, although no grant says so";
            case.breached(how, "the owner reads it", ground.app.script(&Context::None, &script))
        }
    })
}

pub(super) async fn kept(ground: &Ground<'_>, probes: &mut Vec<Probe>) -> Result<(), VerifyError> {
    for table in &ground.posture.kept_tables {
        probes.push(probe(ground, table).await?);
    }
    Ok(())
}
