//! Stock: what there is, what carts hold, and how both change without anything being sold twice.
//!
//! Whoever changes stock or reservations of a variant locks its level first ([`LOCK`], in the order of variants, so that nobody waits in a
//! circle) and counts in a later statement, whose snapshot then has everything that others did before they let go. A reservation that has
//! expired counts nowhere; nothing has to sweep it for that to be true.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use bastide_tenancy::{Kind, Query, Row, TenantId, TenantPool, TenantTx};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Page, page};
use crate::{
    Changed, Error, Version,
    drafts::{Adjustment, Count},
    rows::{AdjustmentPosition, LevelPosition, StockAdjustment, StockLevel},
};

/// How many of which variant. A map, so that no variant is there twice, and all are locked in one order.
pub type Quantities = BTreeMap<i64, NonZeroU32>;

/// What came of an attempt on stock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "not enough stock is no error of the database's"]
pub enum Stocked {
    Done,
    /// Nothing was written.
    Short(Vec<Shortage>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub variant_id: i64,
    pub wanted: i64,
    /// To this holder. 0 also when there is no such variant.
    pub available: i64,
}

pub(super) const LOCK: Query = Query::new(
    "SELECT l.variant_id, l.on_hand, l.tracked FROM public.inventory_levels l \
     WHERE l.variant_id IN (SELECT k::bigint FROM pg_catalog.jsonb_object_keys($1) AS k) \
     ORDER BY l.variant_id FOR UPDATE OF l",
    &[Kind::Jsonb],
);

pub(super) const HELD_BY_OTHERS: Query = Query::new(
    "SELECT r.variant_id, pg_catalog.sum(r.quantity)::bigint AS held FROM public.reservations r \
     WHERE r.variant_id IN (SELECT k::bigint FROM pg_catalog.jsonb_object_keys($1) AS k) \
       AND r.holder <> $2 AND r.expires_at > pg_catalog.statement_timestamp() \
     GROUP BY r.variant_id",
    &[Kind::Jsonb, Kind::Uuid],
);

/// Takes expired ones of the same variants with it: whoever makes one again has to lock the level, too.
pub(super) const HOLD: Query = Query::new(
    "WITH expired AS ( \
         DELETE FROM public.reservations r WHERE r.variant_id IN (SELECT k::bigint FROM pg_catalog.jsonb_object_keys($1) AS k) \
             AND r.holder <> $2 AND r.expires_at <= pg_catalog.statement_timestamp()) \
     INSERT INTO public.reservations (tenant_id, variant_id, holder, quantity, expires_at) \
     SELECT bastide.current_tenant()::uuid, w.key::bigint, $2, w.value::bigint, \
            pg_catalog.statement_timestamp() + $3 * interval '1 second' \
     FROM pg_catalog.jsonb_each_text($1) AS w \
     ON CONFLICT ON CONSTRAINT reservations_pkey DO UPDATE SET quantity = EXCLUDED.quantity, expires_at = EXCLUDED.expires_at",
    &[Kind::Jsonb, Kind::Uuid, Kind::Int8],
);

/// Holds stock for a cart, instead of what it held of these variants before; all of it, or none. For three round trips, in a transaction
/// the caller ends soon: others wait for these variants until then.
///
/// # Errors
/// When the database gives no answer.
pub async fn reserve(
    tx: &mut TenantTx,
    holder: Uuid,
    wanted: &Quantities,
    lasting: Duration,
) -> Result<Stocked, Error> {
    let (asked, short) = shortages(tx, holder, wanted).await?;
    if !short.is_empty() {
        return Ok(Stocked::Short(short));
    }
    let seconds = i64::try_from(lasting.as_secs()).unwrap_or(i64::MAX).min(7 * 24 * 3600);
    tx.execute(&HOLD, &[&asked, &holder, &seconds]).await?;
    Ok(Stocked::Done)
}

pub(super) const TAKE: Query = Query::new(
    "WITH wanted AS (SELECT w.key::bigint AS variant_id, w.value::bigint AS quantity FROM pg_catalog.jsonb_each_text($1) AS w), \
     taken AS ( \
         UPDATE public.inventory_levels l SET on_hand = l.on_hand - w.quantity, version = l.version + 1 \
         FROM wanted w WHERE l.variant_id = w.variant_id AND l.tracked \
         RETURNING l.variant_id, w.quantity, l.on_hand), \
     let_go AS (DELETE FROM public.reservations r USING wanted w WHERE r.variant_id = w.variant_id AND r.holder = $2) \
     INSERT INTO public.stock_adjustments (tenant_id, variant_id, delta, on_hand, reason, note) \
     SELECT bastide.current_tenant()::uuid, t.variant_id, -t.quantity, t.on_hand, 'sold', $3 FROM taken t",
    &[Kind::Jsonb, Kind::Uuid, Kind::Text],
);

/// Takes stock for an order, and with it what its cart held; all of it, or none. `note` says for which order.
///
/// # Errors
/// When the database gives no answer.
pub async fn take(
    tx: &mut TenantTx,
    holder: Uuid,
    wanted: &Quantities,
    note: &str,
) -> Result<Stocked, Error> {
    let (asked, short) = shortages(tx, holder, wanted).await?;
    if !short.is_empty() {
        return Ok(Stocked::Short(short));
    }
    tx.execute(&TAKE, &[&asked, &holder, &note]).await?;
    Ok(Stocked::Done)
}

async fn shortages(
    tx: &mut TenantTx,
    holder: Uuid,
    wanted: &Quantities,
) -> Result<(Value, Vec<Shortage>), Error> {
    let asked = asked(wanted);
    let levels = tx.query(&LOCK, &[&asked]).await?;
    let held: BTreeMap<i64, i64> = tx
        .query(&HELD_BY_OTHERS, &[&asked, &holder])
        .await?
        .iter()
        .map(|row| Ok((get(row, "variant_id")?, get(row, "held")?)))
        .collect::<Result<_, Error>>()?;
    // None: without counting.
    let mut free: BTreeMap<i64, Option<i64>> = BTreeMap::new();
    for row in &levels {
        let (variant, on_hand): (i64, i64) = (get(row, "variant_id")?, get(row, "on_hand")?);
        let others = held.get(&variant).copied().unwrap_or(0);
        let counted = get::<bool>(row, "tracked")?.then(|| on_hand.saturating_sub(others).max(0));
        free.insert(variant, counted);
    }
    let short = wanted.iter().filter_map(|(variant, quantity)| {
        let (variant_id, wanted) = (*variant, i64::from(quantity.get()));
        let available = free.get(variant).copied().unwrap_or(Some(0))?;
        (available < wanted).then_some(Shortage { variant_id, wanted, available })
    });
    Ok((asked, short.collect()))
}

pub(super) const RELEASE: Query =
    Query::new("DELETE FROM public.reservations WHERE holder = $1", &[Kind::Uuid]);

/// What a cart held is anybody's again.
///
/// # Errors
/// When the database gives no answer.
pub async fn release(tx: &mut TenantTx, holder: Uuid) -> Result<(), Error> {
    tx.execute(&RELEASE, &[&holder]).await?;
    Ok(())
}

pub(super) const PUT_BACK: Query = Query::new(
    "WITH back AS ( \
         UPDATE public.inventory_levels l SET on_hand = l.on_hand + w.value::bigint, version = l.version + 1 \
         FROM pg_catalog.jsonb_each_text($1) AS w WHERE l.variant_id = w.key::bigint AND l.tracked \
         RETURNING l.variant_id, w.value::bigint AS quantity, l.on_hand) \
     INSERT INTO public.stock_adjustments (tenant_id, variant_id, delta, on_hand, reason, note, actor) \
     SELECT bastide.current_tenant()::uuid, b.variant_id, b.quantity, b.on_hand, 'returned', $2, $3 FROM back b",
    &[Kind::Jsonb, Kind::Text, Kind::Uuid],
);

/// Stock that comes back from an order. What is not there any more, or not counted, is passed over.
///
/// # Errors
/// When the database gives no answer.
pub async fn put_back(
    tx: &mut TenantTx,
    quantities: &Quantities,
    note: &str,
    actor: Option<Uuid>,
) -> Result<(), Error> {
    let asked = asked(quantities);
    // In the order of variants, as everybody.
    tx.query(&LOCK, &[&asked]).await?;
    tx.execute(&PUT_BACK, &[&asked, &note, &actor]).await?;
    Ok(())
}

fn asked(quantities: &Quantities) -> Value {
    let each = quantities.iter().map(|(variant, quantity)| (variant.to_string(), json!(quantity.get())));
    Value::Object(each.collect())
}

fn get<'a, T: bastide_tenancy::FromSql<'a>>(row: &'a Row, column: &'static str) -> Result<T, Error> {
    row.try_get(column).map_err(|_| Error::Column { entity: "stock", column })
}

macro_rules! level {
    ($rest:literal) => {
        concat!(
            "SELECT v.id AS variant_id, v.sku, \
                    CASE v.title WHEN '' THEN p.name ELSE p.name || ', ' || v.title END AS name, \
                    l.on_hand, l.tracked, l.version, r.reserved \
             FROM public.inventory_levels l \
             JOIN public.variants v ON v.id = l.variant_id \
             JOIN public.products p ON p.id = v.product_id \
             CROSS JOIN LATERAL (SELECT coalesce(pg_catalog.sum(r.quantity), 0)::bigint AS reserved FROM public.reservations r \
                 WHERE r.variant_id = l.variant_id AND r.expires_at > pg_catalog.statement_timestamp()) r ",
            $rest
        )
    };
}

pub(super) const GET: Query = Query::new(level!("WHERE l.variant_id = $1"), &[Kind::Int8]);

/// # Errors
/// When the database gives no answer.
pub async fn level(pool: &TenantPool, tenant: &TenantId, variant: i64) -> Result<Option<StockLevel>, Error> {
    pool.read(tenant, &GET, &[&variant]).await?.first().map(StockLevel::try_from).transpose()
}

/// # Errors
/// When the database gives no answer.
pub async fn level_in(tx: &mut TenantTx, variant: i64) -> Result<Option<StockLevel>, Error> {
    tx.query(&GET, &[&variant]).await?.first().map(StockLevel::try_from).transpose()
}

pub(super) const LIST: Query = Query::new(
    level!(
        "WHERE l.variant_id > $2 AND ($3 IS NULL OR (l.tracked AND l.on_hand - r.reserved < $3)) ORDER BY l.variant_id LIMIT $1"
    ),
    &[Kind::Int8, Kind::Int8, Kind::Int8],
);

/// By variant; with `below`, only those of which less can still be sold.
///
/// # Errors
/// When the database gives no answer.
pub async fn levels(
    pool: &TenantPool,
    tenant: &TenantId,
    below: Option<i64>,
    after: Option<LevelPosition>,
    limit: u16,
) -> Result<Page<StockLevel>, Error> {
    let (wanted, after) = (i64::from(limit) + 1, after.map_or(0, |after| after.variant_id));
    page(&pool.read(tenant, &LIST, &[&wanted, &after, &below]).await?, limit)
}

pub(super) const ADJUST: Query = Query::new(
    "WITH changed AS ( \
         UPDATE public.inventory_levels l SET on_hand = l.on_hand + $2, version = l.version + 1 \
         WHERE l.variant_id = $1 AND l.on_hand + $2 BETWEEN 0 AND 1000000000 \
         RETURNING l.variant_id, l.on_hand) \
     INSERT INTO public.stock_adjustments (tenant_id, variant_id, delta, on_hand, reason, note, actor) \
     SELECT bastide.current_tenant()::uuid, c.variant_id, $2, c.on_hand, $3, $4, $5 FROM changed c",
    &[Kind::Int8, Kind::Int8, Kind::Text, Kind::Text, Kind::Uuid],
);

/// What came of an adjustment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Adjusted {
    Now(StockLevel),
    /// There would be less than nothing, or more than anybody has. Nothing was written.
    Impossible {
        on_hand: i64,
    },
    Gone,
}

/// # Errors
/// When the database gives no answer.
pub async fn adjust(
    tx: &mut TenantTx,
    variant: i64,
    adjustment: &Adjustment,
    actor: Uuid,
) -> Result<Adjusted, Error> {
    let written = tx
        .execute(&ADJUST, &[&variant, &adjustment.delta, &adjustment.reason.name(), &adjustment.note, &actor])
        .await?;
    Ok(match (level_in(tx, variant).await?, written) {
        (Some(level), 1) => Adjusted::Now(level),
        (Some(level), _) => Adjusted::Impossible { on_hand: level.on_hand },
        (None, _) => Adjusted::Gone,
    })
}

pub(super) const SET: Query = Query::new(
    "WITH before AS (SELECT l.variant_id, l.on_hand FROM public.inventory_levels l WHERE l.variant_id = $1 FOR UPDATE), \
     changed AS ( \
         UPDATE public.inventory_levels l SET on_hand = $2, tracked = $3, version = l.version + 1 FROM before b \
         WHERE l.variant_id = b.variant_id AND ($7 IS NULL OR l.version = $7) \
         RETURNING l.variant_id, l.on_hand, l.on_hand - b.on_hand AS delta) \
     INSERT INTO public.stock_adjustments (tenant_id, variant_id, delta, on_hand, reason, note, actor) \
     SELECT bastide.current_tenant()::uuid, c.variant_id, c.delta, c.on_hand, $4, $5, $6 FROM changed c",
    &[Kind::Int8, Kind::Int8, Kind::Bool, Kind::Text, Kind::Text, Kind::Uuid, Kind::Int8],
);

/// As it was counted, over what was read.
///
/// # Errors
/// When the database gives no answer.
pub async fn set(
    tx: &mut TenantTx,
    variant: i64,
    version: Version,
    count: &Count,
    actor: Uuid,
) -> Result<Changed<StockLevel>, Error> {
    let written = tx
        .execute(
            &SET,
            &[
                &variant,
                &count.on_hand,
                &count.tracked,
                &count.reason.name(),
                &count.note,
                &actor,
                &version.parameter(),
            ],
        )
        .await?;
    let level = level_in(tx, variant).await?;
    let current = level.as_ref().map(|level| level.version);
    Ok(Changed::of(level.filter(|_| written == 1), current))
}

pub(super) const HISTORY: Query = Query::new(
    "SELECT id, delta, on_hand, reason, note, actor, at FROM public.stock_adjustments \
     WHERE variant_id = $2 AND ($3 IS NULL OR id < $3) ORDER BY id DESC LIMIT $1",
    &[Kind::Int8, Kind::Int8, Kind::Int8],
);

/// Newest first.
///
/// # Errors
/// When the database gives no answer.
pub async fn history(
    pool: &TenantPool,
    tenant: &TenantId,
    variant: i64,
    after: Option<AdjustmentPosition>,
    limit: u16,
) -> Result<Page<StockAdjustment>, Error> {
    let (wanted, after) = (i64::from(limit) + 1, after.map(|after| after.id));
    page(&pool.read(tenant, &HISTORY, &[&wanted, &variant, &after]).await?, limit)
}
