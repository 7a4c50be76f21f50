//! One merchant's team. Who is in it is read through a function, since users belong to no merchant; it is changed under row security.

use bastide_tenancy::{Kind, Query, Row, TenantId, TenantPool, TenantTx};
use uuid::Uuid;

use crate::{Error, rows::TeamMember};

pub(super) const OF_MERCHANT: Query =
    Query::new("SELECT user_id, email, name, role, active FROM bastide.team_of()", &[]);

/// By name.
///
/// # Errors
/// When the database gives no answer.
pub async fn of_merchant(pool: &TenantPool, tenant: &TenantId) -> Result<Vec<TeamMember>, Error> {
    pool.read(tenant, &OF_MERCHANT, &[]).await?.iter().map(TeamMember::try_from).collect()
}

pub(super) const ROLE: Query =
    Query::new("SELECT role FROM public.team_members WHERE user_id = $1 FOR SHARE", &[Kind::Uuid]);

/// A member's role, which stays what it is until the transaction ends.
///
/// # Errors
/// When the database gives no answer.
pub async fn role(tx: &mut TenantTx, user: Uuid) -> Result<Option<String>, Error> {
    tx.query(&ROLE, &[&user]).await?.first().map(|row| column(row, "role")).transpose()
}

pub(super) const LOCK: Query = Query::new(
    "SELECT user_id, role FROM public.team_members WHERE role = 'owner' OR user_id IN ($1, $2) ORDER BY id FOR UPDATE",
    &[Kind::Uuid, Kind::Uuid],
);

/// Roles as they are, and stay until the transaction ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Of who asks; none when they are out by now.
    pub own: Option<String>,
    pub member: Option<String>,
    /// Besides the member.
    pub other_owners: usize,
}

/// Who asks, a member, and all owners, in one order for everybody: of two owners who let each other go, one stays.
///
/// # Errors
/// When the database gives no answer.
pub async fn lock(tx: &mut TenantTx, own: Uuid, member: Uuid) -> Result<Locked, Error> {
    let mut locked = Locked { own: None, member: None, other_owners: 0 };
    for row in &tx.query(&LOCK, &[&own, &member]).await? {
        let (user, role): (Uuid, String) = (column(row, "user_id")?, column(row, "role")?);
        locked.other_owners += usize::from(user != member && role == "owner");
        if user == own {
            locked.own = Some(role.clone());
        }
        if user == member {
            locked.member = Some(role);
        }
    }
    Ok(locked)
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
