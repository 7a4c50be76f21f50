//! Views: which ones can read under the policies of whoever asks, and which the application does not get.

use std::collections::{BTreeMap, BTreeSet};

use bastide_catalog::{Catalog, View};
use bastide_sql::QualifiedName;

use super::Planning;
use crate::{Class, Phase, Step, access, classify::Classification, steps::SecureView};

/// Secures what can be secured; returns the views the application may read.
pub(super) fn plan(planning: &mut Planning<'_>, phase: Phase) -> Vec<QualifiedName> {
    let judged = judge(&planning.catalog, planning.classification, planning.app());
    let mut safe = Vec::new();
    for (name, verdict) in judged {
        if let Err(why) = verdict {
            planning.note(format!("{name} is not granted to the application: {why}"));
            continue;
        }
        let Some(view) = planning.catalog.views.get(&name) else { continue };
        if !view.security_invoker {
            let option = |text: &String| text.strip_prefix("security_invoker=").map(str::to_owned);
            let step = SecureView {
                view: name.clone(),
                previous: view.options.iter().find_map(option),
                options: view.options.clone(),
            };
            planning.emit(phase, Step::SecureView(step));
        }
        safe.push(name);
    }
    safe
}

/// Views the application must not reach, and why.
pub(crate) fn unreachable_views(
    catalog: &Catalog,
    classification: &Classification,
    app: &bastide_sql::Ident,
) -> Vec<(QualifiedName, String)> {
    let judged = judge(catalog, classification, app);
    judged.into_iter().filter_map(|(name, verdict)| verdict.err().map(|why| (name, why))).collect()
}

type Verdict = Result<(), String>;

/// In an order in which a view comes after those it reads.
fn judge(
    catalog: &Catalog,
    classification: &Classification,
    app: &bastide_sql::Ident,
) -> Vec<(QualifiedName, Verdict)> {
    let mut verdicts: BTreeMap<QualifiedName, Verdict> = BTreeMap::new();
    let mut order = Vec::new();
    let mut open: BTreeSet<&QualifiedName> = catalog.views.keys().collect();
    while !open.is_empty() {
        let ready: Vec<&QualifiedName> = open
            .iter()
            .copied()
            .filter(|name| {
                catalog.views[*name].reads.iter().all(|read| read == *name || !open.contains(read))
            })
            .collect();
        // Views cannot read each other in a circle; should the catalog say so, none of them is safe.
        let circle = ready.is_empty();
        for name in if circle { open.iter().copied().collect() } else { ready } {
            open.remove(name);
            let verdict = if circle {
                Err("it reads itself".to_owned())
            } else {
                verdict(catalog, classification, app, &catalog.views[name], &verdicts)
            };
            verdicts.insert(name.clone(), verdict.clone());
            order.push((name.clone(), verdict));
        }
    }
    order
}

fn verdict(
    catalog: &Catalog,
    classification: &Classification,
    app: &bastide_sql::Ident,
    view: &View,
    verdicts: &BTreeMap<QualifiedName, Verdict>,
) -> Verdict {
    if view.materialised {
        return Err("a materialised view keeps copies of rows, which no policy filters".to_owned());
    }
    for read in &view.reads {
        match (classification.class(read), verdicts.get(read)) {
            (Some(Class::Scoped | Class::Shared), _) | (None, Some(Ok(()))) => {}
            (Some(Class::Closed), _) => return Err(format!("it reads {read}, which is closed")),
            (None, Some(Err(_))) => return Err(format!("it reads {read}, which is not granted either")),
            (None, None) => return Err(format!("it reads {read}, which no policy covers")),
        }
    }
    // As invokers its users read with their own rights: nobody may lose the view by that.
    for user in access::users_of_view(catalog, view, app) {
        for privilege in access::ROW_PRIVILEGES {
            if !access::holds(catalog, &user, &view.owner, view.acl.as_ref(), privilege) {
                continue;
            }
            // An owner who never writes through the view need not be able to.
            if privilege != "SELECT" && user == view.owner {
                continue;
            }
            for read in &view.reads {
                let (owner, acl) = match (catalog.table(read), catalog.views.get(read)) {
                    (Some(table), _) => (&table.owner, table.acl.as_ref()),
                    (None, Some(view)) => (&view.owner, view.acl.as_ref()),
                    (None, None) => continue,
                };
                if !access::holds(catalog, &user, owner, acl, privilege) {
                    return Err(format!(
                        "{user} has {privilege} on it but not on {read}, and would lose it with security_invoker"
                    ));
                }
            }
        }
    }
    Ok(())
}
