//! Functions in reach. One that runs as its caller can do no more than the caller's own statements, which are probed;
//! one that runs as its owner is called without a context and as two tenants, where calling it is safe.

use bastide_catalog::{Function, FunctionKind, Volatility};
use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::{Literal, sql};

use super::{
    Case, Ground,
    attempt::{Answer, Reply, Trial},
    subject::Subject,
};
use crate::{Probe, VerifyError};

pub(super) async fn probe(
    ground: &Ground<'_>,
    best: Option<&Subject<'_>>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    for function in &ground.posture.catalog.functions {
        let name = (function.name.clone(), function.arguments.clone());
        // Trigger functions cannot be called; those of extensions know none of the tables.
        if !ground.posture.callable.contains(&name)
            || function.returns_trigger
            || function.extension.is_some()
        {
            continue;
        }
        one(ground, best, function, probes).await?;
    }
    Ok(())
}

async fn one(
    ground: &Ground<'_>,
    best: Option<&Subject<'_>>,
    function: &Function,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    let object = format!("{}({})", function.name, function.arguments);
    let cell = |context| Cell { object: object.clone(), path: Path::Function, verb: Verb::Execute, context };
    let unset = Case(cell(Context::Unset));
    if let Some(why) = not_called(function) {
        probes.push(unset.untested(why));
        return Ok(());
    }
    let tenants = best.and_then(|subject| subject.own.as_ref().zip(subject.other.as_ref()));
    let Some((own, other)) = tenants else {
        probes.push(unset.untested("no scoped table in reach has rows of two tenants"));
        return Ok(());
    };
    let call = vec![sql!(
        "SELECT count(*) FILTER (WHERE NOT (answer IS NULL OR answer::text IN ('', '0', '()', {}, '[]', 'f'))), md5(string_agg(answer::text, ',' ORDER BY answer::text))
         FROM (SELECT answer FROM {}() AS answer LIMIT 1000) AS called",
        Literal::text("{}"),
        function.name
    )];
    let trials = [
        Trial::new(cell(Context::Own), &own.key, call.clone()),
        Trial::new(cell(Context::Other), &other.key, call.clone()),
        Trial::new(cell(Context::Unset), &own.key, call),
    ];
    let replies = ground.app.all(&trials).await?;
    let [as_own, as_other, without] = replies.as_slice() else { return Ok(()) };
    let says = |reply: &Reply| reply.as_ref().ok().and_then(print);
    let control = if function.security_definer {
        format!(
            "as two tenants it answers {}",
            if says(as_own) == says(as_other) { "the same" } else { "differently" }
        )
    } else {
        "it runs as its caller, whose own reads and writes are probed".to_owned()
    };
    probes.push(match without {
        Err(refusal) if refusal.not_permitted() => unset.held(control),
        Err(refusal) => unset.refused(refusal),
        Ok(answer) if answer.number(0) == 0 => unset.held(control),
        Ok(_) if !function.security_definer => unset.held(control),
        Ok(_) if says(as_own) != says(as_other) && [says(as_own), says(as_other)].contains(&says(without)) => {
            let how = "without a context it answers as it does for a tenant, and as two tenants differently";
            unset.breached(how, control, ground.app.script(&trials[2]))
        }
        Ok(_) => unset.untested(
            "it answers without a context, and whether from scoped tables cannot be seen from outside (posture: BST-032)",
        ),
    });
    Ok(())
}

fn print(answer: &Answer) -> Option<String> {
    answer.results.last()?.rows.first()?.get(1)?.clone()
}

/// Why calling it would prove nothing, or do something.
fn not_called(function: &Function) -> Option<&'static str> {
    if function.kind != FunctionKind::Function {
        Some("only functions can be asked in a query")
    } else if !function.arguments.as_str().is_empty() {
        Some("it takes arguments, and what they mean is not known")
    } else if function.volatility == Volatility::Volatile {
        Some("it is VOLATILE, so calling it may do more than read")
    } else {
        None
    }
}
