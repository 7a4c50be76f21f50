//! One connection of the workload, and what is done over it: orders with their lines and stock, changes of both, and reads.

use bastide_connect::{Connected, Target};
use tokio_postgres::{Error, Statement};

use super::{sales::APPLICATION, shop::Size};

pub(super) struct Till {
    client: Connected,
    size: Size,
    session: u32,
    scope: Option<Statement>,
    customer: Statement,
    order: Statement,
    line: Statement,
    take: Statement,
    state: Statement,
    restock: Statement,
    /// As an ORM writes it: all columns, prepared once.
    whole: Statement,
    lines_of: Statement,
    orders_of: Statement,
}

const WHOLE: &str = "SELECT * FROM orders WHERE id = $1";

impl Till {
    pub(super) async fn open(login: &Target, size: Size, session: u32, scoped: bool) -> anyhow::Result<Self> {
        let client = login.connect(APPLICATION).await?;
        let scope = if scoped {
            Some(client.prepare("SELECT bastide.set_tenant($1::bigint::text)").await?)
        } else {
            None
        };
        let customer = client.prepare("SELECT merchant_id FROM customers WHERE id = $1").await?;
        let order = client
            .prepare(
                "INSERT INTO orders (customer_id, number, state, total_cents, placed_at, note)
                 VALUES ($1, $2, 'new', $3, now(), 'sold meanwhile') RETURNING id",
            )
            .await?;
        let line = client
            .prepare(
                "INSERT INTO order_lines (order_id, product_id, quantity, price_cents, label)
                 VALUES ($1, $2, 1, 500, $3)",
            )
            .await?;
        let take = client.prepare("UPDATE stock SET quantity = quantity - 1 WHERE product_id = $1").await?;
        let state = client.prepare("UPDATE orders SET state = 'paid' WHERE id = $1").await?;
        let restock =
            client.prepare("UPDATE stock SET quantity = quantity + 10 WHERE product_id = $1").await?;
        let whole = client.prepare(WHOLE).await?;
        let lines_of = client
            .prepare("SELECT id, product_id, quantity, price_cents FROM order_lines WHERE order_id = $1")
            .await?;
        let orders_of = client
            .prepare(
                "SELECT id, number, state, total_cents, placed_at FROM orders WHERE customer_id = $1
                 ORDER BY placed_at DESC LIMIT 20",
            )
            .await?;
        Ok(Self {
            client,
            size,
            session,
            scope,
            customer,
            order,
            line,
            take,
            state,
            restock,
            whole,
            lines_of,
            orders_of,
        })
    }

    pub(super) async fn close(self) {
        self.client.close().await;
    }

    /// After the server said that a prepared `SELECT *` has other columns now.
    pub(super) async fn again(&mut self) -> Result<(), Error> {
        self.client.batch_execute("ROLLBACK").await?;
        self.whole = self.client.prepare(WHOLE).await?;
        Ok(())
    }

    pub(super) async fn give_up(&self) -> Result<(), Error> {
        self.client.batch_execute("ROLLBACK").await
    }

    /// Carries out the sale of this number, the same whoever does; how many lines it wrote.
    pub(super) async fn sell(&self, number: u64) -> Result<i64, Error> {
        let seed = number ^ u64::from(self.session) << 48;
        let kind = any(seed, 0) % 100;
        let order = 1 + any(seed, 1) % self.size.orders;
        let customer = match kind {
            0..30 | 85.. => 1 + any(seed, 2) % self.size.customers,
            _ => self.size.customer_of(order),
        };
        let merchant = self.size.merchant_of(customer);
        // Only what is more than one statement needs a transaction.
        let together = self.scope.is_some() || kind < 30;
        if together {
            self.client.batch_execute("BEGIN").await?;
        }
        if let Some(scope) = &self.scope {
            self.client.query_one(scope, &[&merchant]).await?;
        }
        let lines = match kind {
            0..30 => self.place(seed, number, customer).await?,
            30..50 => self.client.execute(&self.state, &[&order]).await.map(|_| 0)?,
            50..60 => {
                let product = self.size.product(merchant, any(seed, 3));
                self.client.execute(&self.restock, &[&product]).await.map(|_| 0)?
            }
            60..85 => {
                self.client.query(&self.whole, &[&order]).await?;
                self.client.query(&self.lines_of, &[&order]).await.map(|_| 0)?
            }
            _ => self.client.query(&self.orders_of, &[&customer]).await.map(|_| 0)?,
        };
        if together {
            self.client.batch_execute("COMMIT").await?;
        }
        Ok(lines)
    }

    /// An order of three lines.
    async fn place(&self, seed: u64, number: u64, customer: i64) -> Result<i64, Error> {
        let merchant: i64 = self.client.query_one(&self.customer, &[&customer]).await?.try_get(0)?;
        let called = format!("M{merchant}-{}-{number}", self.session);
        let total = 1_500_i64;
        let order: i64 =
            self.client.query_one(&self.order, &[&customer, &called, &total]).await?.try_get(0)?;
        let mut products = [4, 5, 6].map(|at| self.size.product(merchant, any(seed, at)));
        // In one order everywhere: two sales must not wait for each other.
        products.sort_unstable();
        for product in products {
            self.client.execute(&self.line, &[&order, &product, &called]).await?;
            self.client.execute(&self.take, &[&product]).await?;
        }
        Ok(3)
    }
}

/// A number that looks like chance, never negative (splitmix64).
fn any(seed: u64, at: u64) -> i64 {
    let mut x = seed.wrapping_mul(16).wrapping_add(at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)).cast_signed() & i64::MAX
}
