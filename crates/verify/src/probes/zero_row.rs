//! The cheap universal probe: with `row_security = off` PostgreSQL refuses (42501) any statement a policy would filter,
//! and runs one that nothing filters. It reads no row, so it costs the same on every table.

use bastide_record::Cell;
use bastide_sql::{QualifiedName, sql};

use super::{Case, Ground, attempt::Trial};
use crate::{Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    cell: Cell,
    name: &QualifiedName,
    may_select: bool,
) -> Result<Probe, VerifyError> {
    let case = Case(cell);
    let select = sql!("SELECT 1 FROM {} LIMIT 0", name);
    let off = vec![sql!("SET LOCAL row_security = off"), select.clone()];
    let trials = [Trial::new(case.0.clone(), "", vec![select]), Trial::new(case.0.clone(), "", off)];
    let replies = ground.app.all(&trials).await?;
    let [on, off] = replies.as_slice() else { return Ok(case.untested("no answer")) };
    if let Err(refusal) = on {
        // 42501 with row security on means that there is no privilege to filter.
        return Ok(if refusal.not_permitted() && !may_select {
            case.held("none possible: the application may not read it at all")
        } else {
            case.refused(refusal)
        });
    }
    let control = "the same SELECT works with row security on";
    Ok(match off {
        Err(refusal) if refusal.not_permitted() => case.held(control),
        Err(refusal) => case.refused(refusal),
        Ok(_) => {
            let how = "no policy filters it: the read works even with row_security = off";
            case.breached(how, control, ground.app.script(&trials[1]))
        }
    })
}
