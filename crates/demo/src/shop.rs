//! The legacy shop: one database, many merchants, the dirt of real life. The same seed and scale give the same rows on
//! every machine.

use std::collections::BTreeMap;

use argon2::{Argon2, password_hash::PasswordHasher};
use bastide_connect::{ConnectError, Target};
use bastide_sql::{Ident, sql};

const SCHEMA: &str = include_str!("../../../fixtures/legacy/shop/schema.sql");
const FILL: &str = include_str!("fill.sql");

/// Of every log-in of the demo. It opens nothing but a private database of invented people.
pub const DEMO_PASSWORD: &str = "bastide-demo";

const OWNER: &str = "shop_owner";
const LEGACY_LOGIN: &str = "shop_legacy";

#[derive(Clone, Copy, Debug)]
pub struct LegacyShop {
    pub seed: u64,
    /// 1 is about 12 merchants, 60,000 orders and 290,000 rows.
    pub scale: f64,
}

/// Somebody who may sign in to one merchant's admin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIn {
    pub merchant: &'static str,
    pub email: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    #[error("--scale {0} is out of range: it is a positive number up to 100, and 1 makes about 290,000 rows")]
    Scale(f64),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("cannot {doing}: {source}")]
    Database { doing: &'static str, source: tokio_postgres::Error },
    #[error("cannot hash the demo password: {0}")]
    Hash(argon2::password_hash::Error),
}

impl LegacyShop {
    /// Two shops to look at, and who may sign in to them.
    pub const LOG_INS: [LogIn; 2] = [
        LogIn { merchant: "atelier-lumiere", email: "owner@atelier-lumiere.example" },
        LogIn { merchant: "nordlicht-kaffee", email: "owner@nordlicht-kaffee.example" },
    ];

    /// What is answered when the shop is migrated: the questions whose defaults hang on how many of its rows two merchants use.
    /// The platform's schema (`migrations/0001_shop`) is the same for a large shop and a small one.
    #[must_use]
    pub fn answers(&self) -> BTreeMap<String, String> {
        let mut answers = vec![("class:public.customers", "scoped"), ("class:public.users", "closed")];
        // The dozen orders that cross are more than one in a hundred of so few.
        if self.scale < 0.03 {
            answers.push(("boundary:public.merchants", "accept"));
        }
        answers.into_iter().map(|(question, answer)| (question.to_owned(), answer.to_owned())).collect()
    }

    /// Makes `database` anew (dropping one of that name, and the roles of an earlier demo) and fills it.
    ///
    /// # Errors
    /// When the scale is out of range, or the server refuses.
    pub async fn create(&self, server: &Target, database: &Ident) -> Result<Target, ShopError> {
        if !(self.scale > 0.0 && self.scale <= 100.0) {
            return Err(ShopError::Scale(self.scale));
        }
        let failed = |doing| move |source| ShopError::Database { doing, source };
        let owner = Ident::constant(OWNER);
        let maintenance = server.connect("bastide demo").await?;
        // One statement at a time: DROP and CREATE DATABASE refuse to run in a transaction.
        for statement in [
            sql!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database),
            sql!(
                "DROP ROLE IF EXISTS {}, {}",
                Ident::constant("bastide_app"),
                Ident::constant("bastide_owner")
            ),
            sql!("DROP ROLE IF EXISTS {}, {}", owner, Ident::constant(LEGACY_LOGIN)),
            sql!("CREATE ROLE {} NOLOGIN", owner),
            sql!("CREATE ROLE {} LOGIN", Ident::constant(LEGACY_LOGIN)),
            sql!("CREATE DATABASE {} OWNER {}", database, owner),
        ] {
            maintenance
                .batch_execute(statement.as_str())
                .await
                .map_err(failed("create the shop's database and roles"))?;
        }
        let target = server.with_database(database.as_str());
        let mut client = target.connect("bastide demo").await?;
        let take_over =
            sql!("ALTER SCHEMA {} OWNER TO {}; SET ROLE {}", Ident::constant("public"), owner, owner);
        client.batch_execute(take_over.as_str()).await.map_err(failed("hand the schema to its owner"))?;
        client.batch_execute(SCHEMA).await.map_err(failed("create the shop's tables"))?;
        client.batch_execute("RESET ROLE").await.map_err(failed("become superuser again"))?;
        let filling = client.transaction().await.map_err(failed("fill the shop"))?;
        for (setting, value) in [
            ("demo.seed", self.seed.to_string()),
            ("demo.scale", self.scale.to_string()),
            ("demo.password_hash", self.password_hash()?),
        ] {
            let set = "SELECT set_config($1, $2, true)";
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&setting, &value];
            filling.execute(set, &values).await.map_err(failed("fill the shop"))?;
        }
        filling.batch_execute(FILL).await.map_err(failed("fill the shop"))?;
        filling.commit().await.map_err(failed("fill the shop"))?;
        client.batch_execute("ANALYZE").await.map_err(failed("analyse the shop"))?;
        Ok(target)
    }

    /// Salted by the seed, so that the shop is the same every time.
    fn password_hash(&self) -> Result<String, ShopError> {
        let salt = format!("bastide-demo-{:020}", self.seed);
        let hash = Argon2::default().hash_password_with_salt(DEMO_PASSWORD.as_bytes(), salt.as_bytes());
        Ok(hash.map_err(ShopError::Hash)?.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the shop is for: the kinds of dirt that inference has to tell apart are all in it, in any scale.
    #[tokio::test]
    async fn the_shop_is_dirty_in_every_way_and_the_same_every_time() {
        let server = bastide_testkit::server().await;
        let db = server.database("x").await;
        let target = Target::parse(&db.url()).unwrap();
        let shop = LegacyShop { seed: 7, scale: 0.05 };
        let database = Ident::constant("shop");
        let mut fingerprints = Vec::new();
        for _ in 0..2 {
            let shop = shop.create(&target, &database).await.unwrap();
            let client = shop.connect("test").await.unwrap();
            let count = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
            assert!(count("SELECT count(*) FROM orders WHERE merchant_id IS NULL").await > 500);
            assert!(count("SELECT count(*) FROM orders WHERE merchant_id IS NOT NULL").await > 500);
            let lost = "SELECT count(*) FROM orders o WHERE merchant_id IS NULL AND customer_id IS NULL
                        AND NOT EXISTS (SELECT FROM order_lines l WHERE l.order_id = o.id AND product_id IS NOT NULL)";
            assert!(count(lost).await > 0, "orders that nothing reaches");
            let two_sellers = "SELECT count(*) FROM (SELECT order_id FROM order_lines l JOIN products p ON p.id = product_id
                               GROUP BY 1 HAVING count(DISTINCT (p.id - 1) % (SELECT count(*) FROM merchants)) > 1) x";
            assert!(count(two_sellers).await > 0, "orders that two shops could claim");
            assert!(count("SELECT count(*) FROM customers WHERE is_test").await > 0);
            assert!(count("SELECT count(*) FROM daily_sales").await > 0);
            let all = "SELECT string_agg(o::text, ',' ORDER BY id) FROM orders o";
            fingerprints.push(client.query_one(all, &[]).await.unwrap().get::<_, String>(0));
        }
        assert_eq!(fingerprints[0], fingerprints[1]);
    }

    #[tokio::test]
    async fn a_nonsense_scale_is_refused_before_anything_happens() {
        let target = Target::parse("postgresql://nobody@127.0.0.1:1/none").unwrap();
        for scale in [0.0, -1.0, f64::NAN, 1e6] {
            let error =
                LegacyShop { seed: 1, scale }.create(&target, &Ident::constant("x")).await.unwrap_err();
            assert!(matches!(error, ShopError::Scale(_)));
        }
    }
}
