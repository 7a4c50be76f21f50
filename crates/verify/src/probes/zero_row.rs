//! The cheap universal probe: with `row_security = off` PostgreSQL refuses (42501) any statement a policy would filter,
//! and runs one that nothing filters. It reads no row, so it costs the same on every table.

use bastide_sql::{QualifiedName, sql};

use super::{Case, Context, Ground};
use crate::{Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    object: &str,
    name: &QualifiedName,
    may_select: bool,
) -> Result<Probe, VerifyError> {
    let case = Case { object, verb: "zero_row", context: "none" };
    let select = sql!("SELECT 1 FROM {} LIMIT 0", name);
    let filtered = ground.attempt(object, &Context::None, std::slice::from_ref(&select)).await?;
    if let Err(refusal) = filtered {
        // 42501 with row security on means that there is no privilege to filter.
        return Ok(if refusal.not_permitted() && !may_select {
            case.held("none possible: the application may not read it at all")
        } else {
            case.refused(&refusal)
        });
    }
    let script = [sql!("SET LOCAL row_security = off"), select];
    let control = "the same SELECT works with row security on";
    Ok(match ground.attempt(object, &Context::None, &script).await? {
        Err(refusal) if refusal.not_permitted() => case.held(control),
        Err(refusal) => case.refused(&refusal),
        Ok(_) => {
            let how = "no policy filters it: the read works even with row_security = off";
            case.breached(how, control, ground.app.script(&Context::None, &script))
        }
    })
}
