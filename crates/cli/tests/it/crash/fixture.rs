//! What is migrated, harmed and taken back: the smallest shop, the demo's, every shape, and real databases where they are.

use bastide_demo::LegacyShop;
use bastide_sql::Ident;
use bastide_testkit::{Database, Server, legacy, server_with};

#[derive(Clone, Copy)]
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    load: Load,
    /// Of `rls plan`; the other schemas of a fixture are left out.
    root: Root,
    /// `bastide.toml`.
    pub(crate) settings: &'static str,
}

#[derive(Clone, Copy)]
enum Load {
    Sql(&'static str),
    /// The demo's shop, a hundredth of it.
    Shop,
    Real(&'static str),
}

#[derive(Clone, Copy)]
enum Root {
    Table(&'static str),
    New(&'static str),
    /// `schema.shop` of the fixture that has a schema for each type of key.
    KeyType(&'static str),
}

macro_rules! shape {
    ($file:literal, $name:expr, $root:expr) => {
        Fixture {
            name: $name,
            load: Load::Sql(include_str!(concat!("../../../../../fixtures/legacy/shapes/", $file, ".sql"))),
            root: $root,
            settings: "",
        }
    };
}

macro_rules! key_types {
    ($($name:literal),*) => {
        const KEY_TYPES: &[&str] = &[$($name),*];
        const BY_KEY_TYPE: &[Fixture] = &[$(shape!("key_types", $name, Root::KeyType($name))),*];
    };
}

key_types![
    "by_serial",
    "by_identity",
    "by_bigint",
    "by_varchar",
    "by_text",
    "by_uuid",
    "by_domain",
    "by_numeric"
];

/// The smallest shop that needs every kind of step but a new root.
pub(crate) const SMALL: Fixture = Fixture {
    name: "small",
    load: Load::Sql(include_str!("../../../../engine/tests/it/small.sql")),
    root: Root::Table("public.merchants"),
    settings: "[answers]\n\"link:public.orders:orders_seller_id_fkey\" = \"cut\"\n",
};

/// The kind that [`SMALL`] has not.
pub(crate) const NEW_ROOT: Fixture = shape!("names", "new_root", Root::New(r#""a.b""c'd"."My ""Tenants""""#));

const SHAPES: &[Fixture] = &[
    shape!("names", "names", Root::Table(r#""order"."Mixed ""Case"".Shop""#)),
    shape!("references", "references", Root::Table("public.shop")),
    shape!("cycles", "cycles", Root::Table("public.shop")),
    shape!("types", "types", Root::Table("public.shop")),
    shape!("partitions", "partitions", Root::Table("public.shop")),
    shape!("inheritance", "inheritance", Root::Table("public.shop")),
    shape!("rows", "rows", Root::Table("public.shop")),
    shape!("one_tenant", "one_tenant", Root::Table("public.shop")),
    shape!("no_tenants", "no_tenants", Root::Table("public.shop")),
    shape!("views", "views", Root::Table("sales.shop")),
    shape!("details", "details", Root::Table("public.shop")),
    shape!("collations", "collations", Root::Table("public.shop")),
];

const SHOP: Fixture =
    Fixture { name: "shop", load: Load::Shop, root: Root::Table("public.merchants"), settings: "" };

const BOUNDARY: &str = "[answers]\n\"boundary:public.store\" = \"accept\"\n";

const REAL: &[Fixture] = &[
    Fixture { name: "sakila", load: Load::Real("sakila"), root: Root::New("tenants"), settings: "" },
    Fixture {
        name: "sakila_by_store",
        load: Load::Real("sakila"),
        root: Root::Table("public.store"),
        settings: BOUNDARY,
    },
    Fixture {
        name: "northwind",
        load: Load::Real("northwind"),
        root: Root::Table("public.customers"),
        settings: "",
    },
    Fixture {
        name: "chinook",
        load: Load::Real("chinook"),
        root: Root::Table("public.customer"),
        settings: "",
    },
];

pub(crate) fn all() -> Vec<Fixture> {
    let real = if bastide_testkit::legacy_data().is_some() { REAL } else { &[] };
    [&[SMALL, NEW_ROOT], SHAPES, BY_KEY_TYPE, &[SHOP], real].concat()
}

impl Fixture {
    /// On a server of its own, which takes prepared transactions; `None` where a real one is absent.
    pub(crate) async fn load(&self) -> Option<(Server, Database)> {
        if let Load::Real(name) = self.load {
            return legacy(name).await;
        }
        let server = server_with(&[("max_prepared_transactions", "5")]).await;
        let db = match self.load {
            Load::Sql(text) => {
                let db = server.database("crash").await;
                db.execute(text).await;
                db
            }
            Load::Shop | Load::Real(_) => {
                let maintenance = bastide_connect::Target::parse(&server.existing("postgres").url()).unwrap();
                let shop = LegacyShop { seed: 1, scale: 0.01 };
                shop.create(&maintenance, &Ident::constant("crash")).await.unwrap();
                server.existing("crash")
            }
        };
        Some((server, db))
    }

    pub(crate) fn planning(&self) -> Vec<String> {
        let word = |word: &str| word.to_owned();
        let root = match self.root {
            Root::Table(name) => vec![word("--tenant-root"), word(name)],
            Root::New(name) => vec![word("--new-tenant-root"), word(name)],
            Root::KeyType(schema) => {
                let others = KEY_TYPES.iter().filter(|other| **other != schema);
                let excluded = others.flat_map(|other| [word("--exclude-schema"), word(other)]);
                [word("--tenant-root"), format!("{schema}.shop")].into_iter().chain(excluded).collect()
            }
        };
        [vec![word("rls"), word("plan"), word("--accept-defaults")], root].concat()
    }
}
