//! Tables in reach that are not scoped: shared ones must look the same to everybody, closed and unknown ones must not be
//! in reach at all.

use bastide_catalog::Table;
use bastide_record::{Context, Verb};
use bastide_sql::sql;

use super::{Case, Ground, attempt::Trial, none_possible};
use crate::{Probe, VerifyError};

pub(super) async fn probe(ground: &Ground<'_>, table: &Table) -> Result<Vec<Probe>, VerifyError> {
    let case = Case(ground.cell_of(table, Verb::Select, Context::Unset));
    let may_select = ground.posture.reaches(&table.name, "SELECT");
    let trial = Trial::new(case.0.clone(), "", vec![sql!("SELECT FROM {} LIMIT 0", table.name)]);
    let reply = ground.app.one(&trial).await?;
    let by_parent = || table.parents.iter().find_map(|parent| ground.posture.class(parent));
    let class = ground.posture.class(&table.name).or_else(by_parent);
    let known = class == Some("shared") || ground.posture.classes.is_none();
    let mut probes = vec![match reply {
        Err(refusal) if refusal.not_permitted() && !may_select => {
            case.held("none possible: the application may not read it at all")
        }
        Err(refusal) => case.refused(&refusal),
        Ok(_) if known => {
            case.held("a shared table: every tenant reads the same rows, by decision of the plan")
        }
        Ok(_) => {
            let how = match class {
                Some(class) => format!("readable without a context, though the plan calls it {class}"),
                None => "readable without a context, and no run has decided whose its rows are".to_owned(),
            };
            case.breached(how, "", ground.app.script(&trial))
        }
    }];
    // Writing a shared table is posture's finding where it is granted; where it is not, the refusal can be seen.
    let may_write = ground.posture.reach.get(&table.name).is_some_and(|reach| reach.may_write());
    if !ground.production && known && !may_write {
        let cell = ground.cell_of(table, Verb::Delete, Context::Unset);
        let trial = Trial::new(cell, "", vec![sql!("DELETE FROM {} WHERE false", table.name)]);
        let reply = ground.app.one(&trial).await?;
        probes.push(none_possible(ground, &trial, &reply));
    }
    Ok(probes)
}
