//! Sealed contexts, and whoever holds one tenant's token and may run what he likes: nothing he puts into the setting is
//! another tenant's.

use bastide_record::{Cell, Context, Path, Verb};
use bastide_sql::{Literal, Sql, sql};

use super::{
    Case, Ground,
    attempt::Trial,
    subject::{Side, Subject},
};
use crate::{Probe, VerifyError};

/// What is put into the setting.
struct Forgery {
    what: &'static str,
    value: Sql,
}

pub(super) async fn probe(
    ground: &Ground<'_>,
    best: Option<&Subject<'_>>,
    probes: &mut Vec<Probe>,
) -> Result<(), VerifyError> {
    if !ground.posture.catalog.server.sealed_context {
        return Ok(());
    }
    let cell = |what: &str| Cell {
        object: format!("{}: {what}", ground.posture.app),
        path: Path::Session,
        verb: Verb::Forge,
        context: Context::Other,
    };
    let sides = best.and_then(|subject| Some((subject, subject.own.as_ref()?, subject.other.as_ref()?)));
    let Some((subject, own, other)) = sides.filter(|(_, _, other)| other.rows > 0) else {
        probes.push(Case(cell("any token")).untested("no scoped table in reach has rows of two tenants"));
        return Ok(());
    };
    let rows = sql!(
        "SELECT count(*) FROM (SELECT FROM {} WHERE {} = {} LIMIT 1000) AS seen",
        subject.table.name,
        subject.column,
        subject.value(&other.key)
    );
    let control = Cell { verb: Verb::Select, ..cell("its own token") };
    let seen = match ground.app.one(&Trial::new(control, &other.key, vec![rows.clone()])).await? {
        Ok(answer) => answer.number(0),
        Err(refusal) => {
            probes.push(Case(cell("any token")).refused(&refusal));
            return Ok(());
        }
    };
    for Forgery { what, value } in forgeries(ground, own, other).await? {
        let case = Case(cell(what));
        let set = sql!("SELECT pg_catalog.set_config('bastide.tenant', {}, true) IS NULL", value);
        let trial = Trial::new(case.0.clone(), &own.key, vec![set, rows.clone()]);
        let control = format!("that tenant's own token shows {seen} rows of {}", subject.object);
        probes.push(match ground.app.one(&trial).await? {
            _ if seen == 0 => case.untested("that tenant's own token shows none of its rows either"),
            Err(refusal) if !refusal.early && refusal.no_key() => case.held(control),
            Ok(answer) if answer.number(0) == 0 => case.held(control),
            Ok(answer) => {
                let how =
                    format!("{what} passes for another tenant: {} of its rows are seen", answer.number(0));
                case.breached(how, control, ground.app.script(&trial))
            }
            Err(refusal) => case.refused(&refusal),
        });
    }
    Ok(())
}

/// Made from the token that is set by the server itself, so that none is in a script. Those the owner makes are of no use to anybody.
async fn forgeries(ground: &Ground<'_>, own: &Side, other: &Side) -> Result<Vec<Forgery>, VerifyError> {
    let token = sql!("pg_catalog.current_setting('bastide.tenant')");
    let key = Literal::text(other.key.as_str());
    let head = sql!("left({}, length({}) - length({}))", token, token, Literal::text(own.key.as_str()));
    let part = |at: i32| sql!("split_part({}, '.', {})", token, at);
    let made = async |login: &str, lifetime: &str| {
        let row = ground
            .owner
            .query_one(
                "SELECT bastide.seal($1, $2::text::name, $3::text::interval)",
                &[&other.key, &login, &lifetime],
            )
            .await
            .map_err(VerifyError::reading("a sealed tenant context"))?;
        Ok::<Sql, VerifyError>(sql!("{}", Literal::text(row.get::<_, String>(0))))
    };
    Ok(vec![
        Forgery { what: "a bare key", value: sql!("{}", key) },
        Forgery { what: "a token with another tenant in it", value: sql!("{} || {}", head, key) },
        Forgery {
            what: "a token with another code",
            value: sql!(
                "'v1.' || {} || '.' || {} || '.' || reverse({}) || '.' || {}",
                part(2),
                part(3),
                part(4),
                key
            ),
        },
        Forgery {
            what: "a token with a code of its own making",
            value: sql!(
                "'v1.' || {} || '.' || {} || '.' || encode(sha256(convert_to({}, 'UTF8')), 'hex') || '.' || {}",
                part(2),
                part(3),
                key,
                key
            ),
        },
        Forgery {
            what: "a token of a key that is not there",
            value: sql!("'v1.0.' || {} || '.' || {} || '.' || {}", part(3), part(4), key),
        },
        Forgery { what: "another login's token", value: made("bastide_owner", "1 minute").await? },
        Forgery { what: "an expired token", value: made(ground.app.login(), "-1 second").await? },
    ])
}
