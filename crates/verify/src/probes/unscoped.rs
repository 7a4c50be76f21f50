//! Tables in reach that are not scoped: shared ones must look the same to everybody, closed and unknown ones must not be
//! in reach at all.

use bastide_catalog::Table;
use bastide_sql::sql;

use super::{Case, Context, Ground};
use crate::{Probe, VerifyError};

pub(super) async fn probe(ground: &Ground<'_>, table: &Table) -> Result<Vec<Probe>, VerifyError> {
    let object = table.name.to_string();
    let case = Case { object: &object, verb: "select", context: "none" };
    let may_select = ground.posture.reaches(&table.name, "SELECT");
    let script = [sql!("SELECT FROM {} LIMIT 0", table.name)];
    let reply = ground.attempt(&object, &Context::None, &script).await?;
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
            case.breached(how, "", ground.app.script(&Context::None, &script))
        }
    }];
    // Writing a shared table is posture's finding where it is granted; where it is not, the refusal can be seen.
    if !ground.production
        && known
        && !ground.posture.reach.get(&table.name).is_some_and(|reach| reach.may_write())
    {
        let case = Case { object: &object, verb: "delete", context: "none" };
        let script = [sql!("DELETE FROM {} WHERE false", table.name)];
        probes.push(match ground.attempt(&object, &Context::None, &script).await? {
            Err(refusal) if refusal.not_permitted() => {
                case.held("none possible: the application may only read it")
            }
            Err(refusal) => case.refused(&refusal),
            Ok(_) => case.breached(
                "rows that every tenant reads can be deleted",
                "",
                ground.app.script(&Context::None, &script),
            ),
        });
    }
    Ok(probes)
}
