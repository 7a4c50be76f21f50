//! A merchant that begins: its row, its owner and its shop, in one transaction of its own context.

use bastide_tenancy::{Error as Door, Kind, Lookup, Query, TenantPool, TenantTx};
use serde_json::json;
use uuid::Uuid;

use crate::Error;

pub(super) const SLUGS_TAKEN: Lookup =
    Lookup::new("SELECT slug FROM bastide.slugs_taken($1)", &[Kind::Jsonb]);

/// Of these, the ones that somebody has or had.
///
/// # Errors
/// When the database gives no answer.
pub async fn slugs_taken(pool: &TenantPool, wanted: &[String]) -> Result<Vec<String>, Error> {
    let rows = pool.lookup(&SLUGS_TAKEN, &[&json!(wanted)]).await?;
    let wrong = |_| Error::Column { entity: "slug", column: "slug" };
    rows.iter().map(|row| row.try_get("slug").map_err(wrong)).collect()
}

pub(super) const SLUG_AFTER: Lookup =
    Lookup::new("SELECT slug FROM bastide.slug_after($1) AS slug", &[Kind::Text]);

/// The slug by now of the merchant that had this one.
///
/// # Errors
/// When the database gives no answer.
pub async fn slug_after(pool: &TenantPool, slug: &str) -> Result<Option<String>, Error> {
    let rows = pool.lookup(&SLUG_AFTER, &[&slug]).await?;
    let wrong = |_| Error::Column { entity: "slug", column: "slug" };
    rows.first().map_or(Ok(None), |row| row.try_get("slug").map_err(wrong))
}

#[derive(Clone, Debug)]
pub struct NewMerchant<'a> {
    pub slug: &'a str,
    pub name: &'a str,
    pub currency: &'a str,
}

/// Why a merchant cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    #[error("the slug is or was another merchant's")]
    SlugTaken,
    #[error("the merchant keeps as many former slugs as it may")]
    SlugsKept,
    #[error("there is no such currency")]
    UnknownCurrency,
    #[error(transparent)]
    Failed(#[from] Error),
}

pub(super) const MAKE: Lookup = Lookup::new(
    "SELECT made FROM bastide.create_merchant($1, $2, $3) AS made",
    &[Kind::Text, Kind::Text, Kind::Text],
);

pub(super) const MAKE_STOREFRONT: Query = Query::new(
    "INSERT INTO public.storefront_configs (merchant_id) VALUES (bastide.current_tenant()::uuid)",
    &[],
);

/// In a transaction whose tenant is the id that was allocated for it.
///
/// # Errors
/// As [`NotMade`] tells them apart; the transaction can then only be rolled back.
pub async fn make(tx: &mut TenantTx, new: &NewMerchant<'_>) -> Result<(), NotMade> {
    tx.lookup(&MAKE, &[&new.slug, &new.name, &new.currency]).await.map_err(|error| match &error {
        Door::Database(said) if said.code == "23505" => NotMade::SlugTaken,
        Door::Database(said) if said.code == "23503" => NotMade::UnknownCurrency,
        _ => NotMade::Failed(error.into()),
    })?;
    tx.execute(&MAKE_STOREFRONT, &[]).await.map_err(Error::from)?;
    Ok(())
}

pub(super) const RENAME: Query = Query::new(
    "UPDATE public.merchants SET slug = $1 WHERE id = bastide.current_tenant()::uuid",
    &[Kind::Text],
);

/// The slug before leads to the new one from then on.
///
/// # Errors
/// As [`NotMade`] tells them apart; the transaction can then only be rolled back.
pub async fn rename(tx: &mut TenantTx, slug: &str) -> Result<(), NotMade> {
    tx.execute(&RENAME, &[&slug]).await.map(|_| ()).map_err(|error| match &error {
        Door::Database(said) if said.code == "23505" => NotMade::SlugTaken,
        Door::Database(said) if said.constraint.as_deref() == Some("merchants_slugs_kept") => {
            NotMade::SlugsKept
        }
        _ => NotMade::Failed(error.into()),
    })
}

pub(super) const CREATE_USER: Lookup = Lookup::new(
    "SELECT made FROM bastide.create_user($1, $2, $3, $4) AS made",
    &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Text],
);

#[derive(Clone)]
pub struct NewUser<'a> {
    pub id: Uuid,
    pub email: &'a str,
    pub name: &'a str,
    /// A PHC string.
    pub password_hash: &'a str,
}

/// False: somebody has that address.
///
/// # Errors
/// When the database gives no answer.
pub async fn create_user(tx: &mut TenantTx, new: &NewUser<'_>) -> Result<bool, Error> {
    let rows = tx.lookup(&CREATE_USER, &[&new.id, &new.email, &new.name, &new.password_hash]).await?;
    let made = rows.first().and_then(|row| row.try_get("made").ok());
    made.ok_or(Error::Column { entity: "user", column: "made" })
}
