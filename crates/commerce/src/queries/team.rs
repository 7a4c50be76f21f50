//! One merchant's team. Who is in it is read through a function, since users belong to no merchant; it is changed under row security.

use bastide_tenancy::{Kind, Lookup, Query, Row, TenantPool, TenantTx};
use uuid::Uuid;

use crate::{Error, rows::TeamMember};

pub(super) const OF_MERCHANT: Lookup =
    Lookup::new("SELECT user_id, email, name, role, active FROM bastide.team_of($1)", &[Kind::Uuid]);

/// By name.
///
/// # Errors
/// When the database gives no answer.
pub async fn of_merchant(pool: &TenantPool, merchant: Uuid) -> Result<Vec<TeamMember>, Error> {
    pool.lookup(&OF_MERCHANT, &[&merchant]).await?.iter().map(TeamMember::try_from).collect()
}

pub(super) const LOCK: Query = Query::new(
    "SELECT user_id, role FROM public.team_members WHERE role = 'owner' OR user_id = $1 ORDER BY id FOR UPDATE",
    &[Kind::Uuid],
);

/// A member's role and how many other owners there are, with all of them locked: of two owners who let each other go, one stays.
///
/// # Errors
/// When the database gives no answer.
pub async fn lock(tx: &mut TenantTx, user: Uuid) -> Result<Option<(String, usize)>, Error> {
    let rows = tx.query(&LOCK, &[&user]).await?;
    let (mut own, mut others) = (None, 0);
    for row in &rows {
        let role: String = column(row, "role")?;
        if column::<Uuid>(row, "user_id")? == user {
            own = Some(role);
        } else {
            others += 1;
        }
    }
    Ok(own.map(|role| (role, others)))
}

pub(super) const ADD: Query = Query::new(
    "INSERT INTO public.team_members (merchant_id, user_id, role) VALUES (bastide.current_tenant()::uuid, $1, $2) \
     ON CONFLICT (merchant_id, user_id) DO NOTHING",
    &[Kind::Uuid, Kind::Text],
);

/// False: they are in it already.
///
/// # Errors
/// When the database gives no answer.
pub async fn add(tx: &mut TenantTx, user: Uuid, role: &str) -> Result<bool, Error> {
    Ok(tx.execute(&ADD, &[&user, &role]).await? > 0)
}

pub(super) const SET_ROLE: Query =
    Query::new("UPDATE public.team_members SET role = $2 WHERE user_id = $1", &[Kind::Uuid, Kind::Text]);

/// # Errors
/// When the database gives no answer.
pub async fn set_role(tx: &mut TenantTx, user: Uuid, role: &str) -> Result<(), Error> {
    tx.execute(&SET_ROLE, &[&user, &role]).await?;
    Ok(())
}

pub(super) const REMOVE: Query =
    Query::new("DELETE FROM public.team_members WHERE user_id = $1", &[Kind::Uuid]);

/// # Errors
/// When the database gives no answer.
pub async fn remove(tx: &mut TenantTx, user: Uuid) -> Result<(), Error> {
    tx.execute(&REMOVE, &[&user]).await?;
    Ok(())
}

fn column<'a, T: bastide_tenancy::FromSql<'a>>(row: &'a Row, column: &'static str) -> Result<T, Error> {
    row.try_get(column).map_err(|_| Error::Column { entity: "team member", column })
}
