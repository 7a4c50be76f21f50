//! What the application must not reach at all: closed tables, children only their parents lead to, and Bastide's own.

use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::{QualifiedName, sql};

use super::{Case, Ground, attempt::Trial};
use crate::{Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    objects: &[(QualifiedName, Path)],
) -> Result<Vec<Probe>, VerifyError> {
    let trials: Vec<Trial> = objects
        .iter()
        .map(|(name, path)| {
            let cell =
                Cell { object: name.to_string(), path: *path, verb: Verb::Closed, context: Context::Unset };
            Trial::new(cell, "", vec![sql!("SELECT FROM {} LIMIT 0", name)])
        })
        .collect();
    let replies = ground.app.all(&trials).await?;
    let judged = trials.iter().zip(replies).map(|(trial, reply)| {
        let case = Case(trial.cell.clone());
        match reply {
            Err(refusal) if refusal.not_permitted() => case.held("the owner reads it"),
            Err(refusal) => case.refused(&refusal),
            Ok(_) => {
                let how = "the application may read it, although no grant says so";
                case.breached(how, "the owner reads it", ground.app.script(trial))
            }
        }
    });
    Ok(judged.collect())
}
