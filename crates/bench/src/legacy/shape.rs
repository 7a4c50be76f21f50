//! The legacy databases: shops, a table that knows its shop, and a chain of tables below it that do not.

use anyhow::Context;
use bastide_connect::Target;
use bastide_sql::{Ident, Sql, sql};
use clap::ValueEnum;

/// Shops differ in size: the largest has some thirty times the rows of the median.
const SHOPS: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// Ten million orders, each of a customer who has a shop.
    OneHop,
    /// A million rows at the end of a chain of five references.
    FiveHops,
}

/// A table of rows without a tenant, and the table it refers to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    pub(crate) table: &'static str,
    pub(crate) parent: &'static str,
    rows: u32,
}

impl Case {
    pub(crate) const ALL: [Self; 2] = [Self::OneHop, Self::FiveHops];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneHop => "one_hop",
            Self::FiveHops => "five_hops",
        }
    }

    /// The table whose rows refer to their shop, and how many there are.
    fn known(self) -> (&'static str, u32) {
        match self {
            Self::OneHop => ("customers", 1_000_000),
            Self::FiveHops => ("branches", 2_000),
        }
    }

    /// Parents first.
    pub(crate) fn hops(self) -> &'static [Hop] {
        const ONE: [Hop; 1] = [Hop { table: "orders", parent: "customers", rows: 10_000_000 }];
        const FIVE: [Hop; 5] = [
            Hop { table: "registers", parent: "branches", rows: 4_000 },
            Hop { table: "shifts", parent: "registers", rows: 20_000 },
            Hop { table: "receipts", parent: "shifts", rows: 100_000 },
            Hop { table: "lines", parent: "receipts", rows: 400_000 },
            Hop { table: "refunds", parent: "lines", rows: 1_000_000 },
        ];
        match self {
            Self::OneHop => &ONE,
            Self::FiveHops => &FIVE,
        }
    }

    /// Rows without a tenant.
    pub(crate) fn orphans(self, scale: f64) -> i64 {
        self.hops().iter().map(|hop| scaled(hop.rows, scale)).sum()
    }

    /// Fills an empty database; the same rows every time. About 100 bytes a row, keys and references indexed, references
    /// to rows anywhere in the parent.
    pub(crate) async fn fill(self, target: &Target, scale: f64) -> anyhow::Result<()> {
        let client = target.connect("bastide bench").await?;
        let (known, rows) = self.known();
        client
            .batch_execute(
                "CREATE TABLE shops (id bigint PRIMARY KEY, slug text NOT NULL UNIQUE, name text NOT NULL)",
            )
            .await?;
        client
            .execute("INSERT INTO shops SELECT i, 'shop-' || i, 'Shop ' || i FROM generate_series(1, $1::bigint) AS i", &[&SHOPS])
            .await?;
        let mut above = (known, scaled(rows, scale));
        client.batch_execute(create(known, "shops", "shop_id").as_str()).await?;
        client.execute(insert(known, &skewed()).as_str(), &[&above.1, &SHOPS]).await.context(known)?;
        for hop in self.hops() {
            let rows = scaled(hop.rows, scale);
            client.batch_execute(create(hop.table, hop.parent, "parent_id").as_str()).await?;
            client
                .execute(insert(hop.table, &even()).as_str(), &[&rows, &above.1])
                .await
                .context(hop.table)?;
            above = (hop.table, rows);
        }
        for table in self.hops().iter().map(|hop| hop.table).chain([known]) {
            let column = Ident::constant(if table == known { "shop_id" } else { "parent_id" });
            let table = Ident::constant(table);
            client.batch_execute(sql!("CREATE INDEX ON {} ({})", table, column).as_str()).await?;
        }
        client.batch_execute("VACUUM (FREEZE, ANALYZE)").await?;
        client.close().await;
        Ok(())
    }

    /// The column of `table` that says whose a row is, once it has been filled.
    pub(crate) fn tenant_column(self, table: &'static str) -> Ident {
        Ident::constant(if table == self.known().0 { "shop_id" } else { "tenant_id" })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "ten million times ten at most")]
fn scaled(rows: u32, scale: f64) -> i64 {
    (f64::from(rows) * scale).ceil() as i64
}

fn create(table: &'static str, parent: &'static str, reference: &'static str) -> Sql {
    sql!(
        "CREATE TABLE {} (id bigint PRIMARY KEY, {} bigint NOT NULL REFERENCES {}, created_at timestamptz NOT NULL, amount numeric(12,2) NOT NULL, number text NOT NULL, note text NOT NULL)",
        Ident::constant(table),
        Ident::constant(reference),
        Ident::constant(parent)
    )
}

/// `$1` rows, each with a reference to one of `$2` parents.
fn insert(table: &'static str, reference: &Sql) -> Sql {
    sql!(
        "INSERT INTO {} SELECT i, {}, timestamptz '2020-01-01 00:00:00Z' + i * interval '13 seconds', (i % 100000) / 100.0, 'N-' || i, md5(i::text) FROM generate_series(1, $1::bigint) AS i",
        Ident::constant(table),
        reference
    )
}

fn even() -> Sql {
    sql!("1 + (hashint8extended(i, 7) & 9223372036854775807) % $2::bigint")
}

fn skewed() -> Sql {
    sql!(
        "1 + floor($2::bigint * power((hashint8extended(i, 7) & 2147483647) / 2147483648.0::double precision, 2))::bigint"
    )
}
