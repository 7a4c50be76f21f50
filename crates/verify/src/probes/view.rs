//! Views and materialised views in reach. The zero-row probe decides: through `security_invoker` it is refused like the
//! tables beneath. Rows seen without a context count where the view shows a tenant column.

use bastide_catalog::View;
use bastide_sql::{Ident, sql};

use super::{Case, Context, Ground, zero_row};
use crate::{Outcome, Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    view: &View,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let object = view.name.to_string();
    let reads = ground.posture.scoped_reads(&view.name);
    let case = Case { object: &object, verb: "select", context: "none" };
    if reads.is_empty() {
        let select = sql!("SELECT FROM {} LIMIT 0", view.name);
        probes.push(match ground.attempt(&object, &Context::None, &[select]).await? {
            Err(refusal) if !refusal.not_permitted() => case.refused(&refusal),
            _ => case.held("it reads no scoped table: every tenant sees the same rows"),
        });
        return Ok(());
    }
    let may_select = ground.posture.reaches(&view.name, "SELECT");
    let zero = zero_row::probe(ground, &object, &view.name, may_select).await?;
    let filtered = zero.outcome == Outcome::Held;
    probes.push(zero);
    if !may_select {
        return Ok(());
    }
    let tenant: Option<&Ident> = reads
        .iter()
        .filter_map(|name| ground.posture.scoped.get(*name))
        .map(|scoped| &scoped.tenant_column)
        .find(|column| view.columns.iter().any(|shown| shown.name == **column));
    let script = [match tenant {
        Some(column) => {
            sql!(
                "SELECT count(*) FROM (SELECT FROM {} WHERE {} IS NOT NULL LIMIT 1000) AS seen",
                view.name,
                column
            )
        }
        None => sql!("SELECT count(*) FROM (SELECT FROM {} LIMIT 1000) AS seen", view.name),
    }];
    probes.push(match ground.attempt(&object, &Context::None, &script).await? {
        Err(refusal) if refusal.not_permitted() && filtered => case.held("it may not be read through"),
        Err(refusal) => case.refused(&refusal),
        Ok(answer) if answer.number(0) == 0 && filtered => case.held("the zero-row probe shows that it is filtered"),
        Ok(answer) if filtered && tenant.is_none() => case.held(format!(
            "the zero-row probe shows that it is filtered; the {} rows it gives are aggregates or of shared tables",
            answer.number(0)
        )),
        Ok(answer) if answer.number(0) == 0 => case.untested("no row seen, but nothing filters the view either"),
        Ok(answer) => {
            let how = format!("{} rows seen", answer.number(0));
            case.breached(how, "", ground.app.script(&Context::None, &script))
        }
    });
    Ok(())
}
