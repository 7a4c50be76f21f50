//! From a cart to an order: price, stock, order and payment, in the caller's one transaction.
//!
//! [`price`] locks the cart and says what it costs; whoever authorises payments does so then, when nothing is locked that others wait for; [`place`]
//! takes the stock and writes the rest in one statement. Locks are taken in one order: cart, stock by variant, customer.

use bastide_tenancy::{Kind, Query, TenantTx};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    carts::{self, CartKey},
    inventory::{self, Quantities, Shortage, Stocked},
};
use crate::{
    Error,
    order_state::Terms,
    payment::Reference,
    rows::{Cart, CartLine},
};

/// The constraint that a second order of one cart runs into.
pub const CART_KEY: &str = "orders_cart_key";
/// The index that a number another order of the shop has runs into.
pub const NUMBER_KEY: &str = "orders_number_key_tenant_key";

/// What is to be known of a buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buyer {
    /// In lower case: a customer of the shop is found by it, or made.
    pub email: String,
    pub name: String,
    pub shipping_address: Value,
    pub billing_address: Value,
}

/// How it is paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub provider: &'static str,
    pub reference: Reference,
    pub terms: Terms,
    /// `due`, or `authorised`.
    pub stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Priced {
    /// Locked, and all of it on sale.
    Ready(Cart),
    Gone,
    Ordered,
    Empty,
    /// These are not on sale any more.
    OffSale(Vec<i64>),
    /// It costs something else than the buyer was shown.
    Changed(Cart),
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "not enough stock is no error of the database's"]
pub enum Placed {
    Now {
        order: i64,
    },
    /// Nothing was written.
    Short(Vec<Shortage>),
}

/// # Errors
/// When the database gives no answer.
pub async fn price(tx: &mut TenantTx, key: &CartKey, currency: &str, shown: i64) -> Result<Priced, Error> {
    if !carts::lock(tx, key).await? {
        return Ok(Priced::Gone);
    }
    // A statement of its own: its snapshot must be younger than the lock.
    let Some(cart) = carts::get_in(tx, key, currency).await? else { return Ok(Priced::Gone) };
    if cart.ordered {
        return Ok(Priced::Ordered);
    }
    if cart.lines.is_empty() {
        return Ok(Priced::Empty);
    }
    let off: Vec<i64> = cart.lines.iter().filter(|line| !line.on_sale).map(|line| line.variant_id).collect();
    if !off.is_empty() {
        return Ok(Priced::OffSale(off));
    }
    if cart.total.amount != shown {
        return Ok(Priced::Changed(cart));
    }
    Ok(Priced::Ready(cart))
}

pub(super) const PLACE: Query = Query::new(
    "WITH buyer AS ( \
         INSERT INTO public.customers (tenant_id, email, name) VALUES (bastide.current_tenant()::uuid, $2 ->> 'email', $2 ->> 'name') \
         ON CONFLICT (tenant_id, email) DO UPDATE SET email = EXCLUDED.email RETURNING id), \
     placed AS ( \
         INSERT INTO public.orders (merchant_id, customer_id, number, status, total_cents, currency, email, shipping_address, billing_address, \
             terms, subtotal_cents, shipping_cents, tax_cents, cart_id) \
         SELECT bastide.current_tenant()::uuid, b.id, $2 ->> 'number', 'pending', ($2 ->> 'total')::bigint, $2 ->> 'currency', $2 ->> 'email', \
             $2 -> 'shipping_address', $2 -> 'billing_address', $2 ->> 'terms', ($2 ->> 'subtotal')::bigint, ($2 ->> 'shipping')::bigint, \
             ($2 ->> 'tax')::bigint, $1 FROM buyer b RETURNING id), \
     lines AS ( \
         INSERT INTO public.order_lines (tenant_id, order_id, line_no, product_id, variant_id, sku, title, quantity, price_cents) \
         SELECT bastide.current_tenant()::uuid, o.id, l.nth, (l.value ->> 'product_id')::bigint, (l.value ->> 'variant_id')::bigint, \
             l.value ->> 'sku', l.value ->> 'title', (l.value ->> 'quantity')::integer, (l.value ->> 'price')::bigint \
         FROM placed o, pg_catalog.jsonb_array_elements($2 -> 'lines') WITH ORDINALITY AS l (value, nth)), \
     attempt AS ( \
         INSERT INTO public.payment_attempts (tenant_id, id, order_id, provider, reference, amount_cents, stage) \
         SELECT bastide.current_tenant()::uuid, $3, o.id, $2 ->> 'provider', $2 ->> 'reference', ($2 ->> 'total')::bigint, $2 ->> 'stage' FROM placed o), \
     told AS ( \
         INSERT INTO public.order_events (tenant_id, order_id, kind) \
         SELECT bastide.current_tenant()::uuid, o.id, 'placed' FROM placed o) \
     SELECT id FROM placed",
    &[Kind::Uuid, Kind::Jsonb, Kind::Uuid],
);

/// Of a cart that [`price`] found ready in this very transaction. For four round trips.
///
/// # Errors
/// When the database gives no answer, or the cart was ordered before: see [`CART_KEY`].
pub async fn place(
    tx: &mut TenantTx,
    cart: &Cart,
    number: &str,
    buyer: &Buyer,
    payment: &Payment,
) -> Result<Placed, Error> {
    let wanted: Quantities = cart.lines.iter().map(|line| (line.variant_id, line.quantity)).collect();
    if let Stocked::Short(short) = inventory::take(tx, cart.id, &wanted, &format!("order {number}")).await? {
        return Ok(Placed::Short(short));
    }
    let terms = match payment.terms {
        Terms::InAdvance => "in_advance",
        Terms::OnDelivery => "on_delivery",
    };
    let order = json!({
        "number": number,
        "email": buyer.email, "name": buyer.name,
        "shipping_address": buyer.shipping_address, "billing_address": buyer.billing_address,
        "currency": cart.total.currency, "subtotal": cart.subtotal.amount, "shipping": cart.shipping.amount,
        "tax": cart.tax.amount, "total": cart.total.amount, "lines": cart.lines.iter().map(line).collect::<Vec<_>>(),
        "terms": terms, "provider": payment.provider, "reference": payment.reference.as_str(), "stage": payment.stage,
    });
    let rows = tx.query(&PLACE, &[&cart.id, &order, &Uuid::new_v4()]).await?;
    let order = rows.first().and_then(|row| row.try_get("id").ok());
    Ok(Placed::Now { order: order.ok_or(Error::Column { entity: "order", column: "id" })? })
}

fn line(line: &CartLine) -> Value {
    json!({
        "variant_id": line.variant_id, "product_id": line.product_id, "sku": line.sku, "title": line.name,
        "quantity": line.quantity, "price": line.unit_price.amount,
    })
}

/// Ten letters of thirty-two, drawn at random: unique in a shop, and telling nobody how much it sells. Two alike in one shop are refused by
/// `orders_number_key`, and whoever asks again gets another.
#[must_use]
pub fn number() -> String {
    /// Crockford's: none that people take for one another.
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let id = Uuid::new_v4();
    // Bytes 6 and 8 of a v4 hold its version and variant.
    let random = id.as_bytes().iter().enumerate().filter(|(at, _)| !matches!(at, 6 | 8)).take(10);
    let letters: String = random.map(|(_, byte)| char::from(LETTERS[usize::from(byte % 32)])).collect();
    format!("{}-{}", &letters[..5], &letters[5..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_do_not_come_twice() {
        let all: std::collections::BTreeSet<_> = (0..2000).map(|_| number()).collect();
        assert_eq!(all.len(), 2000);
        let shaped = |number: &String| {
            number.len() == 11
                && number
                    .bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_digit() || byte.is_ascii_uppercase())
        };
        assert!(all.iter().all(shaped));
    }
}
