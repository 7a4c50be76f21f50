//! Products on sale, found by words, narrowed and ordered.
//!
//! Words are looked up in rows led by the tenant (`product_terms`, `terms`), by equality and range: these are leakproof, so that below the
//! tenant's policy an index serves them. A word that nothing begins with is taken for a misspelling, and compared with the tenant's own words.

use bastide_tenancy::{Kind, Query, Row, TenantId, TenantPool};

use super::{Page, page};
use crate::{
    Error,
    rows::{Facets, Product, SearchPosition},
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// How well it fits the words.
    Relevance,
    #[default]
    Newest,
    PriceUp,
    PriceDown,
    Name,
}

impl Sort {
    pub const ALL: [Self; 5] = [Self::Relevance, Self::Newest, Self::PriceUp, Self::PriceDown, Self::Name];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Newest => "newest",
            Self::PriceUp => "price",
            Self::PriceDown => "-price",
            Self::Name => "name",
        }
    }
}

/// What products are narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub words: Option<String>,
    /// With all below it.
    pub category_id: Option<i64>,
    pub lowest: Option<i64>,
    pub highest: Option<i64>,
    pub available: bool,
    /// Name and value.
    pub option: Option<(String, String)>,
}

/// `$1` words, `$2` category, `$3` and `$4` prices, `$5` available, `$6` and `$7` option.
macro_rules! found {
    ($rest:literal) => {
        concat!(
            "WITH RECURSIVE shelves AS ( \
                 SELECT c.id FROM public.categories c WHERE c.id = $2 \
                 UNION SELECT c.id FROM shelves s JOIN public.categories c ON c.parent_id = s.id), \
             asked AS MATERIALIZED ( \
                 SELECT a.lexeme COLLATE \"C\" AS word \
                 FROM pg_catalog.unnest(pg_catalog.to_tsvector('pg_catalog.simple', coalesce($1, ''))) a LIMIT 8), \
             near AS MATERIALIZED ( \
                 SELECT a.word, t.term, CASE WHEN t.term = a.word THEN 4 ELSE 2 END AS factor FROM asked a \
                 CROSS JOIN LATERAL (SELECT t.term FROM public.terms t \
                     WHERE t.term >= a.word AND t.term < a.word || '\u{10FFFF}' ORDER BY t.term LIMIT 50) t), \
             typos AS MATERIALIZED ( \
                 SELECT a.word, t.term, 1 AS factor FROM asked a \
                 CROSS JOIN LATERAL (SELECT t.term FROM public.terms t WHERE public.term_similarity(t.term, a.word) >= 0.3 \
                     ORDER BY public.term_similarity(t.term, a.word) DESC, t.term LIMIT 5) t \
                 WHERE pg_catalog.length(a.word) >= 3 AND NOT EXISTS (SELECT FROM near n WHERE n.word = a.word)), \
             hits AS MATERIALIZED ( \
                 SELECT w.product_id, sum(w.score)::bigint AS score FROM ( \
                     SELECT t.product_id, n.word, max(n.factor * t.weight) AS score \
                     FROM (SELECT * FROM near UNION ALL SELECT * FROM typos) n JOIN public.product_terms t ON t.term = n.term \
                     GROUP BY t.product_id, n.word) w \
                 GROUP BY w.product_id HAVING count(*) = (SELECT count(*) FROM asked)), \
             found AS ( \
                 SELECT p.id, p.name, p.slug, p.description, p.from_cents, p.from_currency, p.created_at, p.category_id, \
                        coalesce(h.score, 0) AS score \
                 FROM public.products p LEFT JOIN hits h ON h.product_id = p.id \
                 WHERE p.status = 'active' AND p.from_cents IS NOT NULL AND ($1 IS NULL OR h.product_id IS NOT NULL) \
                   AND ($2 IS NULL OR p.category_id IN (SELECT s.id FROM shelves s)) \
                   AND ($3 IS NULL OR p.from_cents >= $3) AND ($4 IS NULL OR p.from_cents <= $4) \
                   AND (NOT $5 OR EXISTS (SELECT FROM public.variants v JOIN public.inventory_levels l ON l.variant_id = v.id \
                        WHERE v.product_id = p.id AND v.status = 'active' AND (NOT l.tracked OR l.on_hand > ( \
                            SELECT coalesce(sum(r.quantity), 0) FROM public.reservations r \
                            WHERE r.variant_id = v.id AND r.expires_at > pg_catalog.statement_timestamp())))) \
                   AND ($6 IS NULL OR EXISTS (SELECT FROM public.variants v \
                        WHERE v.product_id = p.id AND v.status = 'active' AND v.options ->> $6 = $7))) ",
            $rest
        )
    };
}

macro_rules! sorted {
    ($($name:ident $rest:literal;)*) => {
        $(pub(super) const $name: Query = Query::new(
            found!($rest),
            &[
                Kind::Text, Kind::Int8, Kind::Int8, Kind::Int8, Kind::Bool, Kind::Text, Kind::Text, Kind::Int8, Kind::Int8, Kind::Int8, Kind::Text,
            ],
        );)*
    };
}

// `$8` the limit; the end of the page before: `$9` its id, `$10` its score or price, `$11` its name.
sorted! {
    BY_RELEVANCE "SELECT f.* FROM found f WHERE $11 IS NULL AND ($9 IS NULL OR (f.score, f.id) < ($10, $9)) ORDER BY f.score DESC, f.id DESC LIMIT $8";
    BY_AGE "SELECT f.* FROM found f WHERE $10 IS NULL AND $11 IS NULL AND ($9 IS NULL OR f.id < $9) ORDER BY f.id DESC LIMIT $8";
    BY_PRICE "SELECT f.* FROM found f WHERE $11 IS NULL AND ($9 IS NULL OR (f.from_cents, f.id) > ($10, $9)) ORDER BY f.from_cents, f.id LIMIT $8";
    BY_PRICE_DOWN "SELECT f.* FROM found f WHERE $11 IS NULL AND ($9 IS NULL OR (f.from_cents, f.id) < ($10, $9)) ORDER BY f.from_cents DESC, f.id DESC LIMIT $8";
    BY_NAME "SELECT f.* FROM found f WHERE $10 IS NULL AND ($9 IS NULL OR (f.name COLLATE \"C\", f.id) > ($11, $9)) ORDER BY f.name COLLATE \"C\", f.id LIMIT $8";
}

/// A product, and where it is in this order.
pub struct Found {
    pub product: Product,
    pub position: SearchPosition,
}

struct Ranked(Product, i64);

impl TryFrom<&Row> for Ranked {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let score = row.try_get("score").map_err(|_| Error::Column { entity: "product", column: "score" })?;
        Ok(Self(Product::try_from(row)?, score))
    }
}

/// # Errors
/// When the database gives no answer.
pub async fn products(
    pool: &TenantPool,
    tenant: &TenantId,
    wanted: &Wanted,
    sort: Sort,
    after: Option<SearchPosition>,
    limit: u16,
) -> Result<Page<Found>, Error> {
    let query = match sort {
        Sort::Relevance => &BY_RELEVANCE,
        Sort::Newest => &BY_AGE,
        Sort::PriceUp => &BY_PRICE,
        Sort::PriceDown => &BY_PRICE_DOWN,
        Sort::Name => &BY_NAME,
    };
    let (name, value) = wanted.option.clone().unzip();
    let (id, number, text) =
        after.map_or((None, None, None), |after| (Some(after.id), after.number, after.text));
    let most = i64::from(limit) + 1;
    let rows = pool
        .read(
            tenant,
            query,
            &[
                &wanted.words,
                &wanted.category_id,
                &wanted.lowest,
                &wanted.highest,
                &wanted.available,
                &name,
                &value,
                &most,
                &id,
                &number,
                &text,
            ],
        )
        .await?;
    let ranked: Page<Ranked> = page(&rows, limit)?;
    let place = |Ranked(product, score): Ranked| {
        let (number, text) = match sort {
            Sort::Relevance => (Some(score), None),
            Sort::Newest => (None, None),
            Sort::PriceUp | Sort::PriceDown => (Some(product.price.amount), None),
            Sort::Name => (None, Some(product.name.clone())),
        };
        Found { position: SearchPosition { id: product.id, number, text }, product }
    };
    Ok(Page { rows: ranked.rows.into_iter().map(place).collect(), has_more: ranked.has_more })
}

/// Of 1000 products at most.
pub(super) const FACETS: Query = Query::new(
    found!(
        ", capped AS MATERIALIZED (SELECT f.id, f.category_id, f.from_cents FROM found f ORDER BY f.score DESC, f.id DESC LIMIT 1001), \
         counted AS MATERIALIZED (SELECT s.* FROM capped s LIMIT 1000) \
         SELECT pg_catalog.jsonb_build_object( \
             'count', (SELECT count(*) FROM counted), \
             'at_least', (SELECT count(*) > 1000 FROM capped), \
             'lowest', (SELECT min(from_cents) FROM counted), \
             'highest', (SELECT max(from_cents) FROM counted), \
             'available', (SELECT count(*) FROM counted s WHERE EXISTS ( \
                 SELECT FROM public.variants v JOIN public.inventory_levels l ON l.variant_id = v.id \
                 WHERE v.product_id = s.id AND v.status = 'active' AND (NOT l.tracked OR l.on_hand > ( \
                     SELECT coalesce(sum(r.quantity), 0) FROM public.reservations r \
                     WHERE r.variant_id = v.id AND r.expires_at > pg_catalog.statement_timestamp())))), \
             'categories', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', c.category_id, 'count', c.n) \
                 ORDER BY c.n DESC, c.category_id), '[]') FROM (SELECT s.category_id, count(*) AS n FROM counted s \
                 WHERE s.category_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100) c), \
             'options', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', o.name, 'value', o.value, 'count', o.n) \
                 ORDER BY o.name, o.n DESC, o.value), '[]') FROM (SELECT e.key AS name, e.value, count(DISTINCT v.product_id) AS n \
                 FROM counted s JOIN public.variants v ON v.product_id = s.id AND v.status = 'active', pg_catalog.jsonb_each_text(v.options) e \
                 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 100) o)) AS facets"
    ),
    &[Kind::Text, Kind::Int8, Kind::Int8, Kind::Int8, Kind::Bool, Kind::Text, Kind::Text],
);

/// How many there are of what, among the products that are wanted.
///
/// # Errors
/// When the database gives no answer.
pub async fn facets(pool: &TenantPool, tenant: &TenantId, wanted: &Wanted) -> Result<Facets, Error> {
    let (name, value) = wanted.option.clone().unzip();
    let rows = pool
        .read(
            tenant,
            &FACETS,
            &[
                &wanted.words,
                &wanted.category_id,
                &wanted.lowest,
                &wanted.highest,
                &wanted.available,
                &name,
                &value,
            ],
        )
        .await?;
    let row = rows.first().ok_or(Error::Column { entity: "facets", column: "facets" })?;
    Facets::try_from(row)
}

/// Only words of products on sale: those of drafts are nobody's business.
pub(super) const SUGGEST: Query = Query::new(
    "WITH asked AS MATERIALIZED (SELECT pg_catalog.lower($1) COLLATE \"C\" AS word), \
     near AS MATERIALIZED (SELECT t.term, 2::real AS fit FROM asked a CROSS JOIN LATERAL (SELECT t.term FROM public.terms t \
         WHERE t.term >= a.word AND t.term < a.word || '\u{10FFFF}' ORDER BY t.term LIMIT 50) t), \
     typos AS MATERIALIZED (SELECT t.term, public.term_similarity(t.term, a.word) AS fit FROM asked a CROSS JOIN public.terms t \
         WHERE pg_catalog.length(a.word) >= 3 AND public.term_similarity(t.term, a.word) >= 0.3 AND NOT EXISTS (SELECT FROM near)) \
     SELECT n.term FROM (SELECT * FROM near UNION ALL SELECT * FROM typos) n \
     WHERE EXISTS (SELECT FROM public.product_terms t JOIN public.products p ON p.id = t.product_id \
         WHERE t.term = n.term AND p.status = 'active') \
     ORDER BY n.fit DESC, n.term LIMIT 10",
    &[Kind::Text],
);

/// Words that begin like this, or else are like it.
///
/// # Errors
/// When the database gives no answer.
pub async fn suggestions(pool: &TenantPool, tenant: &TenantId, text: &str) -> Result<Vec<String>, Error> {
    let rows = pool.read(tenant, &SUGGEST, &[&text]).await?;
    let missing = |_| Error::Column { entity: "suggestion", column: "term" };
    rows.iter().map(|row| row.try_get("term").map_err(missing)).collect()
}
